"""Why an intact file cannot be used: it is encrypted, or a segment of a stream without its beginning."""

from __future__ import annotations

import os
import re
from typing import Any, cast

import av.logging
from av.container import InputContainer

from avssl.media.containers import asf, matroska, mpegts
from avssl.media.containers.mapped import Data, mapped
from avssl.media.containers.mp4 import Box, boxes

ENCRYPTED = "encrypted"
SEGMENT = "a segment without its initialization (init) segment"
INIT = "an initialization (init) segment without its media"

_MOST_BYTES = 1 << 24  # the most that is read of a table of contents, or of the beginning of a file

# Boxes that an MP4 file or a segment of one may begin with.
_BOXES = (b"ftyp", b"styp", b"moof", b"moov", b"sidx", b"emsg", b"prft")

_EBML, _CLUSTER = matroska.EBML.to_bytes(4, "big"), matroska.CLUSTER.to_bytes(4, "big")
_PROTECTED = (b"encv", b"enca", b"drms", b"drmi")

# Common names of codecs that FFmpeg can name but not decode.
_WITHOUT_DECODER = {
    "ac4": "AC-4",
    "mha1": "MPEG-H 3D Audio",
    "mha2": "MPEG-H 3D Audio",
    "mhm1": "MPEG-H 3D Audio",
    "mhm2": "MPEG-H 3D Audio",
    "mpegh_3d_audio": "MPEG-H 3D Audio",
}


def why_unusable(path: str) -> str | None:
    """One of the reasons above, or None, for a file that cannot be used; by its bytes alone."""
    if not os.access(path, os.R_OK):
        return None
    with mapped(path) as data:
        if data[4:8] in _BOXES:
            return _of_mp4(data)
        if data[:4] in (_EBML, _CLUSTER):
            return _of_matroska(data)
        if data[:8] == asf.HEADER[:8]:
            return ENCRYPTED if asf.is_encrypted(data) else None
        if data[:1] == b"G" == data[mpegts.PACKET_BYTES : mpegts.PACKET_BYTES + 1]:
            return ENCRYPTED if mpegts.is_encrypted(data[:_MOST_BYTES]) else None
    return None


def is_encrypted_mp4(path: str) -> bool:
    """Whether a stream of an MP4 file is marked as encrypted; some of its packets may still decode by accident."""
    with mapped(path) as data:
        contents = next((_contents(data, box) for box in boxes(data) if box.name == b"moov"), b"")
    # A protected entry must hold these two (ISO/IEC 14496-12, 8.12); four bytes alone may be a number.
    protected = all(mark in contents for mark in (b"sinf", b"frma"))
    return protected and any(mark in contents for mark in _PROTECTED)


def without_decoder(container: InputContainer) -> str | None:
    """A reason, "no decoder for …", for the first stream that FFmpeg knows and cannot decode."""
    for line in _described(container).splitlines():
        match = re.search(r"Stream #0:(\d+).*?: (?:Video|Audio): (\w+)[^(,]*(?:\(([^/()]+) / )?", line)
        if match is None or container.streams[int(match[1])].codec_context is not None:
            continue
        codec, tag = match[2], (match[3] or "").strip()
        name = _WITHOUT_DECODER.get(tag.lower()) or _WITHOUT_DECODER.get(codec) or ("" if codec == "none" else codec)
        return f"no decoder for {name} ({tag})" if name and tag else f"no decoder for {name or tag or 'what is in it'}"
    return None


def _described(container: InputContainer) -> str:
    """FFmpeg's description of a container: PyAV exposes neither name nor tag of a codec without a decoder."""
    before = av.logging.get_level()
    av.logging.set_level(av.logging.INFO)  # PyAV takes it from FFmpeg's log, which drops it at higher levels
    try:
        return str(cast("Any", container).dumps_format())  # PyAV's own annotations lack it
    finally:
        av.logging.set_level(before)


def _of_mp4(data: Data) -> str | None:
    """ISO/IEC 14496-12: 8.12 (protected sample entries), 8.8 (fragments)."""
    found = list(boxes(data))
    names = {box.name for box in found}
    contents = next((_contents(data, box) for box in reversed(found) if box.name == b"moov"), b"")
    if any(mark in contents for mark in (*_PROTECTED, b"pssh")) or b"pssh" in names:
        return ENCRYPTED
    if b"moov" not in names:
        return SEGMENT if b"moof" in names else None
    return INIT if b"mvex" in contents and not names & {b"moof", b"mdat"} else None


def _contents(data: Data, box: Box) -> bytes:
    return data[box.start : min(box.end, box.start + _MOST_BYTES)]


def _of_matroska(data: Data) -> str | None:
    if data[:4] == _CLUSTER:
        return SEGMENT
    if matroska.is_encrypted(data):
        return ENCRYPTED
    return INIT if matroska.is_init_segment(data) else None
