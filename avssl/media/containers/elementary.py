"""Frame headers of MP3, ADTS, AC-3 and the like, read without decoding."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import NamedTuple

from av.packet import Packet
from av.stream import Stream

HEADS_WITHIN = 8
"""Packets of which one must begin with a header, if they do at all."""


class Head(NamedTuple):
    """What the header of a frame of sound says."""

    size: int
    """Bytes of the frame, its header included; 0 where the header does not say."""
    rate: int
    """Samples a second."""
    channels: int
    """Full channels, as far as the header says; a low-frequency one is not counted."""


def head_of(codec: str, data: memoryview) -> Head | None:
    """The header at the beginning of a packet; None if there is none, or the codec has none.

    Args:
        codec: FFmpeg's name of it.
    """
    reader = _READERS.get(codec)
    return reader(data) if reader is not None and len(data) >= 7 else None


def begins_a_recording(codec: str, data: memoryview) -> bool:
    """Whether this MP3 frame is the one that an encoder puts first, which says how long the whole is."""
    return codec.startswith("mp3") and any(mark in bytes(data[:64]) for mark in (b"Xing", b"Info", b"VBRI"))


@dataclass(slots=True)
class Frames:
    """What was seen of the headers of one stream, packet by packet.

    Attributes:
        has_heads: whether its packets begin with headers that are true of them.
        ends_short: the last of them is shorter than its header says.
        ends_long: … or longer: what follows it was taken for a part of it.
        junk_inside: bytes that are no frame lie between frames.
        junk_behind: … or after the last.
        restarts: the first frame of a recording was met after others.
        end: where the last frame ends in the file; 0 where it is not known.
        changes: container times at which the rate or the channels change, with both headers.
    """

    has_heads: bool = False
    ends_short: bool = False
    ends_long: bool = False
    junk_inside: bool = False
    junk_behind: bool = False
    restarts: bool = False
    end: int = 0
    changes: list[tuple[float, Head, Head]] = field(default_factory=list)
    _last: Head | None = None
    _looked: int = 0

    @property
    def are_joined(self) -> bool:
        """Whether they come from more than one recording."""
        return self.junk_inside or self.restarts

    def take(self, codec: str, packet: Packet[Stream]) -> bool:
        """Look at a packet; returns whether it can be a frame."""
        if codec not in _READERS:
            return True
        view = memoryview(packet)
        head = head_of(codec, view)
        if head is None:
            self._looked += 1
            self.junk_behind |= self.has_heads
            return not self.has_heads
        if not self.has_heads:
            # Headers are seen early or not at all: among many packets without any, one looks like one by chance.
            self._looked += 1
            self.has_heads = self._looked <= HEADS_WITHIN and len(view) == head.size
        if not self.has_heads:
            return True
        self.junk_inside |= self.junk_behind
        self.restarts |= self._last is not None and begins_a_recording(codec, view)
        self.junk_behind, self.ends_short, self.ends_long = False, len(view) < head.size, len(view) > head.size > 0
        self.end = 0 if packet.pos is None else packet.pos + packet.size
        if self._last is not None and head[1:] != self._last[1:]:
            self.changes.append((float((packet.pts or 0) * (packet.time_base or 0)), self._last, head))
        self._last = head
        return True


# --- how ------------------------------------------------------------------------------------------------------

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


def _mpeg(data: memoryview) -> Head | None:
    """ISO/IEC 11172-3, 2.4.2.3, and 13818-3 for the lower rates; "2.5" is everybody's extension of it."""
    if data[0] != 0xFF or data[1] & 0xE0 != 0xE0:
        return None
    version, layer = data[1] >> 3 & 3, 4 - (data[1] >> 1 & 3)
    if version == 1 or layer == 4 or data[2] >> 4 == 15 or data[2] >> 2 & 3 == 3:
        return None
    rate = _MPEG_RATES[data[2] >> 2 & 3] >> (0, 1, 2)[(3, 2, 0).index(version)]
    kbits = (_MPEG_1_KBITS if version == 3 else _MPEG_2_KBITS)[layer][data[2] >> 4]
    padding = data[2] >> 1 & 1
    if layer == 1:
        size = (12_000 * kbits // rate + padding) * 4
    else:
        size = (72_000 if layer == 3 and version != 3 else 144_000) * kbits // rate + padding
    return Head(size if kbits else 0, rate, 1 if data[3] >> 6 == 3 else 2)


def _adts(data: memoryview) -> Head | None:
    """ISO/IEC 13818-7, 6.2: the frame with a header of its own, as in .aac files and transport streams."""
    rate = data[2] >> 2 & 15
    if data[0] != 0xFF or data[1] & 0xF6 != 0xF0 or rate >= len(_AAC_RATES):
        return None
    size = (data[3] & 3) << 11 | data[4] << 3 | data[5] >> 5
    return Head(size, _AAC_RATES[rate], (data[2] & 1) << 2 | data[3] >> 6)


def _ac3(data: memoryview) -> Head | None:
    """ETSI TS 102 366, 4.4.1."""
    if data[0] != 0x0B or data[1] != 0x77 or data[4] >> 6 == 3 or data[4] & 63 >= 2 * len(_AC3_KBITS):
        return None
    rate, kbits = _AC3_RATES[data[4] >> 6], _AC3_KBITS[(data[4] & 63) >> 1]
    words = 96_000 * kbits // rate + (data[4] & 1 if rate == 44_100 else 0)
    return Head(2 * words, rate, _AC3_CHANNELS[data[6] >> 5])


_READERS: dict[str, Callable[[memoryview], Head | None]] = {
    **dict.fromkeys(("mp1", "mp1float", "mp2", "mp2float", "mp3", "mp3float"), _mpeg),
    "aac": _adts,
    "ac3": _ac3,
}
