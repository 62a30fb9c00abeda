"""Still images of the common formats: upright, RGB, in bounded memory, the exact pixels of the file."""

from __future__ import annotations

import ctypes
import os
import struct
import threading
import traceback
import zlib
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, nullcontext
from functools import lru_cache
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from PIL.JpegImagePlugin import JpegImageFile
from PIL.TiffImagePlugin import IMAGELENGTH, IMAGEWIDTH, TiffImageFile

from avssl.errors import MediaError
from avssl.media.decoding.pictures import Turn, on_white
from avssl.media.facts import Unusable

# Pillow knows more formats, some of which claim files that are no images (its MPEG reader would take every .mpg).
FORMATS = ("JPEG", "PNG", "GIF", "WEBP", "BMP", "TIFF", "PPM", "JPEG2000", "AVIF")
ANIMATED_FORMATS = {"GIF", "PNG", "WEBP", "AVIF"}

# Memory for reading one picture: the whole process then stays under 1 GB.
MOST_BYTES = 760_000_000
LARGE_PIXELS = 10_000_000
PILLOW_PIXELS = 80_000_000  # larger pictures meet Pillow's own limit (89 million)
# Pixels are converted in bands of this size: copies of whole pictures would take more memory than the pictures.
BAND_PIXELS = 1 << 20

# What damaged files raise in Pillow (found by damaging some ten thousand).
_PROVOKED = (
    OSError, ValueError, SyntaxError, EOFError, RuntimeError, ArithmeticError, LookupError, TypeError, AttributeError,
    MemoryError, struct.error, zlib.error, Image.DecompressionBombError,
)  # fmt: skip

_LIMIT_LOCK = threading.Lock()
_ORIENTATION = 0x0112
_PHOTOMETRIC, _PLANES, _SAMPLE_FORMAT, _BITS = 262, 284, 339, 258  # TIFF 6.0, section 8 and 19
# How stored rows and columns become those of the upright picture, by the EXIF orientation.
_TURNS: dict[int, Turn] = {
    2: (False, False, True),
    3: (False, True, True),
    4: (False, True, False),
    5: (True, False, False),
    6: (True, True, False),
    7: (True, True, True),
    8: (True, False, True),
}


class NoImage(Unusable):
    """The file is of none of the formats that are read."""


