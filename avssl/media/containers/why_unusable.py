"""Why a file that is not damaged cannot be used: it is encrypted, or a part of a stream without its beginning."""

from __future__ import annotations

import os
import re
import struct
from collections.abc import Iterator
from pathlib import Path
from typing import Any, BinaryIO, cast

import av.logging
from av.container import InputContainer

from avssl.media.containers import ebml

ENCRYPTED = "encrypted"
SEGMENT = "a segment without its initialization (init) segment"
INIT = "an initialization (init) segment without its media"

_MOST_BYTES = 1 << 24
"""Of a table of contents, or of the beginning of a file, nobody needs to read more."""

_BOXES = (b"ftyp", b"styp", b"moof", b"moov", b"sidx", b"emsg", b"prft")
"""With which an MP4 file or a segment of one may begin."""

_TS_PACKET = 188
_TS_TABLES = (0, 1, 0x1FFF)
"""Packet identifiers that are never scrambled: tables and padding (ISO/IEC 13818-1, table 2-3)."""

# ASF specification 01.20.06: 10.8 (content encryption) and 10.9 (extended content encryption), as they lie in a file.
_ASF_START = bytes.fromhex("3026b2758e66cf11")
_ASF_ENCRYPTION = (
    bytes.fromhex("fbb3112223bdd211b4b700a0c955fc6e"),
    bytes.fromhex("14e68a292226174cb935dae07ee9289c"),
)
_EBML, _CLUSTER = ebml.EBML.to_bytes(4, "big"), ebml.CLUSTER.to_bytes(4, "big")

_WITHOUT_DECODER = {
    "ac4": "AC-4",
    "mha1": "MPEG-H 3D Audio",
    "mha2": "MPEG-H 3D Audio",
    "mhm1": "MPEG-H 3D Audio",
    "mhm2": "MPEG-H 3D Audio",
    "mpegh_3d_audio": "MPEG-H 3D Audio",
}
"""What people call the codecs that FFmpeg can name but not decode."""


def obstacle(path: str) -> str | None:
    """What, other than damage, keeps a file from being read: one of the words above, or None.

    Asked of files that cannot be used; looks at the bytes alone.
    """
    if not os.access(path, os.R_OK):
        return None
    with Path(path).open("rb") as file:
        head = file.read(512)
        if head[4:8] in _BOXES:
            return _of_mp4(file)
        if head.startswith((_EBML, _CLUSTER)):
            return _of_matroska(path, head)
        if head.startswith(_ASF_START):
            return _of_asf(file, head)
        if head[:1] == b"G" and head[_TS_PACKET : _TS_PACKET + 1] == b"G":
            return _of_transport_stream(file)
    return None


def is_encrypted_mp4(path: str) -> bool:
    """Whether an MP4 file says so of one of its streams, though some packets may decode: the bits may happen to fit."""
    with Path(path).open("rb") as file:
        for name, start, size in _boxes(file):
            if name == b"moov":
                file.seek(start)
                contents = file.read(min(size, _MOST_BYTES))
                # A protected entry must hold these two (ISO/IEC 14496-12, 8.12); four bytes alone may be a number.
                protected = all(mark in contents for mark in (b"sinf", b"frma"))
                return protected and any(mark in contents for mark in (b"encv", b"enca", b"drms", b"drmi"))
    return False


def without_decoder(container: InputContainer) -> str | None:
    """The first stream of pictures or sound that FFmpeg knows and cannot decode: "no decoder for …"."""
    for line in _described(container).splitlines():
        told = re.search(r"Stream #0:(\d+).*?: (?:Video|Audio): (\w+)[^(,]*(?:\(([^/()]+) / )?", line)
        if told is None or container.streams[int(told[1])].codec_context is not None:
            continue
        codec, tag = told[2], (told[3] or "").strip()
        name = _WITHOUT_DECODER.get(tag.lower()) or _WITHOUT_DECODER.get(codec) or ("" if codec == "none" else codec)
        return f"no decoder for {name} ({tag})" if name and tag else f"no decoder for {name or tag or 'what is in it'}"
    return None


# --- how ------------------------------------------------------------------------------------------------------


def _described(container: InputContainer) -> str:
    """FFmpeg's own description of a container, which it gives to its log alone."""
    before = av.logging.get_level()
    av.logging.set_level(av.logging.INFO)
    try:
        return str(cast("Any", container).dumps_format())  # PyAV's own annotations lack it
    finally:
        av.logging.set_level(before)


def _of_mp4(file: BinaryIO) -> str | None:
    """ISO/IEC 14496-12: 8.12 (protected sample entries), 8.8 (fragments)."""
    names, contents = [], b""
    for name, start, size in _boxes(file):
        names.append(name)
        if name == b"moov":
            file.seek(start)
            contents = file.read(min(size, _MOST_BYTES))
    if any(mark in contents for mark in (b"encv", b"enca", b"drms", b"drmi", b"pssh")) or b"pssh" in names:
        return ENCRYPTED
    if b"moov" not in names:
        return SEGMENT if b"moof" in names else None
    if b"mvex" in contents and b"moof" not in names and b"mdat" not in names:
        return INIT
    return None


def _boxes(file: BinaryIO) -> Iterator[tuple[bytes, int, int]]:
    """The outermost boxes: (type, start, size)."""
    start, end = 0, file.seek(0, 2)
    while start < end:
        file.seek(start)
        head = file.read(16)
        if len(head) < 8:
            return
        size, name = struct.unpack(">I4s", head[:8])
        if size == 1 and len(head) == 16:
            size = struct.unpack(">Q", head[8:])[0]
        size = end - start if size == 0 else size
        if size < 8:
            return
        yield name, start, size
        start += size


def _of_matroska(path: str, head: bytes) -> str | None:
    if head.startswith(_CLUSTER):
        return SEGMENT
    if ebml.is_encrypted(path):
        return ENCRYPTED
    return INIT if ebml.is_init_segment(path) else None


def _of_asf(file: BinaryIO, head: bytes) -> str | None:
    """Whether the header holds an object about encryption. Its length follows its mark of 16 bytes."""
    file.seek(0)
    header = file.read(min(_MOST_BYTES, int.from_bytes(head[16:24], "little")))
    return ENCRYPTED if any(mark in header for mark in _ASF_ENCRYPTION) else None


def _of_transport_stream(file: BinaryIO) -> str | None:
    """transport_scrambling_control of the packets that hold something. ISO/IEC 13818-1, 2.4.3.3."""
    file.seek(0)
    data = file.read(_MOST_BYTES)
    scrambled = clear = 0
    for at in range(0, len(data) - _TS_PACKET + 1, _TS_PACKET):
        if data[at] != 0x47:
            return None
        if ((data[at + 1] & 31) << 8 | data[at + 2]) not in _TS_TABLES and data[at + 3] & 0x10:
            scrambled += data[at + 3] >> 6 != 0
            clear += data[at + 3] >> 6 == 0
    return ENCRYPTED if scrambled > clear else None
