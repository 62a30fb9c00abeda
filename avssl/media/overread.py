"""Whether decoding pictures of VP8 and VP9 needs no bytes beyond their own.

The arithmetic decoders of these codecs take any bytes for pictures, and FFmpeg reports no damage in them. But a damaged
picture mostly takes more bytes than it has. So each is decoded twice, the second time with bytes added behind its end:
a whole one is the same.
"""

from __future__ import annotations

from typing import Any, cast

import av
import numpy as np
from av.packet import Packet
from av.video.codeccontext import VideoCodecContext
from av.video.frame import VideoFrame
from av.video.stream import VideoStream
from numpy.typing import NDArray

from avssl.media.clock import Clock
from avssl.media.container import STRICT, Deadline, opened, packets, stream_at

CODECS = ("vp8", "vp9")
_ADDED = b"\xa5" * 16


def first_overread(path: str, clock: Clock, key_seconds: float, limit: int, deadline: Deadline) -> float | None:
    """Media time of the first picture, from a key frame on, that needs bytes beyond its own; None if none does.

    Args:
        key_seconds: media time of the key frame.
        limit: how many pictures to look at.
    """
    with opened(path, deadline) as container:
        stream = stream_at(container, clock.video_stream, VideoStream, path)
        tick = stream.time_base
        assert tick is not None  # stream_at sees to it
        container.seek(round((clock.origin_seconds + key_seconds) / tick), stream=stream)
        other = _decoder_like(stream.codec_context)
        started = False
        for packet in packets(container, deadline, stream):
            started = started or packet.is_keyframe
            if not packet.size or limit <= 0:
                break
            if not started:
                continue
            try:
                frames = packet.decode()
            except av.FFmpegError:
                break  # whoever reads it will say so
            if not _are_same(frames, _decoded(other, packet)):
                return float((packet.pts or 0) * tick) - clock.origin_seconds
            limit -= len(frames)
    return None


# --- how ------------------------------------------------------------------------------------------------------


def _decoder_like(context: VideoCodecContext) -> VideoCodecContext:
    other = cast("VideoCodecContext", av.CodecContext.create(context.codec.name, "r"))
    other.extradata = context.extradata
    other.thread_count = 1
    other.options = {"err_detect": STRICT}
    return other


def _decoded(decoder: VideoCodecContext, packet: Packet[VideoStream]) -> list[VideoFrame]:
    data = bytes(packet)
    if decoder.codec.name == "vp8" or data[-1] >> 5 != 0b110:  # VP9, annex B: several frames, with an index at the end
        data += _ADDED
    longer = cast("Packet[VideoStream]", av.Packet(data))
    longer.pts, longer.dts, longer.time_base = packet.pts, packet.dts, packet.time_base
    try:
        return decoder.decode(longer)
    except av.FFmpegError:
        return []


def _are_same(frames: list[VideoFrame], others: list[VideoFrame]) -> bool:
    return len(frames) == len(others) and all(
        np.array_equal(_brightness(one), _brightness(two)) for one, two in zip(frames, others, strict=True)
    )


def _brightness(frame: VideoFrame) -> NDArray[np.uint8]:
    """The bytes of the first plane, without those that pad its rows."""
    plane = frame.planes[0]
    used = plane.width * ((frame.format.components[0].bits + 7) // 8)
    return np.frombuffer(cast("Any", plane), np.uint8).reshape(-1, plane.line_size)[: plane.height, :used]
