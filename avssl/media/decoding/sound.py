"""The sound between two times: seek, decode a little more than needed, mix to mono, resample."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from itertools import chain, pairwise

import av
import numpy as np
import soxr
from numpy.typing import NDArray

from avssl.errors import MediaError
from avssl.media.containers.demux import READ_TIMEOUT_SECONDS, error_text, packets, readable
from avssl.media.decoding.channels import Mixer, Mono, describe_invalid_sample, first_invalid_sample
from avssl.media.decoding.clock import Clock
from avssl.media.decoding.counted_sound import read_counted
from avssl.media.decoding.kept_files import borrowed
from avssl.media.decoding.open_files import OpenFile

MARGIN_SAMPLES = 256  # on each side, at the lower of the two rates: longer than half of soxr's HQ filter
# Time stamps may differ from the count of samples by this (or 1.5 ticks) before it is taken for a gap.
JITTER_SECONDS = 1e-3

SLACK_SECONDS = 1e-2  # kept on both sides, as the position of a run is only narrowed down while decoding


def read_audio(
    path: str,
    clock: Clock,
    start_seconds: float,
    duration_seconds: float,
    rate: int,
    *,
    timeout_seconds: float = READ_TIMEOUT_SECONDS,
) -> NDArray[np.float32]:
    """Sound between two times, mono: float32 (round(duration_seconds * rate),), full scale ±1 (peaks may exceed it).

    Sample k is at ``start_seconds + k / rate`` of media time, to within half a stored sample. Mono is the plain mean of
    all channels but the low-frequency one, so it cannot clip. Zeros before the sound begins, after it ends and in gaps.

    Raises:
        MediaError: the file has no sound there, it cannot be decoded, or a sample in it is NaN or infinite.
        ValueError: a negative duration or a rate that is not positive.
    """
    if duration_seconds < 0 or rate <= 0:
        raise ValueError(f"duration_seconds ({duration_seconds}) must not be negative, rate ({rate}) must be positive")
    if not clock.has_sound:
        raise MediaError(path, "there is no sound in this file", start_seconds)
    count = round(duration_seconds * rate)
    end_seconds = start_seconds + count / rate
    if not count or start_seconds >= clock.audio_end_seconds or end_seconds <= clock.audio_start_seconds:
        return np.zeros(count, np.float32)
    stored = read_counted if clock.audio_runs else _stored_samples

    def samples_from(first_seconds: float, number: int) -> Mono:
        try:
            with borrowed(path, timeout_seconds) as file:
                samples = stored(file, clock, first_seconds, number)
        except (av.FFmpegError, OSError) as error:
            raise MediaError(path, error_text(error), start_seconds) from error
        wrong = first_invalid_sample(samples)
        if wrong is not None:
            seconds = first_seconds + wrong / clock.audio_rate
            raise MediaError(path, describe_invalid_sample(float(samples[wrong])), seconds)
        return samples

    return resampled(samples_from, clock.audio_rate, start_seconds, count, rate)


def resampled(
    samples_from: Callable[[float, int], Mono], stored_rate: int, start_seconds: float, count: int, rate: int
) -> Mono:
    """``count`` samples at ``rate``; ``samples_from(seconds, n)`` gives n stored samples from the nearest one on."""
    # Widened by whole samples of the target rate, so that the margin can be cut off exactly.
    margin = math.ceil(MARGIN_SAMPLES * rate / min(rate, stored_rate))
    samples = samples_from(start_seconds - margin / rate, round((count + 2 * margin) / rate * stored_rate))
    if rate != stored_rate:
        samples = soxr.resample(samples, stored_rate, rate, quality="HQ")
    result = np.zeros(count, np.float32)
    found = samples[margin : margin + count]
    result[: len(found)] = found
    return result


@dataclass(slots=True)
class Run:
    """Frames of sound that follow each other without a gap, in mono."""

    rate: int
    pieces: list[Mono] = field(default_factory=list)
    length: int = 0
    skipped: int = 0  # samples at the beginning of the run that were decoded but not kept
    earliest: float = -math.inf
    # The run begins between these, by the time stamps so far: each is rounded to a tick, and narrows it down.
    latest: float = math.inf
    begins: float | None = None  # where it begins exactly, once a packet on the grid of the clock was met

    @property
    def start_seconds(self) -> float:
        return self.begins if self.begins is not None else (self.earliest + self.latest) / 2

    @property
    def end_seconds(self) -> float:
        return self.start_seconds + self.length / self.rate

    def follows(self, seconds: float, tick: float) -> bool:
        """Whether a frame with this time stamp continues the run."""
        return abs(seconds - self.end_seconds) <= max(JITTER_SECONDS, 1.5 * tick)

    def has_wrong_stamp(self, chunk: Chunk, following: Chunk | None, tick: float) -> bool:
        """Whether a chunk's time stamp is wrong: it leaves the run, and the next returns to it.

        FFmpeg stamps Vorbis in Ogg like this where long blocks change to short ones.
        """
        if chunk.seconds is None or self.follows(chunk.seconds, tick) or following is None or following.seconds is None:
            return False
        return self.follows(following.seconds - len(chunk.samples) / self.rate, tick)

    def add(self, samples: Mono, seconds: float | None, *, keep: bool, tick: float) -> None:
        """Append samples; those that are not kept (only at the beginning) are counted."""
        if seconds is not None:
            begin = seconds - self.length / self.rate
            self.earliest = max(self.earliest, begin - tick / 2)
            self.latest = min(self.latest, begin + tick / 2)
        if keep:
            self.pieces.append(samples)
        else:
            self.skipped += len(samples)
        self.length += len(samples)


def _stored_samples(file: OpenFile, clock: Clock, start_seconds: float, count: int) -> Mono:
    """``count`` samples as stored (mono, not resampled) from the one nearest to ``start_seconds`` on."""
    rate = clock.audio_rate
    result = np.zeros(count, np.float32)
    for run in _runs(file, clock, start_seconds, start_seconds + count / rate):
        at = round((run.start_seconds - start_seconds) * rate) + run.skipped
        for piece in run.pieces:
            begin, end = max(at, 0), min(at + len(piece), count)
            if begin < end:
                result[begin:end] = piece[begin - at : end - at]
            at += len(piece)
    result[max(round((clock.audio_end_seconds - start_seconds) * rate), 0) :] = 0  # padding of the last packet
    return result


def _runs(file: OpenFile, clock: Clock, start_seconds: float, end_seconds: float) -> list[Run]:
    """All sound between two times, as runs."""
    for seek_seconds in _attempts(clock, start_seconds):
        try:
            chunks = chunks_from(file, clock, seek_seconds, (start_seconds, end_seconds))
            first = next(chunks, None)
            landed_late = (
                first is None or first.seconds is None or first.seconds > start_seconds - clock.warm_up_seconds
            )
            if seek_seconds is not None and landed_late:
                continue
            return _collected(chain([] if first is None else [first], chunks), clock, start_seconds, end_seconds)
        except (av.FFmpegError, OSError):
            if seek_seconds is None:
                raise
            file.close()
    return []


def _attempts(clock: Clock, start_seconds: float) -> list[float | None]:
    """Where to begin: well before the segment, ever earlier as some containers land late, at last the start (None)."""
    begin = start_seconds - 2 * clock.warm_up_seconds
    if not clock.audio_seekable:
        return [None]
    return [s for s in (begin, begin - 2, begin - 10) if s > clock.audio_start_seconds] + [None]


@dataclass(frozen=True, slots=True)
class Chunk:
    samples: Mono
    seconds: float | None  # media time of its first sample, as the time stamp has it; None where it has none


def chunks_from(
    file: OpenFile, clock: Clock, seek_seconds: float | None, wanted: tuple[float, float]
) -> Iterator[Chunk]:
    """The decoded sound from this time (None: the start of the file) on; MediaError at damage between ``wanted``."""
    container, stream, decoder = file.sound(clock.audio_stream, from_start=seek_seconds is None)
    if seek_seconds is not None and stream.time_base:
        container.seek(round((seek_seconds + clock.origin_seconds) / stream.time_base), stream=stream)
    begun, mixer = False, Mixer(decoder)
    enough = clock.origin_seconds + clock.audio_end_seconds - clock.audio_tick_seconds
    for packet in readable(packets(container, file.deadline, stream), enough):
        try:
            frames = decoder.decode(packet)
        except av.FFmpegError as error:
            seconds = clock.media_seconds(packet)
            # Packets after the indexed end are no sound: a tag, a line break, …
            end = min(wanted[1], clock.audio_end_seconds - clock.audio_tick_seconds)
            if begun and seconds is not None and wanted[0] <= seconds < end:
                raise MediaError(
                    file.path, f"the sound there cannot be decoded ({error_text(error)})", seconds
                ) from error
            continue
        for frame in frames:
            if frame.sample_rate != clock.audio_rate:
                raise MediaError(file.path, "the sound changes its sample rate", clock.media_seconds(frame))
            begun = True
            yield Chunk(mixer.mono(frame), clock.media_seconds(frame))


def _collected(chunks: Iterable[Chunk], clock: Clock, start_seconds: float, end_seconds: float) -> list[Run]:
    """The chunks joined to runs, until ``end_seconds``."""
    runs: list[Run] = []
    for chunk, following in pairwise(chain(chunks, [None])):
        assert chunk is not None
        run = runs[-1] if runs else None
        seconds = chunk.seconds
        if run is not None and seconds is not None and run.has_wrong_stamp(chunk, following, clock.audio_tick_seconds):
            seconds = None
        elif run is None or (seconds is not None and not run.follows(seconds, clock.audio_tick_seconds)):
            if seconds is None:
                continue
            run = Run(clock.audio_rate)
            runs.append(run)
        if seconds is not None and len(chunk.samples) == clock.audio_frame_samples:
            run.begins = _exact(seconds, clock) - run.length / run.rate
        ends = (seconds if seconds is not None else run.end_seconds) + len(chunk.samples) / run.rate
        keep = bool(run.pieces) or ends > start_seconds - SLACK_SECONDS
        run.add(chunk.samples, seconds, keep=keep, tick=clock.audio_tick_seconds)
        if run.end_seconds > end_seconds + SLACK_SECONDS:
            break
    return runs


def _exact(seconds: float, clock: Clock) -> float:
    """The time of a packet's first sample, by its rounded time stamp and the grid on which all packets lie."""
    step = clock.audio_frame_samples / clock.audio_rate
    return clock.audio_anchor_seconds + round((seconds - clock.audio_anchor_seconds) / step) * step
