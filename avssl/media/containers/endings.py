"""How a file of sound ends: at its end, in the middle of a packet, or with bytes that are no sound.

Programs that write into a pipe cannot come back to fill in the length, and leave a number there that no file has.
Others append tags, line breaks or whole files. Players play all of these, and a flag tells.
"""

from __future__ import annotations

import os
import struct
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO, NamedTuple

from av.container import InputContainer

from avssl.media.containers.frame_headers import Frames, head_of

ID3V1_BYTES = 128
XING_SLACK_BYTES = 2048
XING_SLACK_SHARE = 0.02
"""By so much more than there is an MP3 file may claim: tags were taken off, a stream was cut between frames."""
COMPLETE_SECONDS = 0.05
_BARE = {"mp3", "aac", "ac3", "eac3", "dts", "loas", "truehd", "mlp", "sbc", "gsm"}
"""Nothing but frames."""


class Ending(NamedTuple):
    """What was seen at the end of a file and in its header."""

    has_unknown_length: bool = False
    """The header leaves the length open, or says one that stands for "unknown"."""
    has_junk: bool = False
    """Bytes that are no sound follow the sound."""
    missing: str | None = None
    """What is missing, in words."""
    sound_bytes: int = 0
    """How much of a file of bare samples is sound, where FFmpeg reads on beyond it; else 0."""

    @property
    def flags(self) -> tuple[str, ...]:
        return ("unknown length",) * self.has_unknown_length + ("junk",) * self.has_junk


def ending_of(path: str, container: InputContainer, frames: Frames, codec: str) -> Ending:
    """How a file of sound ends.

    Args:
        frames: what its packets say.
    """
    names = set(container.format.name.split(","))
    size = Path(path).stat().st_size
    claim_of = next((reader for name, reader in _CLAIMS.items() if name in names), None)
    with Path(path).open("rb") as file:
        if claim_of is not None:
            ending = _by_claim(claim := claim_of(file), size)
            return ending._replace(sound_bytes=claim.size) if claim and ending.has_junk and "au" in names else ending
        missing = _missing_of_mp3(file, size) if "mp3" in names else None
        behind = names & _BARE and _has_tail(file, size, frames, codec)
    if frames.ends_short:
        missing = missing or "the last packet is incomplete"
    return Ending(has_junk=frames.junk_behind or frames.ends_long or bool(behind), missing=missing)


def stands_for_unknown(size: int) -> bool:
    """Whether no writer means this size: 0, or close to what 31 or 32 bits can hold."""
    return size == 0 or size >= 0xFFFFFF00 or 0x7FFFF000 <= size <= 0x80000100


# --- how ------------------------------------------------------------------------------------------------------


def _by_claim(claim: _Claim | None, size: int) -> Ending:
    if claim is None or (stands_for_unknown(claim.size) and not 0 < claim.size <= size - claim.start):
        return Ending(has_unknown_length=True)
    end = claim.start + claim.size
    if end > size:
        return Ending(missing=f"{end - size} of {end} bytes are missing")
    return Ending(has_junk=size > max(end + (claim.size & 1), claim.whole))


class _Claim(NamedTuple):
    """Where sound lies by its header."""

    start: int
    size: int
    whole: int = 0
    """Where all that belongs to the file ends."""


def _chunks(file: BinaryIO, start: int, head: str) -> Iterator[tuple[bytes, int, int]]:
    """Chunks of a file made of them: (name, where its content begins, size)."""
    length = struct.calcsize(head)
    whole = file.seek(0, os.SEEK_END)
    while 0 <= start < whole:
        file.seek(start)
        data = file.read(length)
        if len(data) < length:
            return
        name, size = struct.unpack(head, data)
        yield name, start + length, size
        start += length + size + (size & 1 if head != ">4sq" else 0)


def _wav_claim(file: BinaryIO) -> _Claim | None:
    """RIFF and its forms for more than 4 GB (EBU Tech 3306)."""
    head = file.read(12)
    riff, long_size = struct.unpack("<I", head[4:8])[0], None
    for name, start, size in _chunks(file, 12, "<4sI"):
        if name == b"ds64":
            file.seek(start)
            riff, long_size = struct.unpack("<QQ", file.read(16))
        if name == b"data":
            size_told = long_size if size == 0xFFFFFFFF and long_size is not None else size
            return _Claim(start, size_told, 0 if stands_for_unknown(riff) else riff + 8)
    return None


def _aiff_claim(file: BinaryIO) -> _Claim | None:
    whole = struct.unpack(">I", file.read(8)[4:])[0] + 8
    return next(
        (_Claim(start, size, whole) for name, start, size in _chunks(file, 12, ">4sI") if name == b"SSND"), None
    )


def _caf_claim(file: BinaryIO) -> _Claim | None:
    end = 0
    claim: _Claim | None = None
    for name, start, size in _chunks(file, 8, ">4sq"):
        if name == b"data" and size < 0:  # −1: to the end of the file
            return None
        if claim is None and name == b"data":
            claim = _Claim(start, size)
        if name.isalnum() and 0 <= size < 1 << 40:
            end = start + size
    return claim and claim._replace(whole=end)


def _au_claim(file: BinaryIO) -> _Claim | None:
    start, size = struct.unpack(">II", file.read(12)[4:])
    return None if size == 0xFFFFFFFF else _Claim(start, size)


_CLAIMS = {"wav": _wav_claim, "aiff": _aiff_claim, "caf": _caf_claim, "au": _au_claim}


def _has_tail(file: BinaryIO, size: int, frames: Frames, codec: str) -> bool:
    """Whether bytes follow the last frame; in MP3 the old tag of 128 bytes belongs there."""
    if not frames.end or size <= frames.end:
        return False
    file.seek(frames.end)
    tail = file.read(ID3V1_BYTES + 1)
    if codec.endswith("gsm") and tail[0] >> 4 == 13:
        return False  # a frame that was cut
    return not (codec.startswith("mp") and len(tail) == ID3V1_BYTES and tail.startswith(b"TAG"))


def _missing_of_mp3(file: BinaryIO, size: int) -> str | None:
    """What is missing by the count that encoders put into the first frame (Xing's header)."""
    head = file.read(10)
    start = 0
    if head.startswith(b"ID3") and len(head) == 10:
        start = 10 + (head[6] << 21 | head[7] << 14 | head[8] << 7 | head[9])
    file.seek(start)
    first = file.read(64)
    if head_of("mp3", memoryview(first)) is None:
        return None
    at = max(first.find(b"Xing"), first.find(b"Info"))
    if at < 0 or len(first) < at + 16:
        return None
    flags = struct.unpack(">I", first[at + 4 : at + 8])[0]
    if not flags & 2:
        return None
    place = at + 8 + 4 * (flags & 1)
    claimed = struct.unpack(">I", first[place : place + 4])[0]
    if start + claimed - size > XING_SLACK_BYTES + XING_SLACK_SHARE * claimed:
        return f"{start + claimed - size} of {start + claimed} bytes are missing"
    return None
