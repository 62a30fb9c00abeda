"""Decoded frames, and which of them can be trusted."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator

import av
from av.packet import Packet
from av.video.frame import PictureType, VideoFrame
from av.video.stream import VideoStream

from avssl.media.containers.h26x import has_forbidden_bytes, is_b_picture, is_idr, unit_length_bytes
from avssl.media.decoding.jpeg import jpeg_is_damaged

INDEXED = {"mp4", "matroska", "avi", "asf"}  # containers with an index of key frames

LONGEST_DELAY = 32  # a decoder of H.264 holds back 16 pictures at most

_INDEPENDENT = (PictureType.NONE, PictureType.I)


def decoded(
    source: Iterable[Packet[VideoStream]],
    *,
    from_key: bool = True,
    late: Callable[[Packet[VideoStream]], bool] | None = None,
) -> Iterator[tuple[VideoFrame | Packet[VideoStream], bool]]:
    """The frames of a stream, each with whether all that it depends on could be decoded.

    Damage lasts until the next independent picture is decoded whole: until then FFmpeg makes pictures of grey and of
    other pictures. A packet that cannot be decoded is yielded in place of its frame.

    A file may have been cut out of a stream: what precedes its first key frame, or is shown before that frame but needs
    pictures that were cut away, is skipped.

    Args:
        from_key: skip packets before the first key frame, from which decoders make grey pictures.
        late: called with the first packet in use; if it returns True, there are no frames.
    """
    tracker: _DamageTracker | None = None
    waiting: list[tuple[int, VideoFrame | Packet[VideoStream]]] = []
    for place, packet in enumerate(source):
        if tracker is None:
            if packet.size and from_key and not _is_marked_key(packet):
                continue
            if packet.size and late is not None and late(packet):
                return
            tracker = _DamageTracker(place, packet)
        tracker.note_packet(place, packet)
        frames = None if tracker.is_visibly_damaged(packet) else _frames(packet)
        if frames is None and tracker.note_failure(place, packet):
            waiting.append((place, packet))
        if frames is not None and packet.is_discard and packet.is_keyframe:
            tracker.note_whole_key(place)  # an edit list hides the frame itself
        for frame in frames or ():
            tracker.note_frame(frame)
            waiting.append((place, frame))
        if waiting and (not tracker.is_uncertain or len(waiting) > LONGEST_DELAY):
            yield from tracker.released(waiting)
            waiting.clear()
    if tracker is not None:
        yield from tracker.released(waiting)


def _frames(packet: Packet[VideoStream]) -> list[VideoFrame] | None:
    """The frames that come out for a packet; None where FFmpeg reports damage."""
    try:
        return packet.decode()
    except av.FFmpegError:
        return None


def _is_marked_key(packet: Packet[VideoStream]) -> bool:
    """Whether a packet is marked as a key frame, in itself or in the index of the container.

    FFmpeg removes the mark from a packet in which it finds no picture, for example the damaged first one of a file.
    """
    if packet.is_keyframe:
        return True
    if not INDEXED & set(packet.stream.container.format.name.split(",")):
        return False  # of other containers FFmpeg's index holds places to search from, not key frames
    entries = packet.stream.index_entries
    for time in (packet.dts, packet.pts):
        number = -1 if time is None else entries.search_timestamp(time)
        if number >= 0 and entries[number].timestamp == time and entries[number].is_keyframe:
            return True
    return False


class _DamageTracker:
    """Decides which frames from a decoder are whole. Frames and packets are identified by their decoding order.

    A frame depends on all that was decoded since the latest key frame that was shown before it: one that is decoded
    after a key frame but shown before it may also refer to pictures before.
    """

    def __init__(self, first: int, packet: Packet[VideoStream]) -> None:
        self._first = first
        self._first_pts = packet.pts
        codec = packet.stream.codec_context.codec.name
        self._is_jpeg = codec == "mjpeg"
        self._unit_length_bytes = unit_length_bytes(packet.stream.codec_context)
        # H.264 does not mark pictures whose references were cut away: the decoder makes them grey.
        self._leading_are_grey = codec == "h264"
        # In a stream without times: whether only pictures that may be shown before the first have come after it.
        self._follows_first_key = packet.pts is None and self._leading_are_grey
        self._marked = {first}  # packets that the container marks as key frames
        self._key: int | None = None if _is_marked_key(packet) else first - 1
        self._damaged: list[int] = []
        self._is_cut = self._leading_are_grey and not is_idr(packet)
        self._whole_after_all: set[int] = set()
        # Packets of which the decoder reported an error, in a group that may ask for pictures before a cut to be
        # forgotten (memory management control operations). FFmpeg calls this an error, but only after the picture,
        # which comes out later and is not called corrupt.
        self._uncertain: set[int] = set()

    @property
    def is_uncertain(self) -> bool:
        return bool(self._uncertain)

    def is_visibly_damaged(self, packet: Packet[VideoStream]) -> bool:
        """Whether a packet is damaged in a way that FFmpeg does not report.

        It fills what is missing in a JPEG with grey, and makes pictures of any HEVC.
        """
        if self._unit_length_bytes:
            return has_forbidden_bytes(bytes(packet), self._unit_length_bytes)
        return self._is_jpeg and packet.size > 0 and jpeg_is_damaged(bytes(packet))

    def note_packet(self, place: int, packet: Packet[VideoStream]) -> None:
        packet.opaque = place
        if packet.is_keyframe:
            self._marked.add(place)
            self._is_cut &= place == self._first
        if self._follows_first_key and place > self._first:
            self._follows_first_key = is_b_picture(packet)

    def note_failure(self, place: int, packet: Packet[VideoStream]) -> bool:
        """Note a packet that cannot be decoded. Answers False for one that is not missed."""
        if self._is_leading(place, packet.pts):
            return False
        if self._follows_first_key and place > self._first:
            return False
        if self._is_cut and place > self._first:
            self._uncertain.add(place)
        else:
            self._damaged.append(place)
        return True

    def note_frame(self, frame: VideoFrame) -> None:
        if frame.opaque in self._uncertain and not frame.is_corrupt:
            self._uncertain.remove(frame.opaque)
            self._whole_after_all.add(frame.opaque)

    def released(
        self, waiting: Iterable[tuple[int, VideoFrame | Packet[VideoStream]]]
    ) -> Iterator[tuple[VideoFrame | Packet[VideoStream], bool]]:
        """What came out, or failed, when these packets went in, with whether it is whole."""
        self._damaged += self._uncertain
        self._uncertain.clear()
        for place, item in waiting:
            if isinstance(item, VideoFrame):
                whole = self.is_whole(place, item)
                if whole is not None:
                    yield item, whole
            elif place not in self._whole_after_all:
                yield item, False

    def is_whole(self, place: int, frame: VideoFrame) -> bool | None:
        """The same of a frame that came out when the packet at ``place`` went in. None: it is not missed."""
        at = frame.opaque if isinstance(frame.opaque, int) else place
        leading = self._is_leading(at, frame.pts)
        if leading and (frame.is_corrupt or self._leading_are_grey):
            return None
        if frame.is_corrupt:
            self._damaged.append(at)
        damaged = at in self._damaged
        if not damaged and (frame.key_frame or (at in self._marked and frame.pict_type in _INDEPENDENT)):
            self.note_whole_key(at)
        if leading and self._key is None:
            return not self._damaged
        key = self._key
        return key is not None and not (self._damaged and any(key < other <= at for other in self._damaged))

    def note_whole_key(self, place: int) -> None:
        """A picture that needs no other has been decoded whole, and all that is shown from now on was made from it."""
        self._key = place
        self._damaged = [other for other in self._damaged if other > place]
        self._marked = {other for other in self._marked if other > place}

    def _is_leading(self, at: int, pts: int | None) -> bool:
        """Whether this is decoded after the first key frame, but shown before it."""
        if pts is None or self._first_pts is None or at <= self._first:
            return False
        return pts < self._first_pts
