"""Bare streams of pictures have no clock but the rate in their headers: where it changes, another film begins."""

from __future__ import annotations

import re
from fractions import Fraction
from typing import cast

import av
from av.packet import Packet
from av.video.codeccontext import VideoCodecContext
from av.video.stream import VideoStream

from avssl.media.containers.container import Deadline, opened, packets, stream_at

_HEADERS = {
    "h264": re.compile(rb"\x00\x00\x01[\x07\x27\x47\x67].*?(?=\x00\x00\x01|\Z)", re.DOTALL),
    "hevc": re.compile(rb"\x00\x00\x01[\x40\x42]\x01.*?(?=\x00\x00\x01|\Z)", re.DOTALL),
}
"""Parameter sets that tell the rate, by the name of the format (ITU-T H.264 and H.265, 7.3.1.2 and annexes B and E).
In MPEG-1 and MPEG-2 video FFmpeg keeps one clock over a change, and motion JPEG says nothing of a rate."""


def rate_change(path: str, index: int, deadline: Deadline) -> str | None:
    """That the pictures of a bare stream change their rate, in words with the time; None if they do not.

    Args:
        index: of the stream of pictures.

    Raises:
        MediaError: the deadline has passed.
        av.FFmpegError: the file cannot be read.
    """
    with opened(path, deadline) as container:
        headers = _HEADERS.get(container.format.name)
        if headers is None:
            return None
        stream = stream_at(container, index, VideoStream, path)
        rate, known = None, None
        for pictures, packet in enumerate(packets(container, deadline, stream)):
            data = bytes(packet)
            found = headers.findall(data)
            if found and found != known:
                known = found
                told = _rate_in(stream.codec_context.codec.name, data)
                if rate and told and told != rate:
                    words = f"the rate of its pictures changes from {float(rate):g} to {float(told):g} a second"
                    return f"joined: {words} at {float(pictures / rate):.2f} s"
                rate = told or rate
    return None


def _rate_in(codec: str, data: bytes) -> Fraction | None:
    """What a decoder reads from a packet with headers and a picture."""
    decoder = cast("VideoCodecContext", av.CodecContext.create(codec, "r"))
    decoder.thread_count = 1
    try:
        decoder.decode(cast("Packet[VideoStream]", av.Packet(data)))
    except av.FFmpegError:
        return None
    return decoder.framerate or None
