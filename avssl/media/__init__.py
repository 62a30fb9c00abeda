"""Files and containers: the frame shown at a time, the sound between two times, what is wrong with a file.

media = open_media("videos/")                     # indexed: each file inspected once
media.frames(i, [0.0, 1.5])                       # as shown at those seconds
media.audio(i, 1.0, 0.5, 16_000)                  # 0.5 s of sound from 1.0 s on, mono
prepare(media, "prepared/", side=128)             # decoded once; random access is hundreds of times faster

Import from the modules: ``avssl.media.opening``, ``avssl.media.prepared.write``. Nothing is imported here, as loading
the decoder takes a moment.
"""
