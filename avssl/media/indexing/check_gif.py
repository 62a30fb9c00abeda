"""Damage in moving GIFs: FFmpeg's decoder draws what it can and reports nothing, Pillow's does."""

from __future__ import annotations

import struct
import warnings

from PIL import Image

MOST_FRAMES = 600


def damaged_gif_frame(path: str) -> int | None:
    """The first frame of a GIF whose codes do not exist, or fill more or less than the frame; None if there is none."""
    number = 0
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of sizes, which were looked at
        try:
            with Image.open(path, formats=["GIF"]) as image:
                for number in range(MOST_FRAMES):
                    image.seek(number)
                    image.load()
        except EOFError:
            return None
        except (OSError, ValueError, IndexError, struct.error):
            return number
    return None
