"""How an audio file ends: at its end, in the middle of a packet, or with bytes that are not sound.

Programs that write into a pipe cannot seek back to fill in the length, and leave an impossible one. Others append tags,
line breaks or whole files. Players play all of these; the file gets a flag.
"""

from __future__ import annotations

import struct
from typing import NamedTuple

from av.container import InputContainer

from avssl.media.containers.frame_headers import Frames, head_of, id3_end
from avssl.media.containers.mapped import Data, mapped
from avssl.media.containers.riff import chunks

# Xing's header may count this many bytes more than an MP3 file has: tags were removed, a stream cut between frames.
ID3V1_BYTES = 128
XING_SLACK_BYTES = 2048
XING_SLACK_SHARE = 0.02
COMPLETE_SECONDS = 0.05
_SMALLEST_FLAC_FRAME = 8
_BARE = {"mp3", "aac", "ac3", "eac3", "dts", "loas", "truehd", "mlp", "sbc", "gsm"}  # nothing but frames


class Ending(NamedTuple):
    """The end of a file, and what its header says about it."""

    has_unknown_length: bool = False  # the header leaves the length open, or has one that stands for "unknown"
    has_junk: bool = False  # bytes that are no sound follow the sound
    missing: str | None = None  # what is missing, in words
    sound_bytes: int = 0  # of a file of bare samples with junk, which FFmpeg would play as sound; else 0

    @property
    def flags(self) -> tuple[str, ...]:
        return ("unknown length",) * self.has_unknown_length + ("junk",) * self.has_junk


def ending_of(path: str, container: InputContainer, frames: Frames, codec: str) -> Ending:
    """How a file of sound ends, by the headers of the file and of its ``frames``."""
    names = set(container.format.name.split(","))
    claim_of = next((reader for name, reader in _CLAIMS.items() if name in names), None)
    with mapped(path) as data:
        if claim_of is not None:
            ending = _by_claim(claim := claim_of(data), len(data))
            return ending._replace(sound_bytes=claim.size) if claim and ending.has_junk and "au" in names else ending
        missing = _missing_of_mp3(data) if "mp3" in names else None
        behind = bool(names & _BARE) and _has_tail(data, frames, codec)
    if frames.ends_short:
        missing = missing or "the last packet is incomplete"
    return Ending(has_junk=frames.junk_behind or frames.ends_long or behind, missing=missing)


def flac_frame_is_followed(packet: bytes) -> bool:
    """Whether a FLAC frame ends before its packet: it ends with its CRC-16, after which the sum is 0 (RFC 9639, 9.3).

    Zeros keep it at 0: up to two of them may as well be bytes of that sum.
    """
    total, ends_before, zero_since = 0, False, 0
    for place, value in enumerate(packet):
        ends_before |= total == 0 and place >= _SMALLEST_FLAC_FRAME
        total = (total << 8 & 0xFF00) ^ _CRC_16[total >> 8 ^ value]
        zero_since = place + 1 if total else zero_since
    return ends_before and (total != 0 or len(packet) - zero_since > 3)


def stands_for_unknown(size: int) -> bool:
    """Whether this size means "unknown": 0, or close to the largest of 31 or 32 bits (ffmpeg, sox, arecord, …)."""
    return size == 0 or size >= 0xFFFFFF00 or 0x7FFFF000 <= size <= 0x80000100


def _by_claim(claim: _Claim | None, size: int) -> Ending:
    if claim is None or (stands_for_unknown(claim.size) and not 0 < claim.size <= size - claim.start):
        return Ending(has_unknown_length=True)
    end = claim.start + claim.size
    if end > size:
        return Ending(missing=f"{end - size} of {end} bytes are missing")
    return Ending(has_junk=size > max(end + (claim.size & 1), claim.whole))


class _Claim(NamedTuple):
    """Where the sound lies by the header of the file."""

    start: int
    size: int
    whole: int = 0  # where all that belongs to the file ends


def _wav_claim(data: Data) -> _Claim | None:
    """RIFF and its forms for more than 4 GB (EBU Tech 3306)."""
    riff, long_size = struct.unpack_from("<I", data, 4)[0], None
    for chunk in chunks(data, 12):
        if chunk.name == b"ds64":
            riff, long_size = struct.unpack_from("<QQ", data, chunk.content)
        if chunk.name == b"data":
            size = long_size if chunk.size == 0xFFFFFFFF and long_size is not None else chunk.size
            return _Claim(chunk.content, size, 0 if stands_for_unknown(riff) else riff + 8)
    return None


def _aiff_claim(data: Data) -> _Claim | None:
    whole = struct.unpack_from(">I", data, 4)[0] + 8
    sound = (_Claim(chunk.content, chunk.size, whole) for chunk in chunks(data, 12, ">4sI") if chunk.name == b"SSND")
    return next(sound, None)


def _caf_claim(data: Data) -> _Claim | None:
    end = 0
    claim: _Claim | None = None
    for name, _, start, size in chunks(data, 8, ">4sq"):
        if name == b"data" and size < 0:  # −1: to the end of the file
            return None
        if claim is None and name == b"data":
            claim = _Claim(start, size)
        if name.isalnum() and 0 <= size < 1 << 40:
            end = start + size
    return claim and claim._replace(whole=end)


def _au_claim(data: Data) -> _Claim | None:
    start, size = struct.unpack_from(">II", data, 4)
    return None if size == 0xFFFFFFFF else _Claim(start, size)


_CLAIMS = {"wav": _wav_claim, "aiff": _aiff_claim, "caf": _caf_claim, "au": _au_claim}


def _has_tail(data: Data, frames: Frames, codec: str) -> bool:
    """Whether bytes follow the last frame; in MP3 an ID3v1 tag of 128 bytes belongs there."""
    tail = data[frames.end : frames.end + ID3V1_BYTES + 1] if frames.end else b""
    if not tail or (codec.endswith("gsm") and tail[0] >> 4 == 13):
        return False  # a cut frame, no junk
    return not (codec.startswith("mp") and len(tail) == ID3V1_BYTES and tail.startswith(b"TAG"))


def _missing_of_mp3(data: Data) -> str | None:
    """The bytes missing by the count in the first frame (Xing's header: flags, then frames and bytes if flagged)."""
    start = id3_end(data)
    first = data[start : start + 64]
    at = max(first.find(b"Xing"), first.find(b"Info"))
    if head_of("mp3", memoryview(first)) is None or at < 0 or len(first) < at + 16:
        return None
    flags = struct.unpack_from(">I", first, at + 4)[0]
    if not flags & 2:
        return None
    end = start + struct.unpack_from(">I", first, at + 8 + 4 * (flags & 1))[0]
    if end - len(data) > XING_SLACK_BYTES + XING_SLACK_SHARE * (end - start):
        return f"{end - len(data)} of {end} bytes are missing"
    return None


def _crc_16(value: int) -> int:
    """A row of the table for the polynomial x^16 + x^15 + x^2 + 1."""
    value <<= 8
    for _ in range(8):
        value = value << 1 ^ (0x18005 if value & 0x8000 else 0)
    return value


_CRC_16 = [_crc_16(value) for value in range(256)]
