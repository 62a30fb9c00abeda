"""JPEG in memory: small pictures to bytes and back."""

from __future__ import annotations

import io
import re

import numpy as np
from numpy.typing import NDArray
from PIL import Image

try:
    import simplejpeg  # type: ignore[import-not-found, import-untyped, unused-ignore]
except ImportError:
    simplejpeg = None


_HARMLESS = re.compile(r"extraneous bytes before marker 0x(?!d[0-7])")
"""Bytes between segments, or before the end (some cameras write a few): no picture is made from them."""


def decode_jpeg(data: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """RGB uint8 (height, width, 3) from the bytes of a JPEG.

    simplejpeg, where it is installed, gives the pixels that Pillow gives in about a third of the time: both
    drive libjpeg-turbo.

    Raises:
        ValueError: these bytes are no whole JPEG.
    """
    if simplejpeg is not None:
        pixels: NDArray[np.uint8] = simplejpeg.decode_jpeg(data)
        return pixels
    try:
        with Image.open(io.BytesIO(data.tobytes()), formats=["JPEG"]) as image:
            return np.asarray(image.convert("RGB"))
    except OSError as error:
        raise ValueError(str(error)) from error


def jpeg_is_damaged(data: bytes) -> bool:
    """Whether libjpeg warns of a JPEG's data: too few, too many before a restart marker, or a code that is none.

    It goes on nevertheless, and others do not report it. Damage that leaves the number of codes as it was stays unseen.
    """
    try:
        simplejpeg.decode_jpeg(data, "gray", min_factor=8)  # an eighth of the size: all codes are read all the same
    except ValueError as error:
        words = str(error)
        return words.startswith("Corrupt JPEG data") and not _HARMLESS.search(words)
    return False


def encode_jpeg(picture: NDArray[np.uint8], quality: int, full_colour: bool) -> bytes:
    """A picture uint8 RGB (height, width, 3) as the bytes of a JPEG.

    Args:
        quality: 1 to 100, libjpeg's scale.
        full_colour: keep colour at full resolution (4:4:4) and not at half (4:2:0).
    """
    stream = io.BytesIO()
    image = Image.fromarray(np.ascontiguousarray(picture))
    image.save(stream, "JPEG", quality=quality, subsampling="4:4:4" if full_colour else "4:2:0")
    return stream.getvalue()
