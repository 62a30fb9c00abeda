"""Whether all of a file is there, going by what its container says of itself."""

from __future__ import annotations

import os
import struct
from pathlib import Path
from typing import BinaryIO

from av.container import InputContainer

from avssl.media.containers.chain import ASF_FILE
from avssl.media.containers.ebml import first_damage

TAIL_BYTES = 1 << 17
"""An Ogg page has at most 65,307 bytes (RFC 3533), so the last one of a file lies in here."""

SHORTFALL_SECONDS = 0.5
SHORTFALL_SHARE = 0.1
"""A header may claim a little more time than the packets fill; this much more means that some are missing."""

_MEDIA_STARTS = (
    b"\x1aE\xdf\xa3",  # Matroska, WebM
    b"OggS",
    b"FLV\x01",
    b"RIFF",
    b"\x00\x00\x01\xba",  # MPEG program stream
    b"\x00\x00\x01\xb3",  # MPEG video
    b"fLaC",
    b"RF64",
    b"riff\x2e\x91\xcf\x11",  # Wave64
    b"FORM",  # AIFF
    b"caff",
    b".snd",
    b"wvpk",
    b"TTA1",
    b"ID3",
    b"0&\xb2u\x8ef\xcf\x11",  # ASF, WMV
)
_BOXES = {b"ftyp", b"moov", b"mdat", b"free", b"skip", b"wide", b"pnot", b"styp", b"moof"}


def why_not_opened(path: str, words: str) -> str:
    """Why FFmpeg cannot open a file, in words that are true of it; ``words`` are FFmpeg's own."""
    with Path(path).open("rb") as file:
        head = file.read(512)
        if head[4:8] in _BOXES:
            return _cut_index(file) or f"unreadable: a damaged MP4 file ({words})"
    transport = len(head) > 188 and head[0] == head[188] == 0x47
    if head.startswith(_MEDIA_STARTS) or transport:
        return f"unreadable: a damaged file ({words})"
    return "not media"


def what_is_missing(path: str, container: InputContainer, end_seconds: float, end: int) -> str | None:
    """What the container shows to be missing, once all packets have been read; None if nothing.

    Args:
        end_seconds: where the last packet ends, container time.
        end: the byte at which the file is over by its own account; junk may follow.
    """
    size = Path(path).stat().st_size
    names = set(container.format.name.split(","))
    early = _early_end(container, end_seconds) if names & {"flv", "flac", "matroska", "asf"} else None
    if end < size and "asf" in names:
        early = None  # FFmpeg then takes the duration from the size of the file
    with Path(path).open("rb") as file:
        if names & {"mp4", "mov"}:
            missing = _cut_index(file) or _short_mp4(container, size)
        elif "matroska" in names:
            missing = _short_of(_matroska_end(file), size) or _wrong_elements(path)
        elif names & {"avi", "wav"}:
            missing = _short_of(_riff_end(file), size)
        elif "asf" in names:
            missing = _short_of(_asf_end(file), size)
        elif "ogg" in names:
            missing = _short_ogg(file, end)
        else:
            return early and f"truncated: {early}"
    if missing and early:
        return f"{missing}, {early}"
    return missing or (early and f"damaged: {early}")


# --- how ------------------------------------------------------------------------------------------------------


def _early_end(container: InputContainer, end_seconds: float) -> str | None:
    """What the container claims to last beyond its last packet, if much."""
    claimed = (container.duration or 0) / 1e6
    if claimed - end_seconds > max(SHORTFALL_SECONDS, SHORTFALL_SHARE * claimed):
        return f"it ends at {end_seconds:.2f} s of {claimed:.2f} s"
    return None


def _short_of(end: int | None, size: int) -> str | None:
    return None if end is None or end <= size else f"truncated: {end - size} of {end} bytes are missing"


