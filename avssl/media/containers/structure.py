"""The structure of a container as a whole: where it ends, what is missing, broken or concatenated."""

from __future__ import annotations

import struct
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

from av.container import InputContainer

from avssl.media.containers import asf, flv, matroska, mp4, mpegts, ogg, riff
from avssl.media.containers.frame_headers import id3_end
from avssl.media.containers.mapped import Data, mapped

# A header may claim a little more time than the packets fill; more than this means that some are missing.
SHORTFALL_SECONDS = 0.5
SHORTFALL_SHARE = 0.1
_SECTOR = 512
_PROGRAM_END = 0xB9

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
    asf.HEADER[:8],
)
_FIRST_BOXES = {b"ftyp", b"moov", b"mdat", b"free", b"skip", b"wide", b"pnot", b"styp", b"moof"}


def why_not_opened(path: str, words: str) -> str:
    """Why FFmpeg cannot open a file, more exactly than in FFmpeg's own ``words``."""
    with mapped(path) as data:
        if data[4:8] in _FIRST_BOXES:
            return mp4.missing_index(data) or f"unreadable: a damaged MP4 file ({words})"
        is_transport_stream = len(data) > 188 and data[0] == data[188] == 0x47
        if is_transport_stream or data[:16].startswith(_MEDIA_STARTS):
            return f"unreadable: a damaged file ({words})"
    return "not media"


def end_of_file(path: str, format_names: set[str]) -> int:
    """The byte at which a file ends by its own headers; its size where they leave it open.

    Players ignore what follows (tags, line breaks, padding of downloads).

    Args:
        format_names: FFmpeg's names of the container.
    """
    size = Path(path).stat().st_size
    find_end = _checks_of(format_names).end
    if find_end is None:
        return size
    with mapped(path) as data:
        end = min(find_end(data), size)
    # Some writers (VirtualDub) fill the last sector of the disk, with zeros or what they wrote before.
    is_padding = size % _SECTOR == 0 and size - end < _SECTOR
    return size if is_padding else end


def second_beginning(path: str, format_names: set[str]) -> str | None:
    """A reason, with the place, where another file begins inside this one; None if none does.

    Of concatenated files FFmpeg plays only one, or puts one on the clock of the other.
    """
    find = _checks_of(format_names).second_beginning
    if find is None:
        return None
    with mapped(path) as data:
        place = find(data)
        return None if place is None else f"joined: another file begins in it, after {place} of {len(data)} bytes"


def broken_place(path: str, format_names: set[str], end: int) -> int | None:
    """The byte of the first part that does not follow the one before, or has a wrong checksum.

    FFmpeg searches for the next valid part there, and does not report what it skipped. Junk may follow ``end``.
    """
    find = _checks_of(format_names).broken_place
    if find is None:
        return None
    with mapped(path) as data:
        place = find(data)
    return None if place is None or place >= end else place


def what_is_missing(path: str, container: InputContainer, end_seconds: float, end: int) -> str | None:
    """A reason where the container shows that something is missing; None if nothing is.

    Args:
        end_seconds: where the last packet ends, container time.
        end: the byte at which the file ends by its own headers; junk may follow.
    """
    names = set(container.format.name.split(","))
    early = _early_end(container, end_seconds) if names & {"flv", "flac", "matroska", "asf"} else None
    with mapped(path) as data:
        size = len(data)
        if end < size and "asf" in names:
            early = None  # FFmpeg then takes the duration from the size of the file
        if names & {"mp4", "mov"}:
            # An mdat box may claim too much without harm; what counts is where the samples lie.
            samples_end = max((e.pos + e.size for s in container.streams for e in s.index_entries), default=0)
            missing = mp4.missing_index(data) or _short_of(samples_end, size)
        elif "matroska" in names:
            missing = _short_of(matroska.segment_end(data), size) or _wrong_elements(data)
        elif names & {"avi", "wav"}:
            missing = _short_of(riff.first_end(data), size)
        elif "asf" in names:
            missing = _short_of(asf.claimed_end(data), size)
        elif "ogg" in names:
            missing = ogg.missing(data, end)
        else:
            return early and f"truncated: {early}"
    if missing and early:
        return f"{missing}, {early}"
    return missing or (early and f"damaged: {early}")


