"""Reading from one file: the frame shown at a time, the sound between two times, a still image.

:func:`avssl.media.indexing.inspect.inspect` looks at a file once and returns an ``Inspection`` with its ``clock``.
The functions here take the path and that clock (for images the path alone)::

    found = inspect(path)
    read_frames(path, found.clock, [0.0, 1.5])        # uint8 (2, 3, height, width)
    read_audio(path, found.clock, 1.0, 0.5, 24_000)   # float32 (12_000,)
    read_image(path)                                  # uint8 (3, height, width)

To keep a clock in an index, store ``clock.numbers()`` (JSON) and the arrays ``clock.frame_times`` and
``clock.key_times`` (float64); rebuild it with ``Clock(**numbers, frame_times=…, key_times=…)``.
A clock is good for the file it was made from; it holds no path and no open file, and can be pickled.
"""

from __future__ import annotations

from avssl.media.decoding.clock import Clock
from avssl.media.decoding.images import read_image
from avssl.media.decoding.sound import read_audio
from avssl.media.decoding.video import iter_frames, read_frames

__all__ = ["Clock", "iter_frames", "read_audio", "read_frames", "read_image"]