def _cut_index(file: BinaryIO) -> str | None:
    """Whether the index of an MP4 file is missing, or runs over the end of the file."""
    found = boxes(file)
    size = file.seek(0, os.SEEK_END)
    if not {b"moov", b"moof"} & {name for name, _, _ in found}:
        return "truncated: the index (moov box) of this MP4 file is missing"
    if any(start + length > size for name, start, length in found if name in (b"moov", b"moof")):
        return "truncated: the index of this MP4 file is cut off"
    return None


def _short_mp4(container: InputContainer, size: int) -> str | None:
    """A data box may claim too much and harm nobody; what counts is where the samples lie."""
    end = max((e.pos + e.size for s in container.streams for e in s.index_entries), default=0)
    return _short_of(end, size)


def boxes(file: BinaryIO) -> list[tuple[bytes, int, int]]:
    """The outermost boxes of an MP4 file: (type, start, size). ISO/IEC 14496-12, 4.2."""
    found: list[tuple[bytes, int, int]] = []
    start = 0
    while True:
        file.seek(start)
        head = file.read(16)
        if len(head) < 8:
            return found
        size, name = struct.unpack(">I4s", head[:8])
        if size == 1 and len(head) == 16:
            size = struct.unpack(">Q", head[8:])[0]
        found.append((name, start, size))
        if size < 8:  # 0: to the end of the file
            return found
        start += size


def _matroska_end(file: BinaryIO) -> int | None:
    """Where the segment ends by its own size; None where it does not say. RFC 8794, 4 to 7."""
    position = 0
    for _ in range(4):
        file.seek(position)
        head = file.read(12)
        if len(head) < 12:
            return None
        id_length = 9 - head[0].bit_length()
        size, size_length = _vint(head[id_length:])
        if head[:4] == b"\x18S\x80g":  # Segment
            return None if size is None else position + id_length + size_length + size
        if size is None:
            return None
        position += id_length + size_length + size
    return None


def _wrong_elements(path: str) -> str | None:
    seconds = first_damage(path)
    return None if seconds is None else f"damaged: its bytes do not match their checksums or lengths at {seconds:.2f} s"


def _vint(data: bytes) -> tuple[int | None, int]:
    """A variable-size integer of EBML and its length; None if all its bits are set (unknown)."""
    length = 9 - data[0].bit_length()
    if not 1 <= length <= 8 or len(data) < length:
        return None, 1
    value = int.from_bytes(data[:length], "big") & ((1 << 7 * length) - 1)
    return (None if value == (1 << 7 * length) - 1 else value), length


def _riff_end(file: BinaryIO) -> int | None:
    """Where the first RIFF chunk ends; None where the writer never came back to fill in its size."""
    head = file.read(12)
    size = int(struct.unpack("<I", head[4:8])[0]) if head[:4] == b"RIFF" and len(head) == 12 else 0
    return None if size in (0, 0xFFFFFFFF) else size + 8


def _asf_end(file: BinaryIO) -> int | None:
    """How long the file is by its own account; None in a broadcast. ASF specification 01.20.06, 3.2."""
    head = file.read(1 << 16)
    at = head.find(ASF_FILE)
    if at < 0 or at + 92 > len(head) or head[at + 88] & 1:
        return None
    return int.from_bytes(head[at + 40 : at + 48], "little")


def _short_ogg(file: BinaryIO, size: int) -> str | None:
    """The last page of a whole Ogg stream carries the mark "end of stream". RFC 3533, 6."""
    start = max(size - TAIL_BYTES, 0)
    file.seek(start)
    tail = file.read(size - start)
    at = tail.rfind(b"OggS")
    if at < 0 or at + 27 > len(tail):
        return "truncated: the last page is cut off"
    lengths = tail[at + 27 : at + 27 + tail[at + 26]]
    if at + 27 + tail[at + 26] + sum(lengths) > len(tail):
        return "truncated: the last page is cut off"
    return None if tail[at + 5] & 4 else "truncated: the end-of-stream page is missing"
