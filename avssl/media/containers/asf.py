"""ASF (WMV, WMA): objects named by 16 bytes (ASF specification 01.20.06)."""

from __future__ import annotations

import struct
from collections.abc import Iterator

from avssl.media.containers.mapped import Data

HEADER = bytes.fromhex("3026b2758e66cf11a6d900aa0062ce6c")
_FILE = bytes.fromhex("a1dcab8c47a9cf118ee400c00c205365")
_DATA = bytes.fromhex("3626b2758e66cf11a6d900aa0062ce6c")
# Data, header, simple index, index, media object index, timecode index (10.1).
_OBJECTS = {
    _DATA,
    HEADER,
    bytes.fromhex("90080033b1e5cf1189f400a0c90349cb"),
    bytes.fromhex("d329e2d6da35d111903400a0c90349be"),
    bytes.fromhex("f803b1fead12644c840f2a1d2f7ad48c"),
    bytes.fromhex("d03fb73c4a0c0348953dedf7b6228f0c"),
}
# Content encryption and extended content encryption (10.8, 10.9). GUIDs are stored with their first three parts
# little-endian, so that these bytes differ from their spelling in the specification.
_ENCRYPTION = (bytes.fromhex("fbb3112223bdd211b4b700a0c955fc6e"), bytes.fromhex("14e68a292226174cb935dae07ee9289c"))


def objects(data: Data) -> Iterator[tuple[bytes, int, int]]:
    """The objects: (name, start, size). Stops after one of an impossible size."""
    start = 0
    while start + 24 <= len(data):
        name, size = struct.unpack_from("<16sQ", data, start)
        yield name, start, size
        if size < 24:
            return
        start += size


def end(data: Data) -> int:
    """The byte behind the last object."""
    at = 0
    for name, start, size in objects(data):
        if name not in _OBJECTS:
            break
        if size < 24:
            return len(data)
        at = start + size
    return at


def claimed_end(data: Data) -> int | None:
    """The size of the file by its header; None in a broadcast (3.2)."""
    at = data.find(_FILE, 0, 1 << 16)
    if at < 0 or at + 92 > len(data) or data[at + 88] & 1:
        return None
    return int.from_bytes(data[at + 40 : at + 48], "little")


def second_beginning(data: Data) -> int | None:
    return next((start for name, start, _ in objects(data) if start and name == HEADER), None)


def broken_place(data: Data) -> int | None:
    """Where a data packet does not begin like the others: all have one size (3.2, 5.1, 5.2.1)."""
    file = data.find(_FILE, 0, 1 << 20)
    found = next(((start, size) for name, start, size in objects(data) if name == _DATA), None)
    if file < 0 or found is None or found[0] + 50 > len(data):
        return None
    start, size = found
    least, most = struct.unpack_from("<II", data, file + 92)
    # 50 bytes of the data object precede its packets. A live stream leaves its size open.
    first, end = start + 50, min(start + size, len(data)) if size > 50 else len(data)
    if least != most or least < 16 or data[first] != 0x82:
        return None
    return next((at for at in range(first, end, least) if data[at : at + 3] != b"\x82\0\0"), None)


def is_encrypted(data: Data) -> bool:
    """Whether the header holds an object about encryption."""
    header = data[: min(int.from_bytes(data[16:24], "little"), 1 << 24)]
    return any(mark in header for mark in _ENCRYPTION)
