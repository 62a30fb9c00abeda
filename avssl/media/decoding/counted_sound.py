"""Decoding sound by sample count: the whole file once, later any segment from the nearest known position."""

from __future__ import annotations

import math
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass, field
from typing import cast

import av
import numpy as np
from av.audio.frame import AudioFrame
from av.audio.stream import AudioStream
from av.packet import Packet
from av.stream import Stream

from avssl.errors import MediaError
from avssl.media.containers.demux import Deadline, error_text, opened, packets, readable, stream_at
from avssl.media.containers.frame_headers import Frames
from avssl.media.decoding.channels import Mixer, Mono, describe_invalid_sample, first_invalid_sample
from avssl.media.decoding.clock import Clock
from avssl.media.decoding.open_files import OpenFile
from avssl.media.decoding.sample_counting import Packets, Run

PROBE_SAMPLES = 512  # kept at each anchor, to compare with what a reader that begins there gets
SAME = 1e-4  # three steps of 16 bits: decoders round differently
# So many packets, or this share of them, may be undecodable at the beginning and the end of a stream.
FORGIVEN_PACKETS, FORGIVEN_SHARE = 8, 0.1
SLACK_SECONDS = 0.1  # an error of the container so near to the end of the sound is taken for its end


@dataclass(slots=True)
class Count:
    """The result of decoding a whole stream once."""

    rate: int = 0
    channels: int = 0
    samples: int = 0
    packet_ticks: list[int | None] = field(default_factory=list)  # of the packets that gave samples
    # Container time of the first sample of each, NaN where it has none.
    seconds: list[float] = field(default_factory=list)
    before: list[int] = field(default_factory=list)
    heads: list[Mono] = field(default_factory=list)  # the first few samples of each
    trouble: tuple[float, str] | None = None  # the first thing that is wrong: container time, and what it is
    changes_channels: bool = False

    @property
    def packets(self) -> Packets:
        return Packets(np.array(self.seconds), np.array(self.before, np.int64), self.samples, self.rate)


def decode_and_count(path: str, index: int, deadline: Deadline) -> Count:
    """Decode all sound of this stream once; a few undecodable packets before its first and after its last sample are
    forgiven. Raises MediaError at the deadline, av.FFmpegError where the container cannot be read."""
    count = Count()
    failed: tuple[float, str] | None = None
    earliest: tuple[float, str] | None = None
    undecoded = 0
    with opened(path, deadline) as container:
        stream = stream_at(container, index, AudioStream, path)
        mixer = Mixer(stream)
        for packet in _without_junk(stream, readable(packets(container, deadline, stream))):
            try:
                frames = [frame for frame in packet.decode() if frame.samples]
            except av.FFmpegError as error:
                trouble = _seconds(packet), f"the sound cannot be decoded ({error_text(error)})"
                undecoded, earliest = undecoded + 1, earliest or trouble
                if count.rate and failed is None:
                    failed = trouble
                continue
            if not frames:
                continue
            count.trouble = count.trouble or failed
            count.packet_ticks.append(packet.pts)
            count.seconds.append(_seconds(frames[0]))
            count.before.append(count.samples)
            for number, frame in enumerate(frames):
                _take(count, frame, mixer, first=number == 0)
    if undecoded > max(FORGIVEN_PACKETS, FORGIVEN_SHARE * len(count.packet_ticks)):
        count.trouble = count.trouble or earliest
    return count


def read_counted(file: OpenFile, clock: Clock, start_seconds: float, count: int) -> Mono:
    """``count`` samples as stored (mono, not resampled) from the one nearest to ``start_seconds`` on.

    Samples of one run follow each other as they were decoded. Where the rate of a run is a little off, the middle of
    the segment is at its exact time.

    Raises:
        MediaError: sound in between cannot be decoded, or differs from what was indexed.
        av.FFmpegError, OSError: the file cannot be read at all.
    """
    result = np.zeros(count, np.float32)
    wanted: list[tuple[int, int, int]] = []  # numbers of the first and past the last sample, place in the result
    end_seconds = start_seconds + count / clock.audio_rate
    for run in _runs_of(clock):
        low, high = max(start_seconds, run.start_seconds), min(end_seconds, run.end_seconds(clock.audio_rate))
        if low < high:
            middle = (low + high) / 2 if run.stretch else start_seconds
            there = (middle - run.start_seconds) * clock.audio_rate / (1 + run.stretch)
            at_start = run.first + round(there - (middle - start_seconds) * clock.audio_rate)
            first, last = max(at_start, run.first), min(at_start + count, run.first + run.length)
            if first < last:
                wanted.append((first, last, first - at_start))
    if not wanted:
        return result
    begin, end = min(first for first, _, _ in wanted), max(last for _, last, _ in wanted)
    samples = _samples(file, clock, begin, end)
    for first, last, at in wanted:
        result[at : at + last - first] = samples[first - begin : last - begin]
    return result


