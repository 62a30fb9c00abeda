"""Damage that FFmpeg's decoders of VP8, VP9, HEVC and GIF do not report.

An arithmetic decoder makes a picture of any bytes. But a damaged picture mostly consumes more bytes than it has, or
fewer. So each is decoded twice, the second time with bytes appended: an intact one comes out equal. FFmpeg's HEVC
decoder stops silently where a damaged slice seems to end. So key frames are decoded with other bytes at their end (in
HEVC of each slice): an intact one comes out different. In an animated GIF FFmpeg draws what it can; Pillow reports
the damage.
"""

from __future__ import annotations

import struct
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, cast

import av
import numpy as np
from av.packet import Packet
from av.video.codeccontext import VideoCodecContext
from av.video.frame import VideoFrame
from av.video.stream import VideoStream
from numpy.typing import NDArray
from PIL import Image

from avssl.media.containers.demux import STRICT, Deadline, opened, packets, stream_at
from avssl.media.containers.h26x import base_slices
from avssl.media.decoding.clock import Clock

CODECS = ("vp8", "vp9")
_ADDED = b"\xa5" * 16
# How often other bytes are tried, and how many: encoders write at most four that mean nothing, and of any others the
# decoder makes another picture, or none.
_OTHER_ENDS, _OTHER_BYTES = 4, 32
_SMALLEST_SLICE = 400  # bytes; smaller ones are left alone
# Bytes zero at the end of a picture of VP8, at most: a black one of libwebp has one for 10,000 pixels; an encoder that
# leaves all probabilities as they are may need one for 85.
_MOST_ZEROS, _PIXELS_A_ZERO = 16, 64
MOST_FRAMES = 600  # of a GIF, that are checked


def first_overread(path: str, clock: Clock, key_seconds: float, limit: int, deadline: Deadline) -> float | None:
    """Media time of the first of ``limit`` pictures after a key frame that consumes bytes beyond its own, or None."""
    with _at_key(path, clock, key_seconds, deadline) as (stream, source):
        other = _decoder_like(stream.codec_context)
        started = False
        for packet in source:
            started = started or packet.is_keyframe
            if not packet.size or limit <= 0:
                break
            if not started:
                continue
            try:
                frames = packet.decode()
            except av.FFmpegError:
                break  # check_pictures finds it
            if not _are_same(frames, _decoded(other, packet)):
                seconds = clock.media_seconds(packet)
                return -clock.origin_seconds if seconds is None else seconds
            limit -= len(frames)
    return None


def key_frame_is_damaged(path: str, clock: Clock, key_seconds: float, deadline: Deadline) -> bool:
    """Whether the decoder of a key frame of HEVC, VP8 or VP9 stops long before its bytes end."""
    with _at_key(path, clock, key_seconds, deadline) as (stream, source):
        packet = next((packet for packet in source if packet.is_keyframe), None)
        if packet is None:
            return False
        data, context = bytes(packet), stream.codec_context
        if context.codec.name == "hevc":
            slices = base_slices(data, context)
        else:
            has_index = bool(data) and data[-1] >> 5 == 0b110  # VP9: of several frames
            slices = [] if has_index else [(0, len(data.rstrip(b"\0")))]
        return _ignores_its_end(context, data, slices)


def vp8_is_damaged(data: bytes) -> bool:
    """Whether a single VP8 picture (WebP) consumes more bytes than it has, or leaves some unused."""
    context = av.CodecContext.create("vp8", "r")
    frames = _alone(context, data)
    if frames and not _are_same(frames, _alone(context, data + _ADDED)):
        return True
    end = len(data.rstrip(b"\0"))
    if frames and len(data) - end > _MOST_ZEROS + frames[0].width * frames[0].height // _PIXELS_A_ZERO:
        return True  # an unfinished download, for example
    return _ignores_its_end(context, data, [(0, end)])


def damaged_gif_frame(path: str) -> int | None:
    """The first frame of a GIF with invalid codes, or codes for more or less than the frame; None if there is none."""
    number = 0
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of large sizes, which were checked
        try:
            with Image.open(path, formats=["GIF"]) as image:
                for number in range(MOST_FRAMES):
                    image.seek(number)
                    image.load()
        except EOFError:
            return None
        except (OSError, ValueError, IndexError, struct.error):
            return number
    return None


@contextmanager
def _at_key(
    path: str, clock: Clock, key_seconds: float, deadline: Deadline
) -> Iterator[tuple[VideoStream, Iterator[Packet[VideoStream]]]]:
    """The video stream and its packets from this key frame on."""
    with opened(path, deadline) as container:
        stream = stream_at(container, clock.video_stream, VideoStream, path)
        assert stream.time_base is not None  # stream_at sees to it
        container.seek(round((clock.origin_seconds + key_seconds) / stream.time_base), stream=stream)
        yield stream, packets(container, deadline, stream)


def _ignores_its_end(context: VideoCodecContext, data: bytes, slices: list[tuple[int, int]]) -> bool:
    frames = _alone(context, data)
    for start, end in slices if frames else ():
        if end - start < _SMALLEST_SLICE:
            continue
        draws = np.random.default_rng(0).integers(1, 256, (_OTHER_ENDS, _OTHER_BYTES), np.uint8)
        others = (data[: end - _OTHER_BYTES] + draw.tobytes() + data[end:] for draw in draws)
        if all(_are_same(frames, _alone(context, changed)) for changed in others):
            return True
    return False


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
        np.array_equal(plane, other)
        for one, two in zip(frames, others, strict=True)
        for plane, other in zip(_planes(one), _planes(two), strict=True)
    )


def _planes(frame: VideoFrame) -> list[NDArray[np.uint8]]:
    """The bytes of its planes, without the padding of rows: that is whatever was in memory."""
    width = (frame.format.components[0].bits + 7) // 8
    return [
        np.frombuffer(cast("Any", plane), np.uint8).reshape(-1, plane.line_size)[: plane.height, : plane.width * width]
        for plane in frame.planes
    ]


def _alone(context: VideoCodecContext, data: bytes) -> list[VideoFrame]:
    """The frames of one packet, decoded by a new decoder; none where it reports an error."""
    decoder = _decoder_like(context)
    try:
        return [*decoder.decode(cast("Packet[VideoStream]", av.Packet(data))), *decoder.decode(None)]
    except av.FFmpegError:
        return []
