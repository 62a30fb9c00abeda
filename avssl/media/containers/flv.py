"""FLV: tags, each followed by its length (Adobe FLV specification 10.1, annex E)."""

from __future__ import annotations

import struct
from collections.abc import Iterator

from avssl.media.containers.mapped import Data

_TAG_HEAD_BYTES = 11


def tags(data: Data) -> Iterator[tuple[int, int]]:
    """The tags: (start, end)."""
    start = int.from_bytes(data[5:9], "big") + 4
    while start + _TAG_HEAD_BYTES <= len(data):
        end = start + _TAG_HEAD_BYTES + int.from_bytes(data[start + 1 : start + 4], "big")
        yield start, end
        start = end + 4


def end(data: Data) -> int:
    """The size of the file by its metadata, if they have one (E.5)."""
    name = b"\0\x08filesize\0"
    at = data.find(name, 0, 1 << 16)
    size = struct.unpack_from(">d", data, at + len(name))[0] if at >= 0 else 0.0
    return int(size) if 0 < size < len(data) else len(data)


def second_beginning(data: Data) -> int | None:
    return next((start for start, _ in tags(data) if data[start : start + 4] == b"FLV\1"), None)


def broken_place(data: Data) -> int | None:
    """Where a tag is of an unknown kind, or followed by another length than its own; some writers leave that zero."""
    for start, end in tags(data):
        length = int.from_bytes(data[end : end + 4], "big")
        if data[start] & 0x1F not in (8, 9, 15, 18) or (end + 4 <= len(data) and length not in (0, end - start)):
            return start
    return None
