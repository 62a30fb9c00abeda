"""Matroska and WebM: elements, their lengths and checksums (RFC 8794, RFC 9559)."""

from __future__ import annotations

import zlib
from collections.abc import Iterator
from typing import NamedTuple

from avssl.media.containers.mapped import Data

EBML, SEGMENT, CLUSTER, TRACKS = 0x1A45DFA3, 0x18538067, 0x1F43B675, 0x1654AE6B
_CRC, _VOID, _TIMESTAMP, _INFO, _SCALE = 0xBF, 0xEC, 0xE7, 0x1549A966, 0x2AD7B1
# And SeekHead, Cues, Attachments, Chapters, Tags.
_OF_SEGMENT = {CLUSTER, TRACKS, _INFO, 0x114D9B74, 0x1C53BB6B, 0x1941A469, 0x1043A770, 0x1254C367, _CRC, _VOID}
# SimpleBlock, BlockGroup, PrevSize, Position, SilentTracks, EncryptedBlock.
_OF_CLUSTER = {_TIMESTAMP, 0xA3, 0xA0, 0xAB, 0xA7, 0x5854, 0xAF, _CRC, _VOID}
# Tracks, TrackEntry, ContentEncodings, ContentEncoding, ContentEncryption.
_ENCRYPTION = (TRACKS, 0xAE, 0x6D80, 0x6240, 0x5035)


class Element(NamedTuple):
    """One element. Where its size is unknown (a live stream), ``end`` is that of its parent."""

    id: int
    start: int
    content: int
    end: int
    is_open: bool


def elements(data: Data, start: int, end: int) -> Iterator[Element]:
    """The elements between two places; ends where there is none."""
    while start < end:
        # Leading zero bits count the bytes of an ID or a size (RFC 8794, 4.1); a size of all ones is unknown (6.2).
        id_length = 9 - data[start].bit_length()
        if id_length > 4 or start + id_length >= end:
            return
        size_length = 9 - data[start + id_length].bit_length()
        content = start + id_length + size_length
        if size_length > 8 or content > end:
            return
        size = int.from_bytes(data[start + id_length : content], "big") & ((1 << 7 * size_length) - 1)
        is_open = size == (1 << 7 * size_length) - 1
        after = end if is_open else content + size
        yield Element(int.from_bytes(data[start : start + id_length], "big"), start, content, after, is_open)
        start = after


def end(data: Data) -> int:
    """The byte behind the last element that belongs to the file."""
    at = 0
    for part in elements(data, 0, len(data)):
        if part.id not in (EBML, SEGMENT, _VOID, _CRC):
            break
        at = part.end
    return at


def segment_end(data: Data) -> int | None:
    """Where the segment ends by its own size; None where it is left open."""
    segment = _segment(data)
    return None if segment is None or segment.is_open else segment.end


def second_beginning(data: Data) -> int | None:
    """Where another file begins behind the segment, or inside a segment of unknown size."""
    seen = False
    for part in elements(data, 0, len(data)):
        if part.id == EBML and seen:
            return part.start
        seen = seen or part.id == SEGMENT
        if part.id == SEGMENT and part.is_open:
            return _head_in_live_stream(data, part.content)
    return None


def is_encrypted(data: Data) -> bool:
    """Whether blocks of any track are encrypted."""
    found = [segment for segment in elements(data, 0, len(data)) if segment.id == SEGMENT]
    for wanted in _ENCRYPTION:
        found = [part for parent in found for part in _parts(data, parent, wanted)]
    return bool(found)


def is_init_segment(data: Data) -> bool:
    """Whether it has tracks and no clusters, and is not cut."""
    segment = _segment(data)
    if segment is None or segment.end > len(data):
        return False
    parts = list(elements(data, segment.content, segment.end))
    named = {part.id for part in parts}
    return TRACKS in named and CLUSTER not in named and parts[-1].end <= len(data)


def first_damage(data: Data) -> float | None:
    """Where lengths or a checksum are wrong: seconds after the first cluster, or None."""
    segment = _segment(data)
    return None if segment is None else _first_damage(data, segment._replace(end=min(segment.end, len(data))))


def _segment(data: Data) -> Element | None:
    return next((element for element in elements(data, 0, len(data)) if element.id == SEGMENT), None)


def _head_in_live_stream(data: Data, start: int) -> int | None:
    """Where EBML begins again in a segment of unknown size; clusters of unknown size contain all that follows."""
    while True:
        for part in elements(data, start, len(data)):
            if part.id == EBML:
                return part.start
            if part.id == CLUSTER and part.is_open:
                start = part.content
                break
        else:
            return None


def _parts(data: Data, parent: Element, wanted: int) -> list[Element]:
    end = min(parent.end, len(data))
    return [part for part in elements(data, parent.content, end) if part.id == wanted and part.end <= end]


def _first_damage(data: Data, segment: Element) -> float | None:
    scale, first, last = 1_000_000, None, 0
    start = segment.content
    for part in elements(data, segment.content, segment.end):
        if part.id not in _OF_SEGMENT or part.end > segment.end:
            break
        start = part.end
        if part.id == CLUSTER:
            last = next((_number(data, stamp) for stamp in _parts(data, part, _TIMESTAMP)), last)
            first = last if first is None else first
        if part.id == _INFO:
            scale = next((_number(data, part) for part in _parts(data, part, _SCALE)), scale)
        if part.id == CLUSTER and part.is_open:
            return None  # a live stream: each cluster seems to contain the next, and has no checksum
        if not _is_whole(data, part):
            break
    else:
        if start >= segment.end:
            return None
    return (last - (first or 0)) * scale / 1e9


def _is_whole(data: Data, part: Element) -> bool:
    first = next(elements(data, part.content, part.end), None)
    if first is not None and first.id == _CRC and first.end - first.content == 4:
        checksum = int.from_bytes(data[first.content : first.end], "little")
        with memoryview(data) as view:
            if zlib.crc32(view[first.end : part.end]) != checksum:
                return False
    if part.id != CLUSTER:
        return True
    at = part.content
    for block in elements(data, part.content, part.end):
        if block.id not in _OF_CLUSTER or block.end > part.end:
            return False
        at = block.end
    return at == part.end


def _number(data: Data, element: Element) -> int:
    return int.from_bytes(data[element.content : element.end], "big")
