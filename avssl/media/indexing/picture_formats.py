"""Picture formats that are refused by name, because FFmpeg would read them as a video of one frame."""

from __future__ import annotations

import struct
from pathlib import Path

import av
from av.container import InputContainer
from av.video.stream import VideoStream

from avssl.media.containers.mapped import mapped
from avssl.media.containers.mp4 import boxes
from avssl.media.facts import Unusable
from avssl.media.indexing.check_image import are_many_jpegs

CONVERT = "convert it to PNG or JPEG"

# ISO/IEC 23008-12, annex B; AV1 Image File Format, 7.1.
_STILL_BRANDS = {b"avif": "AVIF", b"heic": "HEIC", b"heix": "HEIC", b"heim": "HEIC", b"heis": "HEIC", b"mif1": "HEIF"}

# Formats of FFmpeg that hold pictures, beside those whose names end in _pipe.
_PICTURE_FORMATS = {"ico", "fits", "msp", "iff", "alias_pix", "brender_pix", "jpegxl_anim"}
_BY_SUFFIX = "image2"  # FFmpeg takes this one for the file's suffix, whatever the file holds
_NAMES = {
    "jpegxl": "JPEG XL", "jpegxl_anim": "JPEG XL", "jpegls": "JPEG-LS", "jpegxs": "JPEG XS", "j2k": "JPEG 2000",
    "sunrast": "Sun raster", "photocd": "Photo CD", "hdr": "Radiance HDR", "exr": "OpenEXR", "targa": "TGA",
    "mjpeg": "JPEG", "jpeg2000": "JPEG 2000", "webp": "WebP",
}  # fmt: skip
_ENOUGH_BYTES = 1 << 26  # three pictures of a film are not larger
_READ = {"PNG", "JPEG", "GIF", "WebP", "BMP", "JPEG 2000", "PPM", "PGM", "PBM", "TIFF"}


def must_not_be_heif(path: str) -> None:
    """Raises Unusable at a HEIF file without a movie: a picture (HEIC from phones, AVIF)."""
    with mapped(path) as data:
        head = data[:256]
        if head[4:8] != b"ftyp" or {b"moov", b"moof"} & {box.name for box in boxes(data)}:
            return
    size = min(struct.unpack(">I", head[:4])[0], len(head))
    brands = [head[8:12], *(head[at : at + 4] for at in range(16, size - 3, 4))]
    kind = next((_STILL_BRANDS[brand] for brand in brands if brand in _STILL_BRANDS), None)
    if kind is not None:
        raise Unusable(f"not supported: a {kind} picture; {CONVERT}")


def must_be_no_picture(path: str, container: InputContainer) -> None:
    """Raises Unusable if FFmpeg opened the file as one picture, or as a document."""
    with Path(path).open("rb") as file:
        head = file.read(5)
        if head == b"%PDF-":  # FFmpeg finds the JPEGs inside
            raise Unusable("not media")
        if container.format.name == "jpeg_pipe" and are_many_jpegs(head + file.read(_ENOUGH_BYTES)):
            return
    kind = _picture_in(container)
    if kind in _READ:
        raise Unusable(f"not supported: a {kind} picture that is damaged or of a rare kind; {CONVERT}")
    if kind is not None:
        raise Unusable(f"not supported: picture format {kind}; {CONVERT}")


def must_be_more_than_a_picture(container: InputContainer, stream: VideoStream, packets: int) -> None:
    """Raises Unusable where the only stream is one intra-coded packet without a duration: a misnamed picture."""
    codec, untimed = stream.codec_context.codec, not container.duration and not stream.duration
    if packets == 1 and ((untimed and codec.intra_only) or container.format.name in ("gif", "apng")):
        raise Unusable(f"not supported: a {_named(codec.name)} picture that is damaged or of a rare kind; {CONVERT}")


def _picture_in(container: InputContainer) -> str | None:
    """The name of the kind of picture, None for anything else."""
    name = container.format.name
    if name == _BY_SUFFIX:
        codec = container.streams.video[0].codec_context if container.streams.video else None
        if codec is None or not _decodes(container):
            raise Unusable("not media")
        return _named(codec.name)
    if name.endswith("_pipe") or name in _PICTURE_FORMATS:
        return _named(name.removesuffix("_pipe"))
    return None


def _named(name: str) -> str:
    return _NAMES.get(name, name.upper())


def _decodes(container: InputContainer) -> bool:
    try:
        return any(True for _ in container.decode(video=0))
    except av.FFmpegError:
        return False
