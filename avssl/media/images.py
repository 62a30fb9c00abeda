"""Still images of any common format: upright, RGB."""

from __future__ import annotations

from typing import BinaryIO

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageOps, UnidentifiedImageError
from PIL.TiffImagePlugin import IMAGELENGTH, IMAGEWIDTH, TiffImageFile

from avssl.errors import MediaError
from avssl.media.pictures import on_white

FORMATS = ["JPEG", "PNG", "GIF", "WEBP", "BMP", "TIFF", "PPM", "JPEG2000", "AVIF"]
"""Pillow knows more, some of which claim files that are none (its MPEG reader would take every .mpg)."""
ANIMATED_FORMATS = {"GIF", "PNG", "WEBP"}


def read_image(path: str, file: BinaryIO | None = None) -> NDArray[np.uint8]:
    """The image, upright by its EXIF orientation: uint8 RGB (3, height, width).

    Args:
        file: where to read it from, if not from ``path`` (a member of a tar).

    Transparent pixels are laid on white; 16-bit grey keeps its upper byte; of several pages the first counts.

    Raises:
        MediaError: it is no image, or it cannot be decoded to its end.
    """
    try:
        with Image.open(file or path, formats=FORMATS) as image:
            upright = ImageOps.exif_transpose(image)
            pixels = _rgb(upright)
    except UnidentifiedImageError as error:
        raise MediaError(path, "not an image that can be read") from error
    except (OSError, ValueError, SyntaxError, EOFError, Image.DecompressionBombError) as error:
        raise MediaError(path, f"the image cannot be decoded ({error})") from error
    return np.ascontiguousarray(pixels.transpose(2, 0, 1))


def still_size(path: str, file: BinaryIO | None = None) -> tuple[int, int] | None:
    """(width, height) as shown of a still image, from its header; None for anything else, animations too."""
    try:
        with Image.open(file or path, formats=FORMATS) as image:
            if image.format in ANIMATED_FORMATS and getattr(image, "n_frames", 1) > 1:
                return None
            width, height = image.size
            if isinstance(image, TiffImageFile):  # its size as Pillow tells it may be turned already
                width, height = image.tag_v2[IMAGEWIDTH], image.tag_v2[IMAGELENGTH]
            sideways = image.getexif().get(0x0112, 1) in (5, 6, 7, 8)  # EXIF 2.3, tag Orientation
            return (height, width) if sideways else (width, height)
    except (OSError, ValueError, SyntaxError, EOFError, Image.DecompressionBombError):
        return None


def _rgb(image: Image.Image) -> NDArray[np.uint8]:
    if image.mode.startswith("I"):
        # Pillow would clip 16 bits at 255 instead of scaling them.
        grey = np.clip(np.asarray(image).astype(np.int64), 0, 65535) >> 8
        return np.repeat(grey[..., None].astype(np.uint8), 3, axis=2)
    if "A" in image.mode or "a" in image.mode or "transparency" in image.info:
        return on_white(np.asarray(image.convert("RGBA")))
    return np.asarray(image.convert("RGB"))
