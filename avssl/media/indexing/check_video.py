"""Whether the frames of a file decode, and when each is shown if packets alone do not tell."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from fractions import Fraction

import numpy as np
from av.video.frame import VideoFrame
from av.video.reformatter import Interpolation, VideoReformatter
from av.video.stream import VideoStream
from numpy.typing import NDArray

from avssl.errors import MediaError
from avssl.media.containers.demux import Deadline, opened, packets
from avssl.media.containers.h26x import rate_change
from avssl.media.decoding.clock import Clock
from avssl.media.decoding.pictures import Painter, shown_size
from avssl.media.decoding.trusted_frames import decoded
from avssl.media.decoding.video import DAMAGED, FrameReader, size_changes
from avssl.media.facts import Unusable
from avssl.media.indexing import silent_damage
from avssl.media.indexing.packet_scan import Track

# Frames of the first, the middle and the last group of pictures that are decoded; of a longer last group the end stays
# unseen.
FIRST_FRAMES = 120
MIDDLE_FRAMES = 60
LAST_FRAMES = 600

THUMBNAIL = (64, 48)
THUMBNAIL_STEP = 8
STILL_LEVELS = 4  # pictures whose thumbnails differ nowhere by more than this, of 255, count as the same

# Pictures a second; no video has more. Stamps that merely count packets seem to.
FASTEST = 100_000


@dataclass(frozen=True, slots=True)
class Pictures:
    clock: Clock
    duration_seconds: float  # from the first frame to the end of the last
    still: bool
    # Pictures before the first that is shown cannot be decoded: the file was cut out of a stream.
    cut: bool


def check_pictures(path: str, stream: VideoStream, track: Track, *, deadline: Deadline) -> Pictures:
    """Find the time of every frame, and decode some.

    The times come from the packets, without decoding, if the frames that are decoded agree with them; else from
    decoding the whole stream.

    Args:
        stream: in an open container, which is not read from.
        track: its packets.

    Raises:
        Unusable: nothing decodes, or damage was met.
        MediaError: the deadline has passed.
    """
    check = _PictureCheck(path, stream, track, deadline)
    if track.untimed or (stream.container.format.name == "avi" and track.is_delayed):
        # AVI has no presentation times; those that FFmpeg makes up for reordered frames are late or worse.
        change = rate_change(path, stream.index, deadline)
        if change:
            raise Unusable(change)
        clock = check.counted()
    else:
        clock = check.timed()
        if track.codec == "gif":
            number = silent_damage.damaged_gif_frame(path)
            if number is not None:
                number = min(number, len(clock.frame_times) - 1)
                raise Unusable(f"{DAMAGED} at {clock.frame_times[number]:.2f} s")
        if track.codec in silent_damage.CODECS:
            check.must_not_read_beyond_its_bytes(clock)
        if track.codec in ("hevc", *silent_damage.CODECS):
            check.must_read_its_bytes(clock)
    count, lasts = len(clock.frame_times), float(clock.frame_times[-1])
    if lasts * FASTEST < count - 1:
        raise Unusable(f"damaged: its timestamps give {(count - 1) / max(lasts, 1e-9):.0f} pictures a second")
    still = len(clock.frame_times) < 2 or check.is_still
    before_first = clock.origin_seconds - track.tick / 2
    cut = not clock.frames_are_counted and any(track.seconds(ticks) < before_first for ticks in track.times)
    return Pictures(clock, _duration(clock, stream, track), still, cut)


class _PictureCheck:
    """The inspection of the pictures of one file."""

    def __init__(self, path: str, stream: VideoStream, track: Track, deadline: Deadline) -> None:
        self._path = path
        self._index = stream.index
        self._rate = stream.average_rate or Fraction(25)
        self._track = track
        self._deadline = deadline
        self._thumbnails: dict[int, NDArray[np.uint8]] = {}
        self._reformatter = VideoReformatter()
        self._size = (0, 0)
        self._stored_size = (0, 0)

    @property
    def is_still(self) -> bool:
        pictures = np.stack(list(self._thumbnails.values())).astype(np.int16)
        return bool((pictures.max(axis=0) - pictures.min(axis=0)).max() <= STILL_LEVELS)

    def timed(self) -> Clock:
        """Times from the packets, trusted as far as decoding agrees with them."""
        ticks = sorted(set(self._track.times))
        seen: list[int | None] = []
        for frame in self._from_start(FIRST_FRAMES):
            self._keep(len(seen), frame)
            seen.append(frame.pts)
        first = 0 if seen[0] not in ticks else ticks.index(seen[0])
        if seen != ticks[first : first + len(seen)] or len(ticks) < len(self._track.times):
            return self._by_decoding()
        clock = self._clock(ticks[first:])
        if not self._seeks_well(clock, len(seen)):
            return replace(self._by_decoding(), video_seekable=False)
        self._check_later_groups(clock, len(seen))
        return clock

    def _seeks_well(self, clock: Clock, known: int) -> bool:
        """Whether seeking to a key frame shows what decoding from the start showed there."""
        inside = [k for k in range(1, len(clock.key_times)) if clock.shown(float(clock.key_times[k])) < known]
        with FrameReader(self._path, clock, self._deadline) as reader:
            for key in {inside[0], inside[len(inside) // 2], inside[-1]} if inside else set():
                first = clock.shown(float(clock.key_times[key]))
                try:
                    for number, frame in reader.frames(range(first, min(first + THUMBNAIL_STEP, known))):
                        if not np.array_equal(self._thumbnails[number], self._thumbnail(frame)):
                            return False
                except MediaError:  # it was whole when decoded from the start: it is the seek that is wrong
                    return False
        return True

    def _check_later_groups(self, clock: Clock, known: int) -> None:
        total, keys = len(clock.frame_times), len(clock.key_times)
        with FrameReader(self._path, clock, self._deadline) as reader:
            for key, limit in ((keys // 2, MIDDLE_FRAMES), (keys - 1, LAST_FRAMES)):
                first = max(clock.shown(float(clock.key_times[key])), 0) if keys else 0
                until = clock.shown(float(clock.key_times[key + 1])) if key + 1 < keys else total
                wanted = range(max(first, known), min(until, first + limit))
                if wanted:
                    for number, frame in reader.frames(wanted):
                        if number % THUMBNAIL_STEP == 0:
                            self._keep(number, frame)

    def must_not_read_beyond_its_bytes(self, clock: Clock) -> None:
        """Raises Unusable where a picture of those groups consumes more bytes than it has."""
        keys = clock.key_times
        places = {0: FIRST_FRAMES, len(keys) // 2: MIDDLE_FRAMES, len(keys) - 1: LAST_FRAMES}
        for key, limit in places.items() if len(keys) and clock.video_seekable else ():
            seconds = silent_damage.first_overread(self._path, clock, float(keys[key]), limit, self._deadline)
            if seconds is not None:
                raise Unusable(f"{DAMAGED} at {max(seconds, 0.0):.2f} s")

    def must_read_its_bytes(self, clock: Clock) -> None:
        """Raises Unusable where the decoder of a key frame of those groups stops before its bytes end."""
        keys = clock.key_times if clock.video_seekable else clock.key_times[:1]
        for key in sorted({0, len(keys) // 2, len(keys) - 1}) if len(keys) else ():
            if silent_damage.key_frame_is_damaged(self._path, clock, float(keys[key]), self._deadline):
                raise Unusable(f"{DAMAGED} at {max(float(keys[key]), 0.0):.2f} s")

    def _by_decoding(self) -> Clock:
        """Times from decoding everything."""
        ticks: list[int] = []
        for frame in self._from_start(None):
            if frame.pts is None or (ticks and frame.pts <= ticks[-1]):
                return self.counted()
            if len(ticks) % THUMBNAIL_STEP == 0:
                self._keep(len(ticks), frame)
            ticks.append(frame.pts)
        return self._clock(ticks)

    def counted(self) -> Clock:
        """The n-th frame gets the n-th decoding time; where packets have none, the nominal rate decides."""
        count = 0
        for frame in self._from_start(None):
            if count % THUMBNAIL_STEP == 0:
                self._keep(count, frame)
            count += 1
        ticks = sorted(t for t in self._track.decoding_times if t is not None)
        if len(set(ticks)) >= count:
            return replace(self._clock(ticks[:count]), frames_are_counted=True, video_seekable=False)
        times = np.array([float(n / self._rate) for n in range(count)])
        origin = self._track.seconds(ticks[0]) if ticks else 0.0
        return replace(
            self._clock([0]), origin_seconds=origin, frame_times=times, frames_are_counted=True, video_seekable=False
        )

    def _from_start(self, limit: int | None) -> Iterator[VideoFrame]:
        """The frames from the first on; raises Unusable where there is none, or one is damaged."""
        first: VideoFrame | None = None
        count = 0
        with opened(self._path, self._deadline) as container:
            stream = container.streams[self._index]
            assert isinstance(stream, VideoStream)
            source = packets(container, self._deadline, stream)
            damaged_seconds: float | None = None
            for item, whole in decoded(source, from_key=self._track.has_keys):
                if not whole and damaged_seconds is None:
                    damaged_seconds = self._media_seconds(item.pts, first)
                if damaged_seconds is not None:
                    if first is None and not whole:
                        continue  # "none can be decoded" is the truer reason, if it is so
                    raise Unusable(f"{DAMAGED} at {damaged_seconds:.2f} s")
                assert isinstance(item, VideoFrame)
                if first is None:
                    first = item
                    self._size = shown_size(stream, item)
                    self._stored_size = (item.width, item.height)
                    Painter(*self._size, self._path).pixels(item)  # raises if FFmpeg cannot convert this format
                if (item.width, item.height) != self._stored_size:
                    at = "" if item.pts is None else f" at {self._media_seconds(item.pts, first):.2f} s"
                    raise Unusable(size_changes(self._stored_size, item) + at)
                yield item
                count += 1
                if count == limit:
                    return
        if not count:
            raise Unusable("damaged: none of its pictures can be decoded")

    def _media_seconds(self, pts: int | None, first: VideoFrame | None) -> float:
        """The time of a picture after the first, whole or not."""
        origin = min(self._track.times, default=0) if first is None else first.pts or 0
        return max(self._track.seconds((pts or origin) - origin), 0.0)

    def _clock(self, ticks: list[int]) -> Clock:
        """Frames at these container times (ascending)."""
        seconds, origin = self._track.seconds, ticks[0]
        # A key frame may be hidden by an edit list; decoding can begin at the start of the file in any case.
        keys = (set(self._track.keys) & set(ticks)) | {origin} if self._track.has_keys else set()
        return Clock(
            origin_seconds=seconds(origin),
            video_stream=self._index,
            width=self._size[0],
            height=self._size[1],
            stored_size=self._stored_size,
            frame_times=np.array([seconds(t - origin) for t in ticks]),
            key_times=np.array([seconds(t - origin) for t in sorted(keys)]),
        )

    def _keep(self, number: int, frame: VideoFrame) -> None:
        self._thumbnails[number] = self._thumbnail(frame)

    def _thumbnail(self, frame: VideoFrame) -> NDArray[np.uint8]:
        width, height = THUMBNAIL
        small = self._reformatter.reformat(
            frame, width, height, "gray", interpolation=int(Interpolation.AREA), threads=1
        )
        return np.asarray(small.to_ndarray(), dtype=np.uint8)


def _duration(clock: Clock, stream: VideoStream, track: Track) -> float:
    """To the end of the last frame: as long as its packet says, else as frames last on average.

    FLV and Matroska often give the last frame a few milliseconds: less than half of the median between frames is not
    believed, and the median taken instead.
    """
    times = clock.frame_times
    last = float(times[-1])
    by_time = dict(zip(track.times, track.durations, strict=True))
    ticks = by_time.get(round((clock.origin_seconds + last) / track.tick), 0)
    if ticks and not clock.frames_are_counted:
        stated, usual = track.seconds(ticks), float(np.median(np.diff(times))) if len(times) > 1 else 0.0
        return last + (stated if stated >= usual / 2 else usual)
    if len(times) > 1:
        return last + last / (len(times) - 1)
    return float(1 / (stream.average_rate or Fraction(25)))