def read_image(path: str, file: BinaryIO | None = None) -> NDArray[np.uint8]:
    """The image, upright by its EXIF orientation: uint8 RGB (3, height, width).

    Transparent pixels are blended with white; of 16 bits the upper eight are kept; floats run from 0 (black) to 1
    (white); of several pages the first is read.

    Args:
        file: where to read it from, if not from ``path`` (a member of a tar).

    Raises:
        MediaError: it is no image, it is too large, or it cannot be decoded to its end.
    """
    try:
        with opened_image(path, file) as image:
            pixels = pixels_of(image)
        del image
    except Unusable as unusable:
        raise MediaError(path, str(unusable)) from unusable
    give_memory_back(pixels.size // 3)
    return pixels


def still_size(path: str) -> tuple[int, int] | None:
    """(width, height) as shown of a still image, from its header; None for anything else, animations too."""
    try:
        with opened_image(path) as image:
            return None if is_animated(image) else shown_size(image)
    except Unusable:
        return None


@contextmanager
def opened_image(path: str, file: BinaryIO | None = None) -> Iterator[Image.Image]:
    """An image whose header has been read, of one of :data:`FORMATS`.

    Raises:
        NoImage: it is none.
        Unusable: work inside of the ``with`` block shows that it is damaged.
    """
    with ExitStack() as files:
        try:
            # As a file object: by name Pillow maps some formats into memory, rotated TIFFs with their sides swapped.
            source = file or files.enter_context(Path(path).open("rb"))
            with _our_limit():
                image = Image.open(source, formats=_formats())
        except _PROVOKED as error:
            raise _verdict(error, NoImage("not an image that can be read")) from error
        try:
            with image:
                yield image
        except _PROVOKED as error:
            words = str(error) or type(error).__name__
            raise _verdict(error, Unusable(f"damaged: the image cannot be decoded ({words})")) from error


def is_animated(image: Image.Image) -> bool:
    """Whether an image is a moving one (several pages of a TIFF are not)."""
    return image.format in ANIMATED_FORMATS and getattr(image, "n_frames", 1) > 1


def shown_size(image: Image.Image) -> tuple[int, int]:
    """(width, height) of the upright picture, going by the header."""
    width, height = image.size
    if isinstance(image, TiffImageFile):  # Pillow may have swapped its size already
        width, height = image.tag_v2[IMAGEWIDTH], image.tag_v2[IMAGELENGTH]
    return (height, width) if _turn(image)[0] else (width, height)


def pixels_of(image: Image.Image) -> NDArray[np.uint8]:
    """The upright picture, uint8 RGB (3, height, width); raises Unusable if it is too large or of unknown scale."""
    must_fit(image)
    bits, negative = _depth(image)
    with _our_limit() if image.width * image.height > PILLOW_PIXELS else nullcontext():
        image.load()
    width, height = image.size
    swap, rows, columns = _turn(image)
    upright = np.empty((3, width, height) if swap else (3, height, width), np.uint8)
    stored = upright.swapaxes(1, 2) if swap else upright
    stored = stored[:, :: -1 if rows else 1, :: -1 if columns else 1]
    if image.mode == "F":
        _must_be_shares(image)
    for top, band in _bands(image):
        stored[:, top : top + band.height] = _rgb(band, bits, negative)
    return upright


def must_fit(image: Image.Image) -> None:
    """Raises Unusable where reading it would take too much memory."""
    width, height = image.size
    most = MOST_BYTES / _bytes_a_pixel(image)
    if width * height > most:
        size = f"{width}×{height} = {width * height / 1e6:.0f} megapixels"
        raise Unusable(f"too large: {size}; at most {int(most / 1e6)} can be read of a {image.format} of this kind")


def give_memory_back(pixels: int) -> None:
    """Return the memory of a large picture to the system: glibc would keep it beside that of the next one."""
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None) if pixels > LARGE_PIXELS and os.name == "posix" else None
    if trim is not None:  # only glibc has it
        trim(0)


@contextmanager
def _our_limit() -> Iterator[None]:
    """Without Pillow's own limit, which warns on stderr at 89 megapixels and refuses at 179, whatever they take."""
    with _LIMIT_LOCK:
        theirs, Image.MAX_IMAGE_PIXELS = Image.MAX_IMAGE_PIXELS, None
        try:
            yield
        finally:
            Image.MAX_IMAGE_PIXELS = theirs


def _verdict(error: Exception, unusable: Unusable) -> Unusable:
    """The verdict on a file by an error raised inside Pillow; any other error is a fault of ours, and raised again."""
    if isinstance(error, OSError) and error.errno is not None:
        return Unusable(f"unreadable: {error.strerror}")
    if isinstance(error, MemoryError):
        return Unusable("unreadable: out of memory")
    frames = [frame for frame, _ in traceback.walk_tb(error.__traceback__)]
    if not frames[-1].f_globals.get("__name__", "").startswith("PIL."):
        raise error
    return unusable


@lru_cache(maxsize=1)
def _formats() -> list[str]:
    """The formats that this installation of Pillow knows: ``Image.open`` raises KeyError at an unknown one."""
    Image.init()
    return [name for name in FORMATS if name in Image.OPEN]


def _bytes_a_pixel(image: Image.Image) -> float:
    """Peak memory of reading, bytes a pixel: of the decoder, or of the image and the array made of it.

    Measured with pictures of 25 megapixels and Pillow 13. An animation is decoded by FFmpeg, which holds some frames.
    """
    channels = len(image.getbands())
    held: float = 1 if image.mode in ("1", "L", "P") else 2 if image.mode.startswith("I;16") else 4
    decoder = 4.5
    if isinstance(image, JpegImageFile) and image.info.get("progressive"):
        # libjpeg keeps the coefficients of every channel, half or a quarter of them where it is subsampled.
        across, down = max(part[1] for part in image.layer), max(part[2] for part in image.layer)
        decoder = 4 + 2 * sum(part[1] * part[2] for part in image.layer) / (across * down)
    elif image.format == "JPEG2000":
        decoder = 4 + 5.2 * channels
    elif image.format == "WEBP":
        decoder = 16.5
    elif image.format == "AVIF":
        decoder = 14.0  # of ten bits; of eight 9.4
    elif isinstance(image, TiffImageFile):
        decoder = 4 + sum(_several(image.tag_v2.get(_BITS, 1))) / 8  # all of it may be one strip
        if image.getexif().get(_ORIENTATION, 1) != 1:
            held = 8  # Pillow rotates it by itself, into a copy
    if is_animated(image):
        decoder = 20.0
    return max(decoder if held >= 4 or isinstance(image, TiffImageFile) else held, held + 3.0)


