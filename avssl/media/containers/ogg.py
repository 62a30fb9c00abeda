"""Ogg: pages of logical streams (RFC 3533, 4 and 6)."""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterator
from typing import NamedTuple

from avssl.media.containers.mapped import Data

_LARGEST_PAGE = 65_307
_HEAD_BYTES = 27
_MIRRORED = bytes(int(f"{value:08b}"[::-1], 2) for value in range(256))


class Page(NamedTuple):
    start: int
    end: int  # beyond the data where the page is cut
    begins: bool  # the first of its logical stream
    ends: bool  # the last of its logical stream
    stream: int
    number: int
    checksum: int


def pages(data: Data, start: int = 0) -> Iterator[Page]:
    """The pages from this byte on; stops where there is none."""
    while data[start : start + 4] == b"OggS" and start + _HEAD_BYTES <= len(data):
        flags, stream, number, checksum, segments = struct.unpack_from("<xB8xIIIB", data, start + 4)
        lengths = data[start + _HEAD_BYTES : start + _HEAD_BYTES + segments]
        end = start + _HEAD_BYTES + segments + sum(lengths)
        yield Page(start, end, bool(flags & 2), bool(flags & 4), stream, number, checksum)
        start = end


def end(data: Data) -> int:
    """The byte behind the last page, if all streams have ended there."""
    at, running = 0, set[int]()
    for page in pages(data):
        running = running - {page.stream} if page.ends else running | {page.stream}
        at = page.end
    return len(data) if running else at


def second_beginning(data: Data) -> int | None:
    """Logical streams that begin after others ended (chaining)."""
    bodies = False
    for page in pages(data):
        if page.begins and bodies:
            return page.start
        bodies = bodies or not page.begins
    return None


def broken_place(data: Data) -> int | None:
    """Where a page is missing, or its checksum is wrong."""
    at, numbers = 0, dict[int, int]()
    for page in pages(data):
        whole = data[page.start : page.end]
        is_next = page.number == numbers.get(page.stream, page.number)
        if not is_next or _crc(whole[:22] + bytes(4) + whole[26:]) != page.checksum:
            return page.start
        numbers[page.stream] = page.number + 1 & 0xFFFFFFFF
        at = page.end
    return at if at < len(data) else None


def missing(data: Data, size: int) -> str | None:
    """What is missing of the first ``size`` bytes: the last page of a whole stream has the flag "end of stream"."""
    tail = data[max(size - 2 * _LARGEST_PAGE, 0) : size]
    last = next(pages(tail, max(tail.rfind(b"OggS"), 0)), None)
    if last is None or last.end > len(tail):
        return "truncated: the last page is cut off"
    return None if last.ends else "truncated: the end-of-stream page is missing"


def _crc(page: bytes) -> int:
    """CRC-32 with zlib's polynomial, but most significant bit first and not inverted (RFC 3533, 6)."""
    # Mirrored bytes in, a mirrored sum out: zlib's table then serves, at its speed.
    value = zlib.crc32(page.translate(_MIRRORED), 0xFFFFFFFF) ^ 0xFFFFFFFF
    return int(f"{value:032b}"[::-1], 2)