def _early_end(container: InputContainer, end_seconds: float) -> str | None:
    """A reason where the container claims to last much longer than its packets."""
    claimed = (container.duration or 0) / 1e6
    if claimed - end_seconds > max(SHORTFALL_SECONDS, SHORTFALL_SHARE * claimed):
        return f"it ends at {end_seconds:.2f} s of {claimed:.2f} s"
    return None


def _short_of(end: int | None, size: int) -> str | None:
    return None if end is None or end <= size else f"truncated: {end - size} of {end} bytes are missing"


def _wrong_elements(data: Data) -> str | None:
    seconds = matroska.first_damage(data)
    return None if seconds is None else f"damaged: its bytes do not match their checksums or lengths at {seconds:.2f} s"


def _program_stream_end(data: Data) -> int:
    """Where the last pack ends. ISO/IEC 13818-1, 2.4.3.6 and 2.5.3, and 11172-1 (MPEG-1's shorter header)."""
    at = data.rfind(b"\0\0\1\xba")
    if at < 0 or at + 14 > len(data):
        return len(data)
    at += 14 + (data[at + 13] & 7) if data[at + 4] >> 6 == 1 else 12
    while data[at : at + 3] == b"\0\0\1" and at + 6 <= len(data):
        at += 4 if data[at + 3] == _PROGRAM_END else 6 + int.from_bytes(data[at + 4 : at + 6], "big")
    return at


def _tta_end(data: Data) -> int:
    """TTA1: header, table of frame sizes, frames of 256/245 s; the header and the table each with a checksum."""
    at = id3_end(data)
    if data[at : at + 4] != b"TTA1" or len(data) < at + 22:
        return len(data)
    rate, samples = struct.unpack_from("<II", data, at + 10)
    frames = -(-samples // max(256 * rate // 245, 1))
    table = data[at + 22 : at + 22 + 4 * frames]
    sizes = struct.iter_unpack("<I", table[: len(table) // 4 * 4])
    end: int = at + 22 + 4 * frames + 4 + sum(size for (size,) in sizes)
    if data[end : end + 8] == b"APETAGEX":  # an APEv2 tag belongs here; its size leaves out its header of 32 bytes
        end += 32 + int.from_bytes(data[end + 12 : end + 16], "little")
    return end


def _wave64_end(data: Data) -> int:
    """The size behind the first GUID counts from the start of the file; chunks are aligned to 8 bytes."""
    size = int.from_bytes(data[16:24], "little")
    return (size + 7) // 8 * 8 if 24 < size < len(data) else len(data)


def _gif_end(data: Data) -> int:
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


def _second_gif(data: Data) -> int | None:
    """FFmpeg shows the frames of a second GIF, too, in the colours and sizes of the first."""
    at = data.find(b"\0;GIF8")  # the trailer and another head
    return None if at < 0 else at + 2


class _Checks(NamedTuple):
    end: Callable[[Data], int] | None = None
    second_beginning: Callable[[Data], int | None] | None = None
    broken_place: Callable[[Data], int | None] | None = None


_CHECKS = {
    "mp4": _Checks(mp4.end, mp4.second_beginning),
    "matroska": _Checks(matroska.end, matroska.second_beginning),
    "ogg": _Checks(ogg.end, ogg.second_beginning, ogg.broken_place),
    "avi": _Checks(riff.end, riff.second_beginning, riff.broken_place),
    "flv": _Checks(flv.end, flv.second_beginning, flv.broken_place),
    "asf": _Checks(asf.end, asf.second_beginning, asf.broken_place),
    "mpeg": _Checks(_program_stream_end),
    "mpegts": _Checks(mpegts.end),
    "tta": _Checks(_tta_end),
    "w64": _Checks(_wave64_end),
    "gif": _Checks(_gif_end, _second_gif),
}


def _checks_of(format_names: set[str]) -> _Checks:
    return next((checks for name, checks in _CHECKS.items() if name in format_names), _Checks())