def _turn(image: Image.Image) -> Turn:
    return _TURNS.get(image.getexif().get(_ORIENTATION, 1), (False, False, False))  # EXIF 2.3, tag Orientation


def _depth(image: Image.Image) -> tuple[int, bool]:
    """Bits of a sample that has more than eight, and whether 0 is white where Pillow does not invert it.

    Raises:
        Unusable: black and white of such samples are not known, or Pillow reads them wrongly.
    """
    if not isinstance(image, TiffImageFile):
        return 16, False
    tags: Any = image.tag_v2
    bits = max(_several(tags.get(_BITS, 1)))
    kinds = set(_several(tags.get(_SAMPLE_FORMAT, 1)))
    white_is_zero = tags.get(_PHOTOMETRIC) == 0
    if kinds - {1, 3, 4} or (kinds & {1, 4} and bits > 16):
        numbers = f"{bits}-bit whole numbers" if not kinds - {1, 4} else "signed numbers"
        raise Unusable(f"not supported: a TIFF of {numbers}, whose black and white levels are not known")
    if 3 in kinds and (image.mode != "F" or white_is_zero):
        raise Unusable("not supported: a TIFF of floating-point numbers that is not plain grey")
    if bits > 8 and len(image.getbands()) > 1 and tags.get(_PLANES) == 2:
        raise Unusable(f"not supported: a TIFF whose {bits}-bit colours are in separate planes")
    return bits, white_is_zero and image.mode.startswith("I")


def _several(value: Any) -> tuple[int, ...]:
    return tuple(value) if isinstance(value, tuple) else (value,)


def _bands(image: Image.Image) -> Iterator[tuple[int, Image.Image]]:
    """The image in horizontal bands: (its first row, the band)."""
    width, height = image.size
    if width * height <= BAND_PIXELS:
        yield 0, image
        return
    rows = max(BAND_PIXELS // width, 1)
    for top in range(0, height, rows):
        yield top, image.crop((0, top, width, min(top + rows, height)))


def _must_be_shares(image: Image.Image) -> None:
    """Raises Unusable at floats that do not lie within 0 and 1."""
    low, high = 0.0, 0.0
    for _, band in _bands(image):
        values = np.asarray(band)
        if not np.isfinite(values).all():
            raise Unusable("not supported: floating-point numbers, some of which are not finite")
        low, high = min(low, float(values.min())), max(high, float(values.max()))
    if low < 0 or high > 1:
        raise Unusable(f"not supported: floating-point numbers from {low:.4g} to {high:.4g}; only 0 to 1 is supported")


def _rgb(band: Image.Image, bits: int, negative: bool) -> NDArray[Any]:
    """(3, height, width), or (height, width) of grey."""
    if band.mode == "F":
        shares: NDArray[np.float32] = np.rint(np.asarray(band, np.float32) * 255)
        return shares
    if band.mode.startswith("I"):
        # Pillow would clip 16 bits at 255 instead of scaling them.
        grey = np.clip(np.asarray(band).astype(np.int32), 0, (1 << bits) - 1) >> (bits - 8)
        return 255 - grey if negative else grey
    if "A" in band.mode or "a" in band.mode or "transparency" in band.info:
        return on_white(np.asarray(band.convert("RGBA"))).transpose(2, 0, 1)
    if band.mode == "L":
        return np.asarray(band)
    return np.asarray(band.convert("RGB")).transpose(2, 0, 1)
