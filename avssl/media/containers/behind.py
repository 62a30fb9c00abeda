"""Bytes behind the end of a file: tags, line breaks, padding of downloads. Players pass over them, and a flag tells."""

from __future__ import annotations

import mmap
import struct
from collections.abc import Callable
from pathlib import Path

from avssl.media.containers.ebml import EBML, SEGMENT, elements
from avssl.media.containers.joined_files import transport_grid

_VOID, _CRC = 0xEC, 0xBF
_MAY_RUN_OVER = {b"mdat", b"moov", b"moof", b"mfra", b"free", b"skip", b"wide", b"uuid", b"udta", b"meta", b"sidx"}
"""Boxes that are boxes even where they claim more bytes than there are."""
_ASF_DATA = bytes.fromhex("3626b2758e66cf11a6d900aa0062ce6c")
_ASF_OBJECTS = {
    _ASF_DATA,
    bytes.fromhex("3026b2758e66cf11a6d900aa0062ce6c"),
    bytes.fromhex("90080033b1e5cf1189f400a0c90349cb"),
    bytes.fromhex("d329e2d6da35d111903400a0c90349be"),
    bytes.fromhex("f803b1fead12644c840f2a1d2f7ad48c"),
    bytes.fromhex("d03fb73c4a0c0348953dedf7b6228f0c"),
}
"""Data, header, simple index, index, media object index, timecode index (ASF specification 01.20.06, 10.1)."""
_SECTOR = 512
_LEFT_OPEN = (0, 0xFFFFFFFF)
_PROGRAM_END = 0xB9
_SMALLEST_FLAC_FRAME = 8


def end_of_file(path: str, format_names: set[str]) -> int:
    """The byte at which a file is over by its own account; its size where it gives none.

    Args:
        format_names: as FFmpeg calls its container.
    """
    size = Path(path).stat().st_size
    finder = next((finder for name, finder in _FINDERS.items() if name in format_names), None)
    if finder is None:
        return size
    with Path(path).open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data:
        end = min(finder(data), size)
        # Some writers (VirtualDub) fill up the last sector of the disk, with zeros or with what they wrote before.
        is_padding = size % _SECTOR == 0 and size - end < _SECTOR
        return size if is_padding else end


def flac_frame_is_followed(packet: bytes) -> bool:
    """Whether a frame of FLAC is over before the bytes are: it ends with a CRC-16 of itself (RFC 9639, 9.3).

    Up to two zeros behind it may as well be the sum.
    """
    total, ends_before, zero_since = 0, False, 0
    for place, value in enumerate(packet):
        ends_before |= total == 0 and place >= _SMALLEST_FLAC_FRAME
        total = (total << 8 & 0xFF00) ^ _CRC_16[total >> 8 ^ value]
        zero_since = place + 1 if total else zero_since
    return ends_before and (total != 0 or len(packet) - zero_since > 3)


# --- how ------------------------------------------------------------------------------------------------------


def _crc_16(value: int) -> int:
    """A row of the table for the polynomial x^16 + x^15 + x^2 + 1."""
    value <<= 8
    for _ in range(8):
        value = value << 1 ^ (0x18005 if value & 0x8000 else 0)
    return value


_CRC_16 = [_crc_16(value) for value in range(256)]


def _of_mp4(data: mmap.mmap) -> int:
    """ISO/IEC 14496-12, 4.2."""
    at = 0
    while at + 8 <= len(data):
        size, name = struct.unpack(">I4s", data[at : at + 8])
        if size == 1:
            size = int.from_bytes(data[at + 8 : at + 16], "big")
        if not all(0x20 <= letter < 0x7F or letter == 0xA9 for letter in name):
            return at
        if size == 0 or (at + size > len(data) and name in _MAY_RUN_OVER):
            return len(data)
        if size < 8 or at + size > len(data):
            return at
        at += size
    return at


def _of_matroska(data: mmap.mmap) -> int:
    end = 0
    for part in elements(data, 0, len(data)):
        if part.id not in (EBML, SEGMENT, _VOID, _CRC):
            break
        end = part.end
    return end


def _of_ogg(data: mmap.mmap) -> int:
    """All streams have ended, and no page follows. RFC 3533, 6."""
    at, running = 0, set[bytes]()
    while data[at : at + 4] == b"OggS" and at + 27 <= len(data):
        serial = data[at + 14 : at + 18]
        running = running - {serial} if data[at + 5] & 4 else running | {serial}
        segments = data[at + 26]
        at += 27 + segments + sum(data[at + 27 : at + 27 + segments])
    return len(data) if running else at


