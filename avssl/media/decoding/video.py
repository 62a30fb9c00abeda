"""Frames of a file by the time at which they are shown: seek, decode forward, keep the wanted ones."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from types import TracebackType

import av
import numpy as np
from av.container import InputContainer
from av.packet import Packet
from av.video.frame import VideoFrame
from av.video.stream import VideoStream
from numpy.typing import NDArray

from avssl.errors import MediaError
from avssl.media.containers.demux import READ_TIMEOUT_SECONDS, Deadline, error_text, opened, packets, stream_at
from avssl.media.decoding.clock import Clock
from avssl.media.decoding.kept_files import borrowed
from avssl.media.decoding.open_files import OpenFile
from avssl.media.decoding.pictures import Painter
from avssl.media.decoding.trusted_frames import decoded
from avssl.media.decoding.walk import Walk

DAMAGED = "damaged: its pictures cannot be decoded"  # of a file, or of the place at which it was read


def read_frames(
    path: str, clock: Clock, times: Sequence[float], *, timeout_seconds: float = READ_TIMEOUT_SECONDS
) -> NDArray[np.uint8]:
    """The frame shown at each of these media times: uint8 RGB (len(times), 3, height, width).

    Each group of pictures is decoded once, whatever the order of ``times``. Raises MediaError where the file has no
    pictures, or a wanted one cannot be decoded.
    """
    if not clock.has_video:
        raise MediaError(path, "there are no pictures in this file")
    numbers = [clock.shown(seconds) for seconds in times]
    result = np.empty((len(numbers), 3, clock.height, clock.width), np.uint8)
    painter, wanted = Painter(clock.width, clock.height, path), sorted(set(numbers))
    key, first = next(iter(clock.groups(wanted).items()), (0, []))
    with (
        borrowed(path, timeout_seconds, (key, clock.container_seconds(first))) as file,
        FrameReader(path, clock, file.deadline, file) as reader,
    ):
        for number, frame in reader.frames(wanted):
            picture = painter.pixels(frame).transpose(2, 0, 1)
            for row, shown in enumerate(numbers):
                if shown == number:
                    result[row] = picture
    return result


def size_changes(known: tuple[int, ...], frame: VideoFrame) -> str:
    return f"joined: the size of its pictures changes from {known[0]}×{known[1]} to {frame.width}×{frame.height}"


class FrameReader:
    """A file read by frame number; a context that closes what it opens. Its methods raise MediaError.

    Args:
        file: kept open by the caller: then only the pictures are decoded that the wanted ones depend on. Without it all
            are, and any damage is found.
    """

    def __init__(self, path: str, clock: Clock, deadline: Deadline, file: OpenFile | None = None) -> None:
        self.path = path
        self._clock = clock
        self._deadline = deadline
        self._file = file
        self._files = ExitStack()
        self._container: InputContainer | None = None
        self._damage_seen = False

    def __enter__(self) -> FrameReader:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._files.close()

    def frames(self, wanted: Sequence[int]) -> Iterator[tuple[int, VideoFrame]]:
        """The frames with these numbers (ascending), each once, in no promised order."""
        for key, numbers in self._clock.groups(wanted).items():
            missing = list(numbers)
            damaged = 0
            if self._file is not None and self._clock.video_seekable and not self._clock.frames_are_counted:
                for number, frame in self._walked(self._file, key, numbers):
                    missing.remove(number)
                    yield number, frame
            for attempt in _attempts(key) if missing else ():
                for number, frame in self._pass(missing, attempt):
                    missing.remove(number)
                    yield number, frame
                # Starting further back mends no damage, but pictures of an open group may refer to those before it.
                damaged += self._damage_seen
                if not missing or damaged > 1:
                    break
            if missing:
                raise MediaError(self.path, DAMAGED, self._seconds(missing[0]))

    def _walked(self, file: OpenFile, key: int, wanted: Sequence[int]) -> Iterator[tuple[int, VideoFrame]]:
        """The wanted frames (ascending) of a group from a kept file, up to the first damage."""
        seconds = self._clock.container_seconds(wanted)
        try:
            walk = file.walk
            if walk is not None and walk.reaches(key, seconds):
                file.goes_on()
            else:
                walk = file.walk = self._walk_from(file, key, seconds[0])
            for place, frame in walk.frames(seconds):
                self._must_fit(frame)
                yield wanted[place], frame
            if not walk.is_whole:
                file.close()
        except (av.FFmpegError, OSError):
            file.close()

    def _walk_from(self, file: OpenFile, key: int, first_seconds: float) -> Walk:
        container, is_new = file.pictures()
        stream = stream_at(container, self._clock.video_stream, VideoStream, self.path)
        begins_anew = not is_new or key > 0
        if begins_anew:
            self._seek(container, stream, key)
        source = self._packets(container, stream, after_seek=begins_anew)
        return Walk(source, stream, key, first_seconds, from_key=len(self._clock.key_times) > 0)

    def all_frames(self) -> Iterator[tuple[int, VideoFrame]]:
        """All frames in the order shown, from the start of the file."""
        expected = 0
        for number, frame in self._pass(range(len(self._clock.frame_times)), None):
            if number != expected:
                break
            yield number, frame
            expected += 1
        if expected < len(self._clock.frame_times):
            raise MediaError(self.path, DAMAGED, self._seconds(expected))

    def _seconds(self, number: int) -> float:
        return float(self._clock.frame_times[number])

    def _pass(self, wanted: Sequence[int], key: int | None) -> Iterator[tuple[int, VideoFrame]]:
        """The wanted frames (ascending) that are whole when decoded from this key frame (None: the start)."""
        remaining = set(wanted)
        last = wanted[-1]
        try:
            for number, frame, whole in self.numbered(key, wanted[0]):
                if number is None:
                    continue
                if number in remaining and whole:
                    remaining.remove(number)
                    yield number, frame
                if number >= last:
                    return
        except (av.FFmpegError, OSError) as error:
            raise MediaError(self.path, error_text(error), self._seconds(wanted[0])) from error

    def numbered(self, key: int | None, first: int = 0) -> Iterator[tuple[int | None, VideoFrame, bool]]:
        """Frames decoded from a key frame (None: the start), in the order shown: (number, frame, whole).

        The number is None for a frame that is not in the clock. Nothing is yielded if the container seeks to a later
        place than the frame ``first``.
        """
        container, stream = self._at(key)
        source = self._packets(container, stream, after_seek=key is not None)
        must_start_with_key = len(self._clock.key_times) > 0
        latest = self._seconds(first) + 1e-6

        def late(packet: Packet[VideoStream]) -> bool:
            seconds = self._clock.media_seconds(packet)
            return key is not None and seconds is not None and seconds > latest

        counted, count = self._clock.frames_are_counted, 0
        self._damage_seen = False
        for item, whole in decoded(source, from_key=must_start_with_key, late=late):
            self._damage_seen |= not whole
            if isinstance(item, VideoFrame):
                self._must_fit(item)
                yield count if counted else self._number_of(item), item, whole
                count += 1
            elif counted:
                return  # it is unknown how many frames are missing here

    def _must_fit(self, frame: VideoFrame) -> None:
        known = tuple(self._clock.stored_size)  # a list if read from JSON
        if known not in ((0, 0), (frame.width, frame.height)):
            raise MediaError(self.path, size_changes(known, frame), self._clock.media_seconds(frame))

    def _at(self, key: int | None) -> tuple[InputContainer, VideoStream]:
        """The file, after a seek to this key frame (None: just opened)."""
        if key is None or self._container is None:
            self._files.close()
            self._container = self._files.enter_context(opened(self.path, self._deadline))
        stream = stream_at(self._container, self._clock.video_stream, VideoStream, self.path)
        if key is not None:
            self._seek(self._container, stream, key)
        return self._container, stream

    def _seek(self, container: InputContainer, stream: VideoStream, key: int) -> None:
        seconds = self._clock.origin_seconds + float(self._clock.key_times[key] if key else 0)
        container.seek(round(seconds / (stream.time_base or 1)), stream=stream)

    def _packets(
        self, container: InputContainer, stream: VideoStream, *, after_seek: bool
    ) -> Iterator[Packet[VideoStream]]:
        source = packets(container, self._deadline, stream)
        return _settled(source) if after_seek and container.format.name == "mpeg" else source

    def _number_of(self, frame: VideoFrame) -> int | None:
        """The number of a frame by its time; None for one that is not shown."""
        seconds = self._clock.media_seconds(frame)
        if seconds is None or not frame.time_base:
            return None
        times = self._clock.frame_times
        number = min(int(np.searchsorted(times, seconds - 0.4 * float(frame.time_base))), len(times) - 1)
        return number if abs(times[number] - seconds) < 0.5 * float(frame.time_base) else None


def _attempts(key: int) -> list[int | None]:
    """The key frames to start from: the right one, earlier ones (some containers land late), then the start."""
    return [k for k in (key, key - 1, key - 3, key - 8) if k > 0] + [None]


def _settled(source: Iterator[Packet[VideoStream]]) -> Iterator[Packet[VideoStream]]:
    """The packets of an MPEG program stream after a seek, from where their times can be trusted.

    One PES packet may hold many small pictures and one time stamp, of the first picture that begins in it. After a
    seek FFmpeg gives this stamp to the rest of the picture before, so that all are off by a frame until the next one.
    """
    units = 0
    for packet in source:
        units += packet.pos is not None  # set where a unit begins
        if units > 1 or not packet.size:
            yield packet
