"""Frame headers of MP3, ADTS, AC-3, DTS and the like, read without decoding."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import NamedTuple

from av.packet import Packet
from av.stream import Stream

from avssl.media.containers.mapped import Data

HEADS_WITHIN = 8  # packets; of a stream with headers one of the first must begin with one

HEAD_BYTES = 7  # the fewest bytes of a packet whose header is read

RULE_HOLDS = 100  # frames; at 44,100 Hz the pattern of padding repeats after 49

_ENCODERS = re.compile(rb"Lavc\d\d\.|libfaac \d")  # FFmpeg and FAAC sign the first frame of AAC
# Frames of one length without a sync word: FFmpeg does not resynchronise after foreign bytes.
_NO_RESYNC = ("gsm", "libgsm")
_TIMED = ("mlp", "truehd")
# The time in the headers of MLP and TrueHD may jitter by this, in samples modulo 2^16 (their buffer holds 75 ms).
_BACK_SAMPLES, _AHEAD_SAMPLES = 4096, 8192


class Head(NamedTuple):
    size: int  # bytes of the frame with its header; 0 where the header does not say
    rate: int  # samples a second
    channels: int  # full-range channels; the low-frequency one is not counted
    kind: tuple[int, ...] = ()  # what no encoder changes within a recording: version, profile, bit rate, copyright, …
    # Whether the frame is padded by a byte (AC-3: a word), and how many in `rate` frames must be for the bit rate to
    # hold; 0 where none must.
    padding: tuple[int, int] = (0, 0)


def head_of(codec: str, data: memoryview) -> Head | None:
    """The header at the beginning of a packet of this codec (FFmpeg's name); None if there is none."""
    reader = _READERS.get(codec)
    return reader(data) if reader is not None and len(data) >= HEAD_BYTES else None


def begins_a_recording(codec: str, data: memoryview) -> bool:
    """Whether encoders write this frame first: in MP3 it holds the length of the whole, in AAC the encoder's name."""
    if codec.startswith("mp3"):
        return any(mark in bytes(data[:64]) for mark in (b"Xing", b"Info", b"VBRI"))
    if codec == "aac_latm":  # nothing in it is aligned to bytes
        bits = int.from_bytes(data[: 1 << 10], "big")
        return any(_ENCODERS.search((bits >> shift).to_bytes(len(data[: 1 << 10]), "big")) for shift in range(8))
    return codec == "aac" and _ENCODERS.search(data) is not None


def id3_end(data: Data) -> int:
    """Where an ID3v2 tag in front of the sound ends (ID3v2.4, 3.1: seven bits a byte); 0 where there is none."""
    if data[:3] != b"ID3" or len(data) < 10:
        return 0
    return 10 + (data[6] << 21 | data[7] << 14 | data[8] << 7 | data[9])


@dataclass(slots=True)
class Frames:
    """The frame headers of one stream, packet by packet."""

    has_heads: bool = False  # whether its packets begin with headers that fit them
    ends_short: bool = False  # the last of them is shorter than its header says
    ends_long: bool = False  # … or longer: what follows it was taken for a part of it
    junk_inside: bool = False  # bytes that are no frame lie between frames
    junk_behind: bool = False  # … or after the last
    # The first frame of a recording came after others, or the time in the headers restarts.
    restarts: bool = False
    end: int = 0  # where the last frame ends in the file; 0 where it is not known
    # Container times at which the rate or the channels change, with both headers.
    changes: list[tuple[float, Head, Head]] = field(default_factory=list)
    _last: Head | None = None
    _began: bool = False
    _padding: _Padding = field(default_factory=lambda: _Padding())  # noqa: PLW0108 - it is defined below
    _ticks: int | None = None
    _looked: int = 0

    @property
    def are_joined(self) -> bool:
        """Whether they come from more than one recording."""
        return self.junk_inside or self.restarts

    def take(self, codec: str, packet: Packet[Stream]) -> bool:
        """Take the next packet; returns whether it can be a frame."""
        if codec not in _READERS:
            return True
        view = memoryview(packet)
        head = None if self.junk_behind and codec in _NO_RESYNC else head_of(codec, view)
        if head is None:
            self._looked += 1
            self.junk_behind |= self.has_heads
            return not self.has_heads
        if not self.has_heads:
            # Only among the first packets: of many packets without headers one looks like one by chance.
            self._looked += 1
            self.has_heads = self._looked <= HEADS_WITHIN and len(view) == head.size
        if not self.has_heads:
            return True
        self.junk_inside |= self.junk_behind
        begins = begins_a_recording(codec, view)
        self.restarts |= self._last is not None and begins and not self._began
        self.restarts |= self._goes_back(codec, view) or self._padding.breaks(head, begins)
        self._began = begins
        self.junk_behind, self.ends_short, self.ends_long = False, len(view) < head.size, len(view) > head.size > 0
        self.end = 0 if packet.pos is None else packet.pos + packet.size
        if self._last is not None and head[1:4] != self._last[1:4]:
            self.changes.append((float((packet.pts or 0) * (packet.time_base or 0)), self._last, head))
        self._last = head
        return True

    def _goes_back(self, codec: str, view: memoryview) -> bool:
        """Whether the time in the headers of MLP and TrueHD does not follow the one before."""
        if codec not in _TIMED:
            return False
        before, self._ticks = self._ticks, int.from_bytes(view[2:4], "big")
        step = 0 if before is None else self._ticks - before
        return (step + _BACK_SAMPLES & 0xFFFF) > _BACK_SAMPLES + _AHEAD_SAMPLES


@dataclass(slots=True)
class _Padding:
    """Which frames of a constant bit rate are padded by a byte.

    An encoder pads as soon as the frames so far lag the bit rate by a byte, so that their lead or lag, counted from
    any frame, spans less than a byte. Another recording starts the count again, and the span grows. Encoders that pad
    differently break this rule within a few dozen frames.
    """

    _of: tuple[int, int] = (0, 0)
    _ahead: int = 0
    _least: int = 0
    _most: int = 0
    _frames: int = 0

    def breaks(self, head: Head, begins: bool) -> bool:
        """Take the next frame; returns whether the rule, which held for long, no longer does."""
        padded, needed = head.padding
        if begins or not needed or (head.rate, needed) != self._of:
            self._of, self._frames = (head.rate, needed), 0
            return False
        if not self._frames:
            self._ahead = self._least = self._most = 0
        self._frames += 1
        self._ahead += padded * head.rate - needed
        self._least, self._most = min(self._least, self._ahead), max(self._most, self._ahead)
        if self._most - self._least <= head.rate:
            return False
        held, self._frames = self._frames > RULE_HOLDS, 0
        return held


_MPEG_RATES = (44_100, 48_000, 32_000)
_MPEG_1_KBITS = {
    1: (0, 32, 64, 96, 128, 160, 192, 224, 256, 288, 320, 352, 384, 416, 448),
    2: (0, 32, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320, 384),
    3: (0, 32, 40, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320),
}
_MPEG_2_KBITS = {
    1: (0, 32, 48, 56, 64, 80, 96, 112, 128, 144, 160, 176, 192, 224, 256),
    2: (0, 8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160),
    3: (0, 8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160),
}
_AAC_RATES = (96_000, 88_200, 64_000, 48_000, 44_100, 32_000, 24_000, 22_050, 16_000, 12_000, 11_025, 8_000, 7_350)
_AC3_RATES = (48_000, 44_100, 32_000)
_AC3_KBITS = (32, 40, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320, 384, 448, 512, 576, 640)
_AC3_CHANNELS = (2, 1, 2, 3, 3, 4, 4, 5)
_DTS_CORE, _DTS_EXTENSION = b"\x7f\xfe\x80\x01", b"\x64\x58\x20\x25"
_DTS_RATES = {1: 8_000, 2: 16_000, 3: 32_000, 6: 11_025, 7: 22_050, 8: 44_100, 11: 12_000, 12: 24_000, 13: 48_000}
_DTS_CHANNELS = (1, 2, 2, 2, 2, 3, 3, 4, 4, 5, 6, 6, 6, 7, 8, 8)
_SBC_RATES = (16_000, 32_000, 44_100, 48_000)


def _mpeg(data: memoryview) -> Head | None:
    """ISO/IEC 11172-3, 2.4.2.3, and 13818-3 for the lower rates; "2.5" is a common extension in no standard."""
    if data[0] != 0xFF or data[1] & 0xE0 != 0xE0:
        return None
    version, layer = data[1] >> 3 & 3, 4 - (data[1] >> 1 & 3)
    if version == 1 or layer == 4 or data[2] >> 4 == 15 or data[2] >> 2 & 3 == 3:
        return None
    rate = _MPEG_RATES[data[2] >> 2 & 3] >> (0, 1, 2)[(3, 2, 0).index(version)]
    kbits = (_MPEG_1_KBITS if version == 3 else _MPEG_2_KBITS)[layer][data[2] >> 4]
    padding = data[2] >> 1 & 1
    bits = kbits * (12_000 if layer == 1 else 72_000 if layer == 3 and version != 3 else 144_000)
    size = (bits // rate + padding) * (4 if layer == 1 else 1)
    kind = (version, layer, data[3] & 0x0F)  # copyright, original, emphasis
    return Head(size if kbits else 0, rate, 1 if data[3] >> 6 == 3 else 2, kind, (padding, bits % rate))


def _adts(data: memoryview) -> Head | None:
    """ADTS, ISO/IEC 13818-7, 6.2: frames with headers, as in .aac files and transport streams."""
    rate = data[2] >> 2 & 15
    if data[0] != 0xFF or data[1] & 0xF6 != 0xF0 or rate >= len(_AAC_RATES):
        return None
    size = (data[3] & 3) << 11 | data[4] << 3 | data[5] >> 5
    kind = (data[1] & 9, data[2] >> 6, data[3] & 0x30)  # version and checksum, profile, original and home
    return Head(size, _AAC_RATES[rate], (data[2] & 1) << 2 | data[3] >> 6, kind)


def _ac3(data: memoryview) -> Head | None:
    """ETSI TS 102 366, 4.4.1 and 4.4.2."""
    if data[0] != 0x0B or data[1] != 0x77:
        return None
    if data[5] >> 3 > 10:  # bsid: E-AC-3 (annex E)
        return _eac3(data)
    if data[4] >> 6 == 3 or data[4] & 63 >= 2 * len(_AC3_KBITS):
        return None
    rate, kbits = _AC3_RATES[data[4] >> 6], _AC3_KBITS[(data[4] & 63) >> 1]
    padding = data[4] & 1 if rate == 44_100 else 0
    words = 96_000 * kbits // rate + padding
    mode = data[6] >> 5
    mixing = 2 * ((mode & 1 and mode != 1) + (mode >> 2) + (mode == 2))
    loudness = int.from_bytes(data[6:9], "big") >> (24 - 3 - mixing - 6) & 63  # lfeon and dialnorm
    return Head(2 * words, rate, _AC3_CHANNELS[mode], (data[5], kbits, loudness), (padding, 96_000 * kbits % rate))


def _eac3(data: memoryview) -> Head | None:
    """Annex E, E.1.2 and E.1.3. Dependent frames, which add channels, follow their frame in its packet."""
    head: Head | None = None
    at = 0
    while at + HEAD_BYTES <= len(data) and data[at] == 0x0B and data[at + 1] == 0x77:
        if head is not None and data[at + 2] >> 6 != 1 and not data[at + 2] >> 3 & 7:
            break
        size = 2 * ((data[at + 2] & 7) << 8 | data[at + 3]) + 2
        half, slow = data[at + 4] >> 6 == 3, data[at + 4] >> 4 & 3
        if half and slow == 3:
            return head
        if head is None:
            rate = _AC3_RATES[slow] // 2 if half else _AC3_RATES[data[at + 4] >> 6]
            loudness = int.from_bytes(data[at + 5 : at + 7], "big") >> 6
            head = Head(0, rate, _AC3_CHANNELS[data[at + 4] >> 1 & 7], (data[at + 4] & 1, loudness))
        at += size
    return head and head._replace(size=at)


def _dts(data: memoryview) -> Head | None:
    """ETSI TS 102 114, 5.3 and 7.5.2: extensions (DTS-HD) follow the core in its packet."""
    if bytes(data[:4]) != _DTS_CORE or len(data) < 12:
        return None
    bits = int.from_bytes(data[4:12], "big")
    mode, rate = bits >> 30 & 63, _DTS_RATES.get(bits >> 26 & 15)
    if rate is None:
        return None
    size = (bits >> 36 & 0x3FFF) + 1
    while bytes(data[size : size + 4]) == _DTS_EXTENSION and len(data) >= size + 10:
        extension = int.from_bytes(data[size + 4 : size + 10], "big")
        size += 1 + (extension >> 5 & 0xFFFFF if extension >> 37 & 1 else extension >> 13 & 0xFFFF)
    return Head(size, rate, _DTS_CHANNELS[mode] if mode < len(_DTS_CHANNELS) else 0, (bits >> 21 & 31,))


def _mlp(data: memoryview) -> Head | None:
    """Access units of MLP and TrueHD: their length in words, then their time."""
    words = (data[0] & 15) << 8 | data[1]
    return Head(2 * words, 0, 0) if words else None


def _loas(data: memoryview) -> Head | None:
    """ISO/IEC 14496-3, 1.7.2: AudioSyncStream."""
    if data[0] != 0x56 or data[1] >> 5 != 7:
        return None
    return Head(3 + ((data[1] & 31) << 8 | data[2]), 0, 0)


def _sbc(data: memoryview) -> Head | None:
    """Advanced audio distribution profile (Bluetooth) 1.3, 12.6.2 and 12.9."""
    if data[0] != 0x9C:
        return None
    blocks, mode, bands = 4 * ((data[1] >> 4 & 3) + 1), data[1] >> 2 & 3, 8 if data[1] & 1 else 4
    channels, pool = 2 if mode else 1, data[2]
    bits = blocks * pool * (2 if mode == 1 else 1) + (bands if mode == 3 else 0)
    size = 4 + bands * channels // 2 + (bits + 7) // 8
    return Head(size, _SBC_RATES[data[1] >> 6], channels, (data[1],))


def _gsm(data: memoryview) -> Head | None:
    """ETSI TS 101 318, 5.1: frames of 33 bytes whose first four bits are 13."""
    return Head(33, 8_000, 1) if data[0] >> 4 == 13 else None


_READERS: dict[str, Callable[[memoryview], Head | None]] = {
    **dict.fromkeys(("mp1", "mp1float", "mp2", "mp2float", "mp3", "mp3float"), _mpeg),
    "aac": _adts,
    "aac_latm": _loas,
    "ac3": _ac3,
    "eac3": _ac3,
    "dca": _dts,
    **dict.fromkeys(("mlp", "truehd"), _mlp),
    "sbc": _sbc,
    **dict.fromkeys(("gsm", "libgsm"), _gsm),
}