def _of_avi(data: mmap.mmap) -> int:
    at = 0
    while data[at : at + 4] == b"RIFF" and data[at + 8 : at + 11] == b"AVI":
        size = int.from_bytes(data[at + 4 : at + 8], "little")
        if size in _LEFT_OPEN:
            return len(data)
        at += 8 + size + (size & 1)
    return at


def _of_flv(data: mmap.mmap) -> int:
    """What its metadata say, if anything. Adobe FLV specification 10.1, E.5."""
    name = b"\0\x08filesize\0"
    at = data.find(name, 0, 1 << 16)
    told = struct.unpack(">d", data[at + len(name) : at + len(name) + 8])[0] if at >= 0 else 0.0
    return int(told) if 0 < told < len(data) else len(data)


def _of_asf(data: mmap.mmap) -> int:
    at = 0
    while data[at : at + 16] in _ASF_OBJECTS and at + 24 <= len(data):
        size = int.from_bytes(data[at + 16 : at + 24], "little")
        if size < 24:
            return len(data)
        at += size
    return at


def _of_program_stream(data: mmap.mmap) -> int:
    """Where the last pack ends. ISO/IEC 13818-1, 2.4.3.6 and 2.5.3, and 11172-1 (the older, shorter header)."""
    at = data.rfind(b"\0\0\1\xba")
    if at < 0 or at + 14 > len(data):
        return len(data)
    at += 14 + (data[at + 13] & 7) if data[at + 4] >> 6 == 1 else 12
    while data[at : at + 3] == b"\0\0\1" and at + 6 <= len(data):
        at += 4 if data[at + 3] == _PROGRAM_END else 6 + int.from_bytes(data[at + 4 : at + 6], "big")
    return at


def _of_transport_stream(data: mmap.mmap) -> int:
    start, step = transport_grid(data)
    if not step:
        return len(data)
    count = (len(data) - start + step - 188) // step
    whole = count
    while count and data[start + (count - 1) * step] != 0x47:
        count -= 1
    end = start + (count - 1) * step + 188
    is_cut = count == whole and data[start + count * step : start + count * step + 1] in (b"", b"G")
    return len(data) if is_cut else end


def _of_tta(data: mmap.mmap) -> int:
    """Frames of 256/245 s, whose lengths lie before them (TTA1 format: header, table, frames)."""
    at = 0
    if data[:3] == b"ID3":
        at = 10 + (data[6] << 21 | data[7] << 14 | data[8] << 7 | data[9])
    if data[at : at + 4] != b"TTA1" or len(data) < at + 22:
        return len(data)
    rate, samples = struct.unpack("<II", data[at + 10 : at + 18])
    frames = -(-samples // max(256 * rate // 245, 1))
    table = data[at + 22 : at + 22 + 4 * frames]
    sizes = struct.iter_unpack("<I", table[: len(table) // 4 * 4])
    end: int = at + 22 + 4 * frames + 4 + sum(size for (size,) in sizes)
    if data[end : end + 8] == b"APETAGEX":  # where its tags belong; the length leaves out their head of 32 bytes
        end += 32 + int.from_bytes(data[end + 12 : end + 16], "little")
    return end


def _of_wave64(data: mmap.mmap) -> int:
    """The length behind the name (GUID) of the whole counts from its start."""
    size = int.from_bytes(data[16:24], "little")
    return (size + 7) // 8 * 8 if 24 < size < len(data) else len(data)


def _of_gif(data: mmap.mmap) -> int:
    """Blocks up to the trailer (GIF89a, 17 to 27)."""
    at = 13 + (3 << (data[10] & 7) + 1 if data[10] & 0x80 else 0)
    while at + 10 < len(data) and data[at] in (0x21, 0x2C):
        table = data[at + 9]
        if data[at] == 0x21:
            at += 2
        else:
            at += 11 + (3 << (table & 7) + 1 if table & 0x80 else 0)
        while at < len(data) and data[at]:
            at += 1 + data[at]
        at += 1
    return at + 1 if at < len(data) and data[at] == 0x3B else len(data)


_FINDERS: dict[str, Callable[[mmap.mmap], int]] = {
    "mp4": _of_mp4,
    "matroska": _of_matroska,
    "ogg": _of_ogg,
    "avi": _of_avi,
    "flv": _of_flv,
    "asf": _of_asf,
    "mpeg": _of_program_stream,
    "mpegts": _of_transport_stream,
    "tta": _of_tta,
    "w64": _of_wave64,
    "gif": _of_gif,
}
