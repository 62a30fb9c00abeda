"""Whether an image is whole and undamaged, beyond what its decoder checks."""

from __future__ import annotations

import io
import re
import struct
import zlib
from typing import BinaryIO

import av
from av.codec.context import CodecContext
from av.packet import Packet

from avssl.media.containers.demux import Deadline, opened
from avssl.media.decoding.images import NoImage, give_memory_back, is_animated, must_fit, opened_image, pixels_of
from avssl.media.decoding.jpeg import jpeg_is_damaged
from avssl.media.facts import Unusable
from avssl.media.indexing.silent_damage import vp8_is_damaged

# Chunks that the pixels depend on; of damage in the others libpng, too, only warns.
_PNG_CHECKED = {b"IHDR", b"PLTE", b"tRNS", b"IDAT", b"IEND", b"acTL", b"fcTL", b"fdAT"}
_AT_ONCE = 1 << 20

# A marker that ends entropy-coded data; restarts (D0 to D7) and stuffed zeros do not. ITU-T T.81, B.1.1.5.
_MARKER = re.compile(rb"\xff[^\x00\xd0-\xd7\xff]")
_SOI, _EOI = b"\xff\xd8", b"\xff\xd9"
_SOS, _COM, _APPLICATION = 0xDA, 0xFE, range(0xE0, 0xF0)
_SPARE_BYTES = 8
MANY = 3
# Bytes that a JPEG may take: for metadata, and for each pixel (as many as 4:4:4 without compression, twice).
_MOST_BEFORE, _MOST_A_PIXEL = 1 << 25, 6
# Lossless, hierarchical and arithmetic ones, which FFmpeg does not know; C4, C8 and CC begin no frame.
_ODD_FRAMES = {*range(0xC3, 0xD0)} - {0xC4, 0xC8, 0xCC}


def check_image(path: str, file: BinaryIO | None = None) -> tuple[int, int] | None:
    """(width, height) as shown of an image, decoded to its end; None if it is none, or an animation.

    Args:
        file: where to read it from, if not from ``path`` (a member of a tar).

    Raises:
        Unusable: it is an image and cannot be used.
        OSError: the file cannot be read.
    """
    source = file or io.FileIO(path)
    try:
        size = _checked(path, source, in_a_tar=file is not None)
    except NoImage:
        return None
    finally:
        if file is None:
            source.close()
    if size is not None:
        give_memory_back(size[0] * size[1])
    return size


def _checked(path: str, source: BinaryIO, in_a_tar: bool) -> tuple[int, int] | None:
    with opened_image(path, source) as image:
        kind, pixels = image.format or "", image.width * image.height
        must_fit(image)
        if kind == "PNG":
            _check_png(source)
        if is_animated(image):
            if kind == "WEBP":
                raise Unusable("not supported: an animated WebP; convert it to GIF or MP4")
            return None
        if kind == "WEBP":
            _check_webp(source)
        if kind not in ("JPEG", "MPO"):
            height, width = pixels_of(image).shape[1:]
            return width, height
    return _check_jpeg(path, source, pixels, several=kind == "MPO" or in_a_tar)


def _check_png(file: BinaryIO) -> None:
    """Raises Unusable at a wrong checksum, which Pillow does not compare for pixel data (PNG, third edition, 5.3)."""
    place = file.tell()
    file.seek(8)
    while len(head := file.read(8)) == 8:
        length, name = struct.unpack(">I4s", head)
        if name not in _PNG_CHECKED:
            file.seek(length + 4, io.SEEK_CUR)
            continue
        sum_, left = zlib.crc32(name), length
        while left and (data := file.read(min(left, _AT_ONCE))):
            sum_, left = zlib.crc32(data, sum_), left - len(data)
        checksum = file.read(4)
        if left or len(checksum) < 4:
            break  # truncated: the decoder reports it
        if struct.unpack(">I", checksum)[0] != sum_:
            raise Unusable(f"damaged: a chunk of this PNG ({name.decode('ascii')}) has a wrong checksum")
        if name == b"IEND":
            break
    file.seek(place)


def _check_webp(file: BinaryIO) -> None:
    """Raises Unusable where a lossy picture ends elsewhere than its data; lossless ones are not checked."""
    place = file.tell()
    file.seek(12)
    while len(head := file.read(8)) == 8:
        name, size = struct.unpack("<4sI", head)
        if name == b"VP8 ":
            if vp8_is_damaged(file.read(size)):
                raise Unusable("damaged: the WebP data cannot be decoded to the end")
            break
        file.seek(size + (size & 1), io.SEEK_CUR)
    file.seek(place)


