"""Headers of H.264 and HEVC pictures, read without decoding.

Sources: ITU-T H.264 and H.265 (annexes B: start codes), ISO/IEC 14496-15, 5.3 and 8.3.2 (lengths instead of them).
"""

from __future__ import annotations

import re
from fractions import Fraction
from typing import cast

import av
from av.packet import Packet
from av.video.codeccontext import VideoCodecContext
from av.video.stream import VideoStream

from avssl.media.containers.demux import Deadline, opened, packets, stream_at

# Parameter sets and messages before the first slice of a picture may take as much as this.
MOST_HEADER_BYTES = 4096
_MOST_SLICES = 4
_FORBIDDEN = re.compile(rb"\x00\x00(?:\x02|\x00(?!\x00*\x01))")
# Parameter sets that hold the rate, by the name of the format (ITU-T H.264 and H.265, 7.3.1.2 and annexes B and E). In
# MPEG-1 and MPEG-2 video FFmpeg keeps one clock over a change, and motion JPEG says nothing of a rate.
_RATE_HEADERS = {
    "h264": re.compile(rb"\x00\x00\x01[\x07\x27\x47\x67].*?(?=\x00\x00\x01|\Z)", re.DOTALL),
    "hevc": re.compile(rb"\x00\x00\x01[\x40\x42]\x01.*?(?=\x00\x00\x01|\Z)", re.DOTALL),
}


class Bits:
    """Bytes read bit by bit; beyond the end there are zeros."""

    def __init__(self, data: bytes) -> None:
        self._left = int.from_bytes(data, "big")
        self._count = 8 * len(data)

    def take(self, count: int) -> int:
        """The number that the next ``count`` bits make."""
        self._count = max(self._count - count, 0)
        value = self._left >> self._count
        self._left &= (1 << self._count) - 1
        return value

    def exp_golomb(self) -> int:
        """The number that the next code of variable length stands for (ITU-T H.264, 9.1)."""
        zeros = self._count - self._left.bit_length()
        self.take(zeros)
        return self.take(zeros + 1) - 1


def units(data: bytes, length_bytes: int) -> list[tuple[int, int]]:
    """Where the units of a packet lie: (start, end).

    Args:
        length_bytes: of the length before each unit; 0 where they are parted by start codes.
    """
    if not length_bytes:
        starts = [match.end() for match in re.finditer(b"\0\0\1", data)]
        ends = [*(start - 3 for start in starts), len(data)]
        return list(zip(starts, ends[1:], strict=True))
    found, at = [], 0
    while at + length_bytes < len(data):
        start = at + length_bytes
        at = start + int.from_bytes(data[at:start], "big")
        found.append((start, min(at, len(data))))
    return found


def unit_length_bytes(context: VideoCodecContext) -> int:
    """Bytes of the length before each unit of H.264 or HEVC; 0 where start codes part them, or the codec is another."""
    extra, at = context.extradata or b"", {"h264": 4, "hevc": 21}.get(context.codec.name)
    return 0 if at is None or extra[:1] != b"\1" or len(extra) <= at else (extra[at] & 3) + 1


def has_forbidden_bytes(data: bytes, length_bytes: int) -> bool:
    """Whether bytes lie in an H.264 or HEVC packet that no encoder may write: 0 0 0 or 0 0 2 (7.4.1, 7.4.2.1).

    Zeros that pad a unit, and start codes inside it, which are no better allowed, come from careless multiplexers.

    Args:
        length_bytes: as :func:`unit_length_bytes` says; where it is 0, zeros may stand between units.
    """
    if not length_bytes or not _FORBIDDEN.search(data, length_bytes):  # a length may well hold three zeros
        return False
    return any(_FORBIDDEN.search(data[start:end].rstrip(b"\0")) for start, end in units(data, length_bytes))


def is_idr(packet: Packet[VideoStream]) -> bool:
    """Whether all before an H.264 picture can be forgotten (7.4.1)."""
    data, length_bytes = bytes(packet), unit_length_bytes(packet.stream.codec_context)
    if not length_bytes:
        return re.search(rb"\x00\x00\x01[\x05\x25\x45\x65]", data) is not None
    return any(data[start] & 31 == 5 for start, _ in units(data, length_bytes))


def is_b_picture(packet: Packet[VideoStream]) -> bool:
    """Whether the first slice of an H.264 picture is of a B type (7.3.3, 7.4.3), going by start codes."""
    data = bytes(packet)[:MOST_HEADER_BYTES]
    for start, end in units(data, 0):
        if start < end and data[start] & 31 == 1:  # a slice of a picture that is no IDR
            bits = Bits(data[start + 1 : end])
            bits.exp_golomb()
            return bits.exp_golomb() in (1, 6)
    return False


def base_slices(data: bytes, context: VideoCodecContext) -> list[tuple[int, int]]:
    """Where the first slices of an HEVC packet begin and end, without zeros that pad them (7.4.2.2: types below 32)."""
    found = units(data, unit_length_bytes(context))
    # Of the base layer: a second view and transparency, which may follow, are not decoded.
    slices = [(start, end) for start, end in found if end - start > 2 and _is_base_slice(*data[start : start + 2])]
    return [(start, start + len(data[start:end].rstrip(b"\0\3"))) for start, end in slices[:_MOST_SLICES]]


def rate_change(path: str, index: int, deadline: Deadline) -> str | None:
    """That the pictures of a bare stream change their rate, in words with the time; None if they do not.

    Such a stream has no clock but the rate in its headers: where it changes, another film begins.

    Args:
        index: of the stream of pictures.

    Raises:
        MediaError: the deadline has passed.
        av.FFmpegError: the file cannot be read.
    """
    with opened(path, deadline) as container:
        headers = _RATE_HEADERS.get(container.format.name)
        if headers is None:
            return None
        stream = stream_at(container, index, VideoStream, path)
        rate, known = None, None
        for pictures, packet in enumerate(packets(container, deadline, stream)):
            data = bytes(packet)
            found = headers.findall(data)
            if found and found != known:
                known = found
                found_rate = _rate_in(stream.codec_context.codec.name, data)
                if rate and found_rate and found_rate != rate:
                    words = f"the rate of its pictures changes from {float(rate):g} to {float(found_rate):g} a second"
                    return f"joined: {words} at {float(pictures / rate):.2f} s"
                rate = found_rate or rate
    return None


def _is_base_slice(first: int, second: int) -> bool:
    """Going by the two bytes with which a unit begins: forbidden bit, type (6), layer (6), … ITU-T H.265, 7.3.1.2."""
    return first < 64 and not first & 1 and not second >> 3


def _rate_in(codec: str, data: bytes) -> Fraction | None:
    """What a decoder reads from a packet with headers and a picture."""
    decoder = cast("VideoCodecContext", av.CodecContext.create(codec, "r"))
    decoder.thread_count = 1
    try:
        decoder.decode(cast("Packet[VideoStream]", av.Packet(data)))
    except av.FFmpegError:
        return None
    return decoder.framerate or None
