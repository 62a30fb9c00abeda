"""MP4, MOV and related formats: files made of boxes (ISO/IEC 14496-12)."""

from __future__ import annotations

import struct
from collections.abc import Iterator
from typing import NamedTuple

from avssl.media.containers.mapped import Data

# Boxes that are taken for boxes even where they claim more bytes than there are: cut, not junk.
_MAY_RUN_OVER = {b"mdat", b"moov", b"moof", b"mfra", b"free", b"skip", b"wide", b"uuid", b"udta", b"meta", b"sidx"}


class Box(NamedTuple):
    name: bytes
    start: int
    end: int


def boxes(data: Data) -> Iterator[Box]:
    """The outermost boxes (4.2), up to where there is none. The last may claim more bytes than there are."""
    start = 0
    while start + 8 <= len(data):
        size, name = struct.unpack_from(">I4s", data, start)
        if size == 1 and start + 16 <= len(data):  # a large size follows the name
            size = struct.unpack_from(">Q", data, start + 8)[0]
        size = size or len(data) - start  # 0: to the end of the file
        if size < 8:
            return
        yield Box(name, start, start + size)
        start += size


def end(data: Data) -> int:
    """The byte behind the last box."""
    at = 0
    for box in boxes(data):
        if not all(0x20 <= letter < 0x7F or letter == 0xA9 for letter in box.name):
            break
        if box.end > len(data):
            return len(data) if box.name in _MAY_RUN_OVER else box.start
        at = box.end
    return at


def second_beginning(data: Data) -> int | None:
    """A second moov box. An equal one does no harm in fragmented files (mvex): live streams repeat it."""
    first = b""
    for box in boxes(data):
        if box.name == b"moov" and box.end <= len(data):
            contents = data[box.start : box.end]
            if first and (contents != first or b"mvex" not in first):
                return box.start
            first = contents
    return None


def missing_index(data: Data) -> str | None:
    """A reason where the index is missing or runs over the end of the file."""
    index = [box for box in boxes(data) if box.name in (b"moov", b"moof")]
    if not index:
        return "truncated: the index (moov box) of this MP4 file is missing"
    if any(box.end > len(data) for box in index):
        return "truncated: the index of this MP4 file is cut off"
    return None
