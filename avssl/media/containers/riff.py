"""AVI, WAV and other files made of chunks.

Sources: Multimedia Programming Interface and Data Specifications 1.0, chapter 2; OpenDML AVI file format extensions.
"""

from __future__ import annotations

import re
import struct
from collections.abc import Iterator
from typing import NamedTuple

from avssl.media.containers.mapped import Data

LEFT_OPEN = (0, 0xFFFFFFFF)  # lengths in files written to a pipe, where the writer could not seek back to fill them in
_AVI_CHUNK = re.compile(rb"\d\d[A-Za-z]{2}|ix\d\d|JUNK|LIST|rec |idx1", re.DOTALL)


class Chunk(NamedTuple):
    name: bytes
    start: int
    content: int
    size: int  # of the content


def chunks(data: Data, start: int, head: str = "<4sI") -> Iterator[Chunk]:
    """The chunks from this byte on, each padded to an even length.

    Args:
        head: ``struct`` format of name and length; chunks of CAF (">4sq") are not padded.
    """
    length = struct.calcsize(head)
    while start >= 0 and start + length <= len(data):
        name, size = struct.unpack_from(head, data, start)
        yield Chunk(name, start, start + length, size)
        start += length + size + (size & 1 if head != ">4sq" else 0)


def end(data: Data) -> int:
    """The byte behind the last chunk RIFF of an AVI."""
    at = 0
    for chunk in chunks(data, 0):
        if chunk.name != b"RIFF" or data[chunk.content : chunk.content + 3] != b"AVI":
            break
        if chunk.size in LEFT_OPEN:
            return len(data)
        at = chunk.content + chunk.size + (chunk.size & 1)
    return at


def first_end(data: Data) -> int | None:
    """Where the first chunk RIFF ends; None where its length was left open."""
    first = next(chunks(data, 0), None)
    return None if first is None or first.name != b"RIFF" or first.size in LEFT_OPEN else first.content + first.size


def second_beginning(data: Data) -> int | None:
    """Long files go on in chunks RIFF AVIX; RIFF AVI begins a new one."""
    for chunk in chunks(data, 0):
        if chunk.name != b"RIFF":
            return None
        if chunk.start and data[chunk.content : chunk.content + 4] == b"AVI ":
            return chunk.start
    return None


def broken_place(data: Data) -> int | None:
    """Where a chunk in a movi list does not follow the one before."""
    at = 0
    while data[at : at + 4] == b"RIFF" and at + 12 <= len(data):
        riff_end = _end_of(data, at, len(data))
        part = at + 12
        while part + 12 <= riff_end:
            part_end = _end_of(data, part, riff_end)
            if data[part : part + 4] == b"LIST" and data[part + 8 : part + 12] == b"movi":
                broken = _in_movi(data, part + 12, part_end)
                if broken is not None:
                    return broken
            part = part_end + (part_end & 1)
        at = riff_end + (riff_end & 1)
    return None


def _in_movi(data: Data, at: int, end: int) -> int | None:
    while at + 8 <= end:
        name, size = struct.unpack_from("<4sI", data, at)
        if name == b"LIST":
            size = 4  # a list of records: what is in it follows
        if not _AVI_CHUNK.fullmatch(name) or at + 8 + size > end:
            return at
        at += 8 + size + (size & 1)
    return None


def _end_of(data: Data, chunk: int, most: int) -> int:
    size = struct.unpack_from("<I", data, chunk + 4)[0]
    return most if size in LEFT_OPEN else min(chunk + 8 + size, most)
