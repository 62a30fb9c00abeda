"""Pictures written byte by byte, of kinds that no library at hand writes."""

from __future__ import annotations

import struct
import zlib
from collections.abc import Sequence
from fractions import Fraction
from typing import Any

import av
import numpy as np
from numpy.typing import NDArray

PNG_START = b"\x89PNG\r\n\x1a\n"


def png_chunk(name: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))


def png_bytes(pixels: NDArray[Any], *chunks: bytes) -> bytes:
    """A PNG of uint8 or uint16 (h, w) or (h, w, 2 to 4); ``chunks`` go before the data."""
    height, width = pixels.shape[:2]
    colour = {1: 0, 2: 4, 3: 2, 4: 6}[pixels.shape[2] if pixels.ndim == 3 else 1]
    depth = pixels.dtype.itemsize * 8
    rows = pixels.astype(pixels.dtype.newbyteorder(">")).reshape(height, -1)
    data = b"".join(b"\0" + row.tobytes() for row in rows)
    head = struct.pack(">IIBBBBB", width, height, depth, colour, 0, 0, 0)
    return b"".join(
        [PNG_START, png_chunk(b"IHDR", head), *chunks, png_chunk(b"IDAT", zlib.compress(data)), png_chunk(b"IEND", b"")]
    )


def huge_png(width: int, height: int, colour: int = 2, rows: int | None = None) -> bytes:
    """A PNG of 8 bits, all black, however large, of which only some rows may be there: a few hundred kilobytes."""
    row = b"\0" * (width * {0: 1, 2: 3, 6: 4}[colour] + 1)
    squeeze = zlib.compressobj(1)
    data = b"".join([squeeze.compress(row) for _ in range(height if rows is None else rows)] + [squeeze.flush()])
    head = struct.pack(">IIBBBBB", width, height, 8, colour, 0, 0, 0)
    return PNG_START + png_chunk(b"IHDR", head) + png_chunk(b"IDAT", data) + png_chunk(b"IEND", b"")


def tiff_bytes(pixels: NDArray[Any], photometric: int | None = None, order: str = "<", planes: bool = False) -> bytes:
    """A TIFF, not compressed, of numbers of any kind, (h, w) or (h, w, channels). TIFF 6.0, section 2.

    Args:
        photometric: 0 white is zero, 1 black is zero, 2 RGB.
        planes: each channel in a plane of its own.
    """
    height, width = pixels.shape[:2]
    count = pixels.shape[2] if pixels.ndim == 3 else 1
    swapped = pixels.astype(pixels.dtype.newbyteorder(order))
    data = [swapped[..., k].tobytes() for k in range(count)] if planes else [swapped.tobytes()]
    kind = {"u": 1, "i": 2, "f": 3}[pixels.dtype.kind]
    at, starts = 8, []
    for part in data:
        starts.append(at)
        at += len(part)
    tags: list[tuple[int, int, Sequence[int]]] = [
        (256, 4, [width]),
        (257, 4, [height]),
        (258, 3, [pixels.dtype.itemsize * 8] * count),
        (259, 3, [1]),
        (262, 3, [(1 if count == 1 else 2) if photometric is None else photometric]),
        (273, 4, starts),
        (277, 3, [count]),
        (278, 4, [height]),
        (279, 4, [len(part) for part in data]),
        (284, 3, [2 if planes else 1]),
        *([(338, 3, [2])] if count == 4 else []),
        (339, 3, [kind] * count),
    ]
    directory, beside = at, at + 2 + 12 * len(tags) + 4
    entries, extra = b"", b""
    for tag, form, values in tags:
        packed = struct.pack(f"{order}{len(values)}{'H' if form == 3 else 'I'}", *values)
        entries += struct.pack(f"{order}HHI", tag, form, len(values))
        if len(packed) <= 4:
            entries += packed.ljust(4, b"\0")
        else:
            entries += struct.pack(f"{order}I", beside + len(extra))
            extra += packed
    head = (b"II" if order == "<" else b"MM") + struct.pack(f"{order}HI", 42, directory)
    return head + b"".join(data) + struct.pack(f"{order}H", len(tags)) + entries + bytes(4) + extra


def encoded(codec: str, picture: NDArray[np.uint8], pixels: str = "rgb24") -> bytes:
    """A picture uint8 RGB (h, w, 3) as FFmpeg's encoder writes it; these formats are their codec's bytes."""
    context: Any = av.CodecContext.create(codec, "w")
    context.height, context.width = picture.shape[:2]
    context.pix_fmt, context.time_base = pixels, Fraction(1, 25)
    frame = av.VideoFrame.from_ndarray(np.ascontiguousarray(picture), "rgb24").reformat(format=pixels, threads=1)
    return b"".join(bytes(packet) for packet in [*context.encode(frame), *context.encode(None)])


def heif_bytes(brand: bytes) -> bytes:
    """As much of a HEIF file as says that it is one: what kind of file, and no movie."""
    kind = struct.pack(">I4s4sI", 20, b"ftyp", brand, 0) + b"mif1"
    return kind + struct.pack(">I4sI", 20, b"meta", 0) + bytes(8) + struct.pack(">I4s", 108, b"mdat") + bytes(100)
