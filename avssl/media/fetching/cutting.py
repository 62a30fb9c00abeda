"""A stretch of a video as a file of its own, read where it lies: only about the bytes of that stretch are asked for."""

from __future__ import annotations

import heapq
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, suppress
from fractions import Fraction
from pathlib import Path

import av
from av.audio.resampler import AudioResampler
from av.container import OutputContainer

from avssl.media.fetching.streams import Opened, Stream

TICKS = 90_000  # of a second, MPEG's own
SOUND_RATE = 44_100  # Every player knows it; MP4 wants it before the first frame
# Two frames of the slowest films: a stretch that ends so much sooner than asked is whole.
TOLERANCE_SECONDS = 0.25


class CutOff(Exception):
    """The stretch ends before it should: the connection was cut."""


class NothingThere(Exception):
    """The video has no picture at these seconds."""


def cut(
    streams: Sequence[Stream],
    out: Path,
    start: float,
    seconds: float | None,
    shorter_side: int,
    going: Callable[[], None],
) -> float:
    """Write a stretch as H.264 and AAC, scaled down where it is larger, cut at the frame and the sample.

    Args:
        streams: the video, or its pictures and its sound.
        seconds: None is to the end.
        shorter_side: pixels at most.
        going: called for each frame; raises to end.

    Returns:
        its length in seconds.

    Raises:
        NothingThere, CutOff: see there.
        av.error.FFmpegError, OSError: it cannot be read.
    """
    with ExitStack() as stack:
        end = float("inf") if seconds is None else start + seconds
        inputs = []
        for stream in streams:
            inputs.append(stream.open(start, end))
            stack.enter_context(inputs[-1].container)
        first = inputs[0].container
        if not first.streams.video:
            raise NothingThere("no picture")
        # As MPEG-4 whatever the name is: it is one that is renamed later.
        writer = _Writer(
            stack.enter_context(av.open(str(out), "w", format="mp4", options={"movflags": "faststart"})),
            first.streams.video[0], any(each.container.streams.audio for each in inputs), start, end, shorter_side,
        )  # fmt: skip
        read_until = 0.0
        for frame, time in heapq.merge(*(_frames(each, start, end) for each in inputs), key=lambda pair: pair[1]):
            going()
            writer.write(frame, time)
            read_until = max(read_until, time)
        whole = min(end, inputs[0].seconds)
        if writer.shown_until is None and read_until < min(start, whole) - TOLERANCE_SECONDS:
            raise CutOff("cut off before its beginning")
        if writer.shown_until is None:
            raise NothingThere(f"the video is {whole:.0f} s long, and has nothing at {start:g} s")
        # Of pictures or sound, whichever lasts longer: either may end by itself before the other.
        if whole != float("inf") and read_until < whole - TOLERANCE_SECONDS - float(1 / writer.rate):
            raise CutOff(f"cut off after {max(read_until - start, 0):.1f} s")
        writer.close()
        return writer.shown_until - start


def _frames(opened: Opened, start: float, end: float) -> Iterator[tuple[av.VideoFrame | av.AudioFrame, float]]:
    """Frames of the first video and sound of a stream with their times, until all of these are past the end."""
    container, origin, _ = opened
    streams = [*container.streams.video[:1], *container.streams.audio[:1]]
    if not streams:
        return
    if start > 0:
        # A server that gives no pieces is read from the beginning.
        with suppress(av.error.FFmpegError, OSError):
            container.seek(int((start + origin) * av.time_base))
    open_kinds = {stream.type for stream in streams}
    for frame in container.decode(streams):
        if not isinstance(frame, av.VideoFrame | av.AudioFrame) or frame.time is None:
            continue
        time = frame.time - origin
        if time < end:
            yield frame, time
        else:
            open_kinds.discard("video" if isinstance(frame, av.VideoFrame) else "audio")
            if not open_kinds:
                return


class _Writer:
    def __init__(
        self,
        container: OutputContainer,
        source: av.VideoStream,
        has_sound: bool,
        start: float,
        end: float,
        shorter_side: int,
    ) -> None:
        self._container, self._start, self._end = container, start, end
        self.rate = source.average_rate or Fraction(25)
        self.rate = Fraction(min(max(self.rate, Fraction(1)), Fraction(120))).limit_denominator(1001)
        share = min(1.0, shorter_side / min(source.width, source.height))
        # yuv420p has a colour for every two pixels
        self._size = (max(2, round(source.width * share / 2) * 2), max(2, round(source.height * share / 2) * 2))
        self._video = container.add_stream("libx264", rate=self.rate, options={"preset": "veryfast", "crf": "20"})
        self._video.width, self._video.height = self._size
        self._video.pix_fmt = "yuv420p"
        self._video.codec_context.time_base = self._video.time_base = Fraction(1, TICKS)
        self._video.codec_context.thread_count = 1  # clips are fetched in parallel
        self._audio = container.add_stream("aac", rate=SOUND_RATE, layout="stereo") if has_sound else None
        self._resampler = AudioResampler("fltp", "stereo", SOUND_RATE)
        self._samples: int | None = None
        self.shown_until: float | None = None

    def write(self, frame: av.VideoFrame | av.AudioFrame, time: float) -> None:
        if isinstance(frame, av.VideoFrame):
            self._picture(frame, time)
        elif self._audio is not None:
            for each in self._resampler.resample(frame):
                self._sound(each, time)
                time += each.samples / SOUND_RATE

    def _picture(self, frame: av.VideoFrame, time: float) -> None:
        if time < self._start - float(0.5 / self.rate):
            return
        picture = frame.reformat(*self._size, format="yuv420p")
        picture.pts = max(0, round((time - self._start) * TICKS))
        picture.time_base = Fraction(1, TICKS)
        picture.pict_type = av.video.frame.PictureType.NONE
        self._container.mux(self._video.encode(picture))
        self.shown_until = min(time + float(1 / self.rate), self._end)

    def _sound(self, frame: av.AudioFrame, time: float) -> None:
        rate = SOUND_RATE
        first = max(0, round((self._start - time) * rate))
        last = frame.samples if self._end == float("inf") else min(frame.samples, round((self._end - time) * rate))
        if first >= last or self._audio is None:
            return
        if self._samples is None:
            self._samples = max(0, round((time - self._start) * rate))
        piece = av.AudioFrame.from_ndarray(frame.to_ndarray()[:, first:last].copy(), format="fltp", layout="stereo")
        piece.sample_rate, piece.pts, piece.time_base = rate, self._samples, Fraction(1, rate)
        self._samples += last - first
        self._container.mux(self._audio.encode(piece))

    def close(self) -> None:
        """What is left in the encoders."""
        self._container.mux(self._video.encode(None))
        if self._audio is not None and self._samples is not None:
            self._container.mux(self._audio.encode(None))
