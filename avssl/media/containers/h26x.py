"""Headers of H.264 and HEVC pictures, read without decoding.

Sources: ITU-T H.264 and H.265 (annexes B: start codes), ISO/IEC 14496-15, 5.3 and 8.3.2 (lengths instead).
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

MOST_HEADER_BYTES = 4096  # that parameter sets and messages may take before the first slice of a picture
_MOST_SLICES = 4
_FORBIDDEN = re.compile(rb"\x00\x00(?:\x02|\x00(?!\x00*\x01))")
# Sequence and video parameter sets, which hold the frame rate, by FFmpeg's name of the bare stream (H.264 and H.265,
# 7.3.1.2, annexes B and E). In MPEG-1 and MPEG-2 FFmpeg keeps one clock over a change; motion JPEG has no rate.
_RATE_HEADERS = {
    "h264": re.compile(rb"\x00\x00\x01[\x07\x27\x47\x67].*?(?=\x00\x00\x01|\Z)", re.DOTALL),
    "hevc": re.compile(rb"\x00\x00\x01[\x40\x42]\x01.*?(?=\x00\x00\x01|\Z)", re.DOTALL),
}


class Bits:
    """A bit reader; beyond the end there are zeros."""

    def __init__(self, data: bytes) -> None:
        self._left = int.from_bytes(data, "big")
        self._count = 8 * len(data)

    def take(self, count: int) -> int:
        self._count = max(self._count - count, 0)
        value = self._left >> self._count
        self._left &= (1 << self._count) - 1
        return value

    def exp_golomb(self) -> int:
        """The next ue(v) value (ITU-T H.264, 9.1)."""
        zeros = self._count - self._left.bit_length()
        self.take(zeros)
        return self.take(zeros + 1) - 1


def units(data: bytes, length_bytes: int) -> list[tuple[int, int]]:
    """The NAL units of a packet: (start, end). ``length_bytes`` of length precede each; 0: start codes."""
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
    """Bytes of the length before each NAL unit; 0 with start codes, or of another codec."""
    # Configuration records begin with version 1 and hold this length after 4 (avcC) or 21 (hvcC) bytes.
    extra, at = context.extradata or b"", {"h264": 4, "hevc": 21}.get(context.codec.name)
    return 0 if at is None or extra[:1] != b"\1" or len(extra) <= at else (extra[at] & 3) + 1


def has_forbidden_bytes(data: bytes, length_bytes: int) -> bool:
    """Whether an H.264 or HEVC packet holds bytes that no encoder may write: 0 0 0 or 0 0 2 (7.4.1, 7.4.2.1).

    Padding zeros at the end of a unit and start codes inside of it are just as invalid, but careless multiplexers
    write them. Between start codes (``length_bytes`` 0) zeros are allowed.
    """
    if not length_bytes or not _FORBIDDEN.search(data, length_bytes):  # the first length may well hold three zeros
        return False
    return any(_FORBIDDEN.search(data[start:end].rstrip(b"\0")) for start, end in units(data, length_bytes))


def is_idr(packet: Packet[VideoStream]) -> bool:
    """Whether an H.264 picture is an IDR picture: no later one refers to anything before it (7.4.1)."""
    data, length_bytes = bytes(packet), unit_length_bytes(packet.stream.codec_context)
    if not length_bytes:
        return re.search(rb"\x00\x00\x01[\x05\x25\x45\x65]", data) is not None
    return any(data[start] & 31 == 5 for start, _ in units(data, length_bytes))


def is_b_picture(packet: Packet[VideoStream]) -> bool:
    """Whether the first slice of an H.264 picture with start codes is a B slice (7.3.3, 7.4.3)."""
    data = bytes(packet)[:MOST_HEADER_BYTES]
    for start, end in units(data, 0):
        if start < end and data[start] & 31 == 1:  # a slice of a picture that is no IDR
            bits = Bits(data[start + 1 : end])
            bits.exp_golomb()  # first_mb_in_slice
            return bits.exp_golomb() in (1, 6)  # slice_type B, or all slices B
    return False


def base_slices(data: bytes, context: VideoCodecContext) -> list[tuple[int, int]]:
    """Where the first slices of an HEVC packet begin and end, without padding zeros (7.4.2.2: types below 32)."""
    found = units(data, unit_length_bytes(context))
    # Of the base layer alone: a second view or an alpha layer, which may follow, is not decoded.
    slices = [(start, end) for start, end in found if end - start > 2 and _is_base_slice(*data[start : start + 2])]
    return [(start, start + len(data[start:end].rstrip(b"\0\3"))) for start, end in slices[:_MOST_SLICES]]


def rate_change(path: str, index: int, deadline: Deadline) -> str | None:
    """A reason, with the time, where the frame rate of a bare stream changes; None if it does not.

    Such a stream has no clock but the rate in its headers: where it changes, another film begins.
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
    """By the two bytes of a NAL unit header: forbidden bit, type (6), layer (6), … (ITU-T H.265, 7.3.1.2)."""
    return first < 64 and not first & 1 and not second >> 3


def _rate_in(codec: str, data: bytes) -> Fraction | None:
    """The frame rate that FFmpeg reads from a packet with parameter sets and a picture."""
    decoder = cast("VideoCodecContext", av.CodecContext.create(codec, "r"))
    decoder.thread_count = 1
    try:
        decoder.decode(cast("Packet[VideoStream]", av.Packet(data)))
    except av.FFmpegError:
        return None
    return decoder.framerate or None
