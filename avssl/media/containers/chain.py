"""Whether the pages, chunks, tags or packets of a container follow each other as their headers say.

Where they do not, FFmpeg looks for the next one that it can make sense of, and says nothing of what it passed over.
"""

from __future__ import annotations

import mmap
import re
import struct
import zlib
from collections.abc import Callable
from pathlib import Path

_MIRRORED = bytes(int(f"{value:08b}"[::-1], 2) for value in range(256))
_AVI_CHUNK = re.compile(rb"\d\d[A-Za-z]{2}|ix\d\d|JUNK|LIST|rec |idx1", re.DOTALL)
_ASF_DATA = bytes.fromhex("3626b2758e66cf11a6d900aa0062ce6c")
ASF_FILE = bytes.fromhex("a1dcab8c47a9cf118ee400c00c205365")


def broken_place(path: str, format_names: set[str], end: int) -> int | None:
    """The byte at which the first part lies that does not follow the one before, or whose checksum is wrong.

    Args:
        format_names: as FFmpeg calls the container; None is answered for one that is not known here.
        end: where the file is over by its own account; junk may follow.
    """
    finder = next((finder for name, finder in _FINDERS.items() if name in format_names), None)
    if finder is None:
        return None
    with Path(path).open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data:
        place = finder(data)
        return None if place is None or place >= end else place


# --- how ------------------------------------------------------------------------------------------------------


def _in_ogg(data: mmap.mmap) -> int | None:
    """Pages carry a checksum and, in each logical stream, a number. RFC 3533, 6."""
    at, numbers = 0, dict[int, int]()
    while at < len(data):
        if at + 27 > len(data) or data[at : at + 4] != b"OggS":
            return at
        serial, number, told = struct.unpack("<III", data[at + 14 : at + 26])
        segments = data[at + 26]
        end = at + 27 + segments + sum(data[at + 27 : at + 27 + segments])
        page = data[at:end]
        if number != numbers.get(serial, number) or _ogg_crc(page[:22] + bytes(4) + page[26:]) != told:
            return at
        numbers[serial] = number + 1 & 0xFFFFFFFF
        at = end
    return None


def _ogg_crc(page: bytes) -> int:
    """CRC-32 with the usual polynomial, but the first bit first and nothing inverted (RFC 3533, 6)."""
    value = zlib.crc32(page.translate(_MIRRORED), 0xFFFFFFFF) ^ 0xFFFFFFFF
    return int(f"{value:032b}"[::-1], 2)


def _in_avi(data: mmap.mmap) -> int | None:
    """The chunks of the lists named movi. Multimedia Programming Interface and Data Specifications 1.0, chapter 2."""
    at = 0
    while data[at : at + 4] == b"RIFF" and at + 12 <= len(data):
        end = _end_of(data, at, len(data))
        part = at + 12
        while part + 12 <= end:
            after = _end_of(data, part, end)
            if data[part : part + 4] == b"LIST" and data[part + 8 : part + 12] == b"movi":
                broken = _in_movi(data, part + 12, after)
                if broken is not None:
                    return broken
            part = after + (after & 1)
        at = end + (end & 1)
    return None


def _in_movi(data: mmap.mmap, at: int, end: int) -> int | None:
    while at + 8 <= end:
        name, size = struct.unpack("<4sI", data[at : at + 8])
        if name == b"LIST":
            size = 4  # a list of records: what is in it follows
        if not _AVI_CHUNK.fullmatch(name) or at + 8 + size > end:
            return at
        at += 8 + size + (size & 1)
    return None


def _end_of(data: mmap.mmap, chunk: int, most: int) -> int:
    """Where a chunk ends; writers that were interrupted leave its length open."""
    size = struct.unpack("<I", data[chunk + 4 : chunk + 8])[0]
    return most if size in (0, 0xFFFFFFFF) else min(chunk + 8 + size, most)


def _in_flv(data: mmap.mmap) -> int | None:
    """Each tag is followed by its length; some writers leave it zero. Adobe FLV specification 10.1, annex E."""
    at = int.from_bytes(data[5:9], "big") + 4
    while at + 11 <= len(data):
        end = at + 11 + int.from_bytes(data[at + 1 : at + 4], "big")
        told = int.from_bytes(data[end : end + 4], "big")
        if data[at] & 0x1F not in (8, 9, 15, 18) or (end + 4 <= len(data) and told not in (0, end - at)):
            return at
        at = end + 4
    return None


def _in_asf(data: mmap.mmap) -> int | None:
    """Data packets are of one size, and begin alike. ASF specification 01.20.06, 3.2, 5.1 and 5.2.1."""
    told = data.find(ASF_FILE, 0, 1 << 20)
    at = 0
    while told >= 0 and at + 50 <= len(data):
        size = struct.unpack("<Q", data[at + 16 : at + 24])[0]
        if data[at : at + 16] == _ASF_DATA:
            least, most = struct.unpack("<II", data[told + 92 : told + 100])
            first, end = at + 50, min(at + size, len(data)) if size > 50 else len(data)
            if least != most or least < 16 or data[first] != 0x82:
                return None
            return next((place for place in range(first, end, least) if data[place : place + 3] != b"\x82\0\0"), None)
        if size < 24:
            return None
        at += size
    return None


_FINDERS: dict[str, Callable[[mmap.mmap], int | None]] = {
    "ogg": _in_ogg,
    "avi": _in_avi,
    "flv": _in_flv,
    "asf": _in_asf,
}
