"""From packets to pictures and samples at exact times.

:func:`avssl.media.indexing.inspect.inspect` looks at a file once and returns an ``Inspection`` with its ``clock``.
The functions that read take the path and that clock (for images the path alone)::

    found = inspect(path)
    read_frames(path, found.clock, [0.0, 1.5])        # uint8 (2, 3, height, width)
    read_audio(path, found.clock, 1.0, 0.5, 24_000)   # float32 (12_000,)
    read_image(path)                                  # uint8 (3, height, width)

A clock is good for the file it was made from; it holds no path and no open file, and can be pickled.
"""