def _check_jpeg(path: str, file: BinaryIO, pixels: int, several: bool) -> tuple[int, int] | None:
    """(width, height) of a JPEG; None if it is a video of many JPEGs. Raises Unusable where it is damaged.

    libjpeg goes on after invalid data, and Pillow does not report it. Three signs give damage away: FFmpeg's strict
    decoder meets an invalid code or an early end; libjpeg warns of too few codes; or the picture is complete while
    more than a few bytes are left (some cameras write a few too many). Damage that keeps the number of codes is valid
    code of another picture, and stays unseen. None of 3,634 intact files shows any of the three.

    Args:
        several: it may hold further pictures that are not shown (of a camera with two lenses, say).
    """
    file.seek(0)
    data = file.read(_MOST_BEFORE + _MOST_A_PIXEL * pixels)  # a film of gigabytes may follow the picture
    segments, end = _segments(data)
    if not several and end is not None and data[end + 2 : end + 4] == _SOI and _is_motion_jpeg(path, data):
        return None
    pause = 0 if end is None else len(data[:end].rstrip(b"\0\xff")) - _SPARE_BYTES
    coded = next(
        (at + 2 + int.from_bytes(data[at + 2 : at + 4], "big") for marker, at, _ in segments if marker == _SOS), 0
    )
    size = _decode(path, _Watched(data, pause if pause > coded else len(data)))
    if jpeg_is_damaged(data if end is None else data[: end + 2]):
        raise Unusable("damaged: its JPEG data do not fit its picture")
    if not {marker for marker, _, _ in segments} & _ODD_FRAMES:
        _decode_strictly(b"".join([_SOI, *(data[at:end] for _, at, end in segments), _EOI]))
    return size


def _decode(path: str, file: _Watched) -> tuple[int, int]:
    """Raises Unusable where it cannot be decoded, or is complete before its data end."""
    with opened_image(path, file) as image:
        height, width = pixels_of(image).shape[1:]
    if file.tell() <= file.pause < file.size:
        raise Unusable("damaged: more JPEG data than the picture needs")
    return width, height


def _segments(data: bytes) -> tuple[list[tuple[int, int, int]], int | None]:
    """The segments that decoding the first picture takes: (marker, start, end), and where its EOI is."""
    found: list[tuple[int, int, int]] = []
    at = 2
    while match := _MARKER.search(data, at):
        at, marker = match.start(), data[match.start() + 1]
        if marker == _EOI[1]:
            return found, at
        end = at + 2 + int.from_bytes(data[at + 2 : at + 4], "big")
        if marker == _SOS:
            after = _MARKER.search(data, end)
            end = after.start() if after else len(data)
        if marker not in _APPLICATION and marker != _COM:
            found.append((marker, at, end))
        at = end
    return found, None


class _Watched(io.BytesIO):
    """A file whose reads stop at ``pause`` once: whether the decoder then reads on tells if it needs more bytes."""

    def __init__(self, data: bytes, pause: int) -> None:
        super().__init__(data)
        self.size = len(data)
        self.pause = pause

    def read(self, size: int | None = -1, /) -> bytes:
        left = self.pause - self.tell()
        whole = size is None or size < 0
        return super().read(left if left > 0 and (whole or left < (size or 0)) else size)


def _is_motion_jpeg(path: str, data: bytes) -> bool:
    """Whether a file of several JPEGs is a video.

    FFmpeg recognises some ("mjpeg"). Others are videos if three pictures of one size follow each other: cameras append
    a smaller or a second picture to a photograph.
    """
    try:
        with opened(path, Deadline(path)) as container:
            name = container.format.name
    except av.FFmpegError:
        return False
    return name == "mjpeg" or (name == "jpeg_pipe" and are_many_jpegs(data))


def are_many_jpegs(data: bytes) -> bool:
    """Whether three JPEGs of one size follow each other without a gap."""
    sizes = []
    for _ in range(MANY):
        segments, end = _segments(data) if data.startswith(_SOI) else ([], None)
        frames = [data[at + 5 : at + 9] for marker, at, _ in segments if 0xC0 <= marker <= 0xC3]
        if end is None or len(frames) != 1:
            return False
        sizes.append(frames[0])
        data = data[end + 2 :]
    return len(set(sizes)) == 1


def _decode_strictly(data: bytes) -> None:
    """Raises Unusable where FFmpeg finds the data damaged."""
    decoder = CodecContext.create("mjpeg", "r")
    decoder.options = {"err_detect": "explode"}
    decoder.thread_count = 1
    try:
        frames = [*decoder.decode(Packet(data)), *decoder.decode(None)]
    except av.InvalidDataError as error:
        raise Unusable("damaged: the JPEG data cannot be decoded to the end") from error
    except av.FFmpegError:
        return  # a kind of JPEG that FFmpeg does not know
    if not frames:
        raise Unusable("damaged: the JPEG data cannot be decoded")