def anchor_holds(
    path: str, clock: Clock, anchor: int, expected: Mono, deadline: Deadline, *, noisy: bool
) -> bool | None:
    """Whether beginning at this anchor gives the sound that decoding from the start gave there.

    None: the anchor is not met after a seek to it, so that a reader must go back further.

    Args:
        noisy: the decoder adds noise that depends on where it began, so that samples cannot be compared.
    """
    try:
        with closing(OpenFile(path, deadline)) as file:
            found = _from_anchor(file, clock, anchor, clock.audio_anchors[anchor][1], len(expected))
    except (av.FFmpegError, MediaError):
        return False
    return None if found is None else noisy or bool(np.abs(found - expected).max(initial=0) <= SAME)


def _runs_of(clock: Clock) -> list[Run]:
    return [
        Run(float(start), int(first), int(length), float(stretch)) for start, first, length, stretch in clock.audio_runs
    ]


def _take(count: Count, frame: AudioFrame, mixer: Mixer, *, first: bool) -> None:
    channels = frame.layout.nb_channels
    if not count.rate:
        count.rate, count.channels = frame.sample_rate, channels
    if frame.sample_rate != count.rate and count.trouble is None:
        words = f"the sound changes from {count.rate} to {frame.sample_rate} samples a second"
        count.trouble = _seconds(frame), words
    count.changes_channels |= channels != count.channels
    samples = mixer.mono(frame)
    if first:
        count.heads.append(samples[:PROBE_SAMPLES].copy())
    if frame.format.packed.name in ("flt", "dbl") and count.trouble is None:
        wrong = first_invalid_sample(samples)
        if wrong is not None:
            count.trouble = _seconds(frame) + wrong / frame.sample_rate, describe_invalid_sample(float(samples[wrong]))
    count.samples += len(samples)


def _samples(file: OpenFile, clock: Clock, first: int, last: int) -> Mono:
    usable = [k for k, (_, before) in enumerate(clock.audio_anchors) if 0 < before <= first]
    # The nearest; earlier ones, as some containers land late after a seek; at last the start.
    attempts: list[int | None] = [usable[-back] for back in (1, 3, 8, 16) if len(usable) >= back]
    for anchor in [*attempts, None] if clock.audio_seekable else [None]:
        try:
            found = _from_anchor(file, clock, anchor, first, last - first)
        except (av.FFmpegError, OSError):
            if anchor is None:
                raise
            file.close()
            continue
        if found is not None:
            return found
    raise MediaError(file.path, "the sound there differs from what was indexed")


def _from_anchor(file: OpenFile, clock: Clock, anchor: int | None, first: int, count: int) -> Mono | None:
    """``count`` samples from number ``first`` on, decoded from an anchor (None: the start); None if it is not met."""
    result = np.zeros(count, np.float32)
    filled = 0
    for number, samples in _counting(file, clock, anchor, first):
        begin, end = max(number, first), min(number + len(samples), first + count)
        if begin < end:
            result[begin - first : end - first] = samples[begin - number : end - number]
            filled += end - begin
        if number + len(samples) >= first + count:
            break
    return result if filled == count else None


def _counting(file: OpenFile, clock: Clock, anchor: int | None, first: int) -> Iterator[tuple[int, Mono]]:
    """The sound from an anchor (None: the start) on, in pieces with the number of their first sample.

    Counting begins at the first anchor that is met after the warm-up; nothing is yielded if that is past the sample
    ``first``. It ends where an anchor is met at another count than when the file was indexed.
    """
    counts: dict[int | None, int] = {tick: before for tick, before in clock.audio_anchors}  # noqa: C416 - pairs may be lists
    container, stream, decoder = file.sound(clock.audio_stream, from_start=anchor is None)
    number: int | None = 0
    warm = -math.inf
    if anchor is not None and stream.time_base:
        number = None
        lead = math.ceil(clock.warm_up_seconds / stream.time_base)
        container.seek(clock.audio_anchors[anchor][0] - lead, stream=stream)
    mixer = Mixer(decoder)
    end = clock.origin_seconds + clock.audio_end_seconds - SLACK_SECONDS
    source = readable(packets(container, file.deadline, stream), end)
    for place, packet in enumerate(_without_junk(stream, source)):
        if place == 0 and anchor is not None:
            if packet.pts is None:
                return
            warm = packet.pts + lead
        try:
            frames = decoder.decode(packet)
        except av.FFmpegError as error:
            if number and number >= first - clock.audio_rate:
                words = f"the sound there cannot be decoded ({error_text(error)})"
                raise MediaError(file.path, words, _seconds(packet) - clock.origin_seconds) from error
            continue
        if frames and packet.pts is not None and packet.pts in counts and packet.pts >= warm:
            if (number is None and counts[packet.pts] > first) or number not in (None, counts[packet.pts]):
                return
            number = counts[packet.pts]
        for frame in frames:
            if frame.sample_rate != clock.audio_rate:
                words = "the sound changes its sample rate"
                raise MediaError(file.path, words, _seconds(frame) - clock.origin_seconds)
            samples = mixer.mono(frame)
            if number is not None:
                yield number, samples
                number += len(samples)


def _without_junk(stream: AudioStream, source: Iterator[Packet[AudioStream]]) -> Iterator[Packet[AudioStream]]:
    frames, codec = Frames(), stream.codec_context.codec.name
    return (packet for packet in source if not packet.size or frames.take(codec, cast("Packet[Stream]", packet)))


def _seconds(item: Packet[AudioStream] | AudioFrame) -> float:
    return math.nan if item.pts is None or not item.time_base else float(item.pts * item.time_base)
