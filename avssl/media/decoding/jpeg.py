"""JPEG in memory: pictures to bytes and back."""

from __future__ import annotations

import io
import re

import numpy as np
import simplejpeg  # type: ignore[import-untyped, unused-ignore]
from numpy.typing import NDArray
from PIL import Image

# Bytes between segments, or before the end (some cameras write a few): no picture is made from them.
_HARMLESS = re.compile(r"extraneous bytes before marker 0x(?!d[0-7])")


def pixels_for_jpegs(count: int, height: int, width: int) -> NDArray[np.uint8]:
    """Room for as many decoded JPEGs, uint8 (count, height, width, 4).

    libjpeg-turbo writes to addresses that are multiples of 32 past the processor's caches, and whoever reads the
    picture next waits for the memory, for a fifth of what decoding and cropping take: so the room begins at none.
    """
    size = count * height * width * 4
    room = np.empty(size + 32, np.uint8)
    start = (16 - room.__array_interface__["data"][0]) % 32
    return room[start : start + size].reshape(count, height, width, 4)


def decode_jpeg(data: NDArray[np.uint8], into: NDArray[np.uint8]) -> None:
    """Decode the bytes of a JPEG into pixels of four bytes, uint8 (height, width, 4): RGB, and one without meaning.

    libjpeg-turbo writes four bytes as fast as three, and pixels of four are scaled in half of the time. Raises
    ValueError where these bytes are no whole JPEG, or a picture of another size.
    """
    found = simplejpeg.decode_jpeg(data, "RGBX", buffer=into).shape
    if found != into.shape:
        raise ValueError(f"a picture of {found[1]}×{found[0]} pixels instead of {into.shape[1]}×{into.shape[0]}")


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
    """A picture uint8 RGB (height, width, 3) as JPEG, with colour at full (4:4:4) or half resolution (4:2:0)."""
    stream = io.BytesIO()
    image = Image.fromarray(np.ascontiguousarray(picture))
    image.save(stream, "JPEG", quality=quality, subsampling="4:4:4" if full_colour else "4:2:0")
    return stream.getvalue()
