"""Whether the sound of a file decodes, where it begins and ends, and how precise its timestamps are."""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass, replace
from itertools import islice
from pathlib import Path
from typing import Any

import av
import numpy as np
from av.audio.stream import AudioStream
from av.container import InputContainer

from avssl.media.containers.demux import Deadline, opened, packets, readable
from avssl.media.decoding.channels import Mixer
from avssl.media.decoding.clock import Clock
from avssl.media.decoding.counted_sound import Count, anchor_holds, decode_and_count
from avssl.media.decoding.sample_counting import anchors, placed_runs
from avssl.media.decoding.sound import read_audio
from avssl.media.facts import Unusable
from avssl.media.indexing.packet_scan import Track, even_grid

SILENCE = 10 ** (-60 / 20)  # −60 dB of full scale
# Silence is decided on this many segments of this length, evenly spread, the first and last second among them.
LISTEN_SECONDS = 1.0
LISTEN_TIMES = 8
HEAD_FRAMES = 24  # decoded at the start to learn rate, channels and the length of frames
# Hz that no recording goes beyond (telephony has 8,000, DSD128 read bit by bit 5.6 million).
RATES = (1_000, 6_000_000)
# Seeking is tested at these places of the file, on this many packets each.
SEEK_SHARES = (0.25, 0.5, 0.75)
SEEK_PACKETS = 4
# Prefixes of decoders whose output depends on a few packets at most: the usual warm-up is enough. Of all others (speech
# codecs, ADPCM, …) the warm-up is measured on each file.
SHORT_MEMORY = ("aac", "ac3", "alac", "dca", "eac3", "flac", "libopus", "mp1", "mp2", "mp3", "opus", "pcm_", "tta")
# Warm-ups that are tried; 0: the usual. Where not even the last gives the same as decoding from the start, the decoder
# never forgets (IMA ADPCM) or the container seeks wrongly: such a file is always read from its start.
WARM_UPS_SECONDS = (0.0, 0.5, 2.0)
PROBED_ANCHORS = 6
# Decoders that fill gaps in the spectrum with noise that depends on where they began: samples cannot be compared.
NOISY_CODECS = {"aac", "aac_latm", "ac3", "eac3", "nellymoser", "cook", "atrac3", "atrac3plus", "wmavoice", "wmapro"}
BARE_FORMATS = {"wav", "w64", "aiff", "au", "caf"}
# Containers without time stamps: FFmpeg makes them up by counting packets.
COUNTING_FORMATS = {"mp3", "aac", "ac3", "eac3", "dts", "loas", "truehd", "mlp", "amr", "gsm", "sbc", "wv", "tta"}


@dataclass(frozen=True, slots=True)
class Sound:
    clock: Clock
    channels: int
    silent: bool  # no sample of those that were decoded is above −60 dB of full scale
    joined: bool = False  # it comes from more than one recording


@dataclass(frozen=True, slots=True)
class _Frame:
    """A decoded frame of sound, without its samples."""

    ticks: int
    samples: int
    rate: int
    channels: int


def check_sound(path: str, clock: Clock, stream: AudioStream, track: Track, *, deadline: Deadline) -> Sound:
    """Add the sound to the clock of the pictures, or make a clock of sound alone.

    Args:
        stream: in an open container, which is not read from.
        track: its packets.

    Raises:
        Unusable: nothing decodes, or a sample is not a number.
        MediaError: damage was met, or the deadline has passed.
    """
    with opened(path, deadline) as container:
        head = list(islice(_frames(container, stream.index, deadline), HEAD_FRAMES))
    if not head:
        raise Unusable("damaged: none of its sound can be decoded")
    first = head[0]
    if not RATES[0] <= first.rate <= RATES[1]:
        raise Unusable(f"damaged: its sound has an impossible sample rate of {first.rate} Hz")
    origin = clock.origin_seconds if clock.has_video else track.seconds(first.ticks)
    if track.invalid_sample is not None:
        raise Unusable(f"damaged: {track.invalid_sample[1]} at {track.invalid_sample[0] - origin:.2f} s")
    clock = replace(
        clock,
        origin_seconds=origin,
        audio_stream=stream.index,
        audio_rate=first.rate,
        audio_start_seconds=track.seconds(first.ticks) - origin,
        audio_end_seconds=track.seconds(track.end_ticks) - origin,
        audio_tick_seconds=float(track.tick),
        **_grid(head, stream, track, origin),
    )
    for seconds, before, after in track.frames.changes:
        if before.rate != after.rate:
            words = f"the sound changes from {before.rate} to {after.rate} samples a second"
            raise Unusable(f"damaged: {words} at {seconds - origin:.2f} s")
    joined = track.frames.are_joined or bool(track.frames.changes)
    stamps_suffice = clock.audio_frame_samples and track.codec.startswith(SHORT_MEMORY) and not track.frames.are_joined
    bare = _is_bare(stream, track)
    # Of compressed floats only decoding them all finds NaN and infinity.
    context = stream.codec_context
    may_hide_nan = context.codec.name == "wavpack" and context.format.packed.name == "flt"
    if bare or (stamps_suffice and not may_hide_nan):
        clock = _with_true_end(path, clock, track, deadline, bare=bare)
    else:
        clock, restarts = _placed_by_counting(path, clock, stream, track, deadline)
        joined |= restarts
    lasts = clock.audio_end_seconds - clock.audio_start_seconds
    if bare and lasts * clock.audio_rate > Path(path).stat().st_size:  # a sample takes a byte at least
        raise Unusable(f"damaged: its timestamps give its sound a duration of {lasts:.2f} s")
    if lasts <= 0:
        raise Unusable("damaged: none of its sound can be decoded")
    return Sound(clock, first.channels, _loudest(path, clock, deadline) <= SILENCE, joined)


def _frames(container: InputContainer, index: int, deadline: Deadline) -> Iterator[_Frame]:
    """The frames that decode, from where the container stands; :func:`read_audio` will find damage."""
    stream = container.streams[index]
    assert isinstance(stream, AudioStream)
    Mixer(stream)  # for its side effect: without it PyAV may crash on channels in an order of the file's own
    for packet in readable(packets(container, deadline, stream)):
        try:
            decoded = packet.decode()
        except av.FFmpegError:
            continue
        for frame in decoded:
            if frame.pts is not None and frame.samples:
                yield _Frame(frame.pts, frame.samples, frame.sample_rate, frame.layout.nb_channels)


def _grid(head: list[_Frame], stream: AudioStream, track: Track, origin: float) -> dict[str, Any]:
    """Where packets begin exactly, if all are equally long and without gaps."""
    # The first frame may have lost its priming, the last its padding.
    lengths = {frame.samples for frame in head[1:-1]}
    if _is_bare(stream, track):
        lengths = set()
    if len(lengths) == 1 and {frame.ticks for frame in head[1:]} <= set(track.times):
        samples = lengths.pop()
        times = np.array([track.seconds(t) for t in track.times]) - origin
        anchor = even_grid(times, samples / head[0].rate, float(track.tick))
        if anchor is not None:
            return {"audio_frame_samples": samples, "audio_anchor_seconds": anchor}
    return {"audio_frame_samples": 0, "audio_anchor_seconds": 0.0}


def _is_bare(stream: AudioStream, track: Track) -> bool:
    """Whether samples lie in the file uncompressed, so that the position is the time, wherever packets begin."""
    return bool(set(stream.container.format.name.split(",")) & BARE_FORMATS) and track.codec.startswith("pcm_")


def _placed_by_counting(
    path: str, clock: Clock, stream: AudioStream, track: Track, deadline: Deadline
) -> tuple[Clock, bool]:
    """The clock with the place of every sample, and whether another recording begins in the middle.

    Raises:
        Unusable: damage, another rate, samples that are not finite, or recordings joined below one film.
    """
    count = decode_and_count(path, stream.index, deadline)
    origin = clock.origin_seconds
    if count.trouble is not None:
        raise Unusable(f"damaged: {count.trouble[1]} at {count.trouble[0] - origin:.2f} s")
    if not count.samples:
        raise Unusable("damaged: none of its sound can be decoded")
    counted = count.packets
    if set(stream.container.format.name.split(",")) & COUNTING_FORMATS:
        counted.ticks[1:] = math.nan  # made up, and undecodable packets were counted, too
    runs, restart = placed_runs(counted, float(track.tick))
    if restart is not None and clock.has_video:
        raise Unusable(f"damaged: two recordings are joined, the second begins at {restart - origin:.2f} s")
    if not clock.has_video:
        origin = runs[0].start_seconds
    places = [(run.start_seconds - origin, run.first, run.length, run.stretch) for run in runs]
    clock = replace(
        clock,
        origin_seconds=origin,
        audio_frame_samples=0,
        audio_start_seconds=min(start for start, *_ in places),
        audio_end_seconds=max(run.end_seconds(count.rate) for run in runs) - origin,
        audio_runs=places,
        audio_anchors=anchors(counted, count.packet_ticks),
    )
    restarts = restart is not None or count.changes_channels
    for seconds in WARM_UPS_SECONDS:
        clock = replace(clock, audio_warm_up_seconds=seconds)
        if _can_begin_anywhere(path, clock, count, deadline, noisy=track.codec in NOISY_CODECS):
            return clock, restarts
    return replace(clock, audio_anchors=(), audio_warm_up_seconds=0.0, audio_seekable=False), restarts


def _can_begin_anywhere(path: str, clock: Clock, count: Count, deadline: Deadline, *, noisy: bool) -> bool:
    """Whether reading after a seek gives the same sound as decoding from the start."""
    head_at = dict(zip(count.packet_ticks, count.heads, strict=True))
    last = len(clock.audio_anchors) - 1
    answers = [
        anchor_holds(path, clock, anchor, head_at[clock.audio_anchors[anchor][0]], deadline, noisy=noisy)
        for anchor in sorted(set(np.linspace(1, last, PROBED_ANCHORS).astype(int).tolist()))
        if 0 < anchor <= last
    ]
    return False not in answers and (True in answers or not answers)


def _with_true_end(path: str, clock: Clock, track: Track, deadline: Deadline, *, bare: bool) -> Clock:
    """The clock with the end of the last sample, without padding, and whether seeking leads to the right time."""
    known = set(track.times)
    if not bare and not _seeks_right(path, clock.audio_stream, track, deadline):
        clock = replace(clock, audio_seekable=False)
    target = track.end_ticks - round(2 * clock.warm_up_seconds / track.tick)
    tail: deque[_Frame] = deque(maxlen=1)
    seekable = clock.audio_seekable
    with opened(path, deadline) as container:
        if target > min(track.times):
            try:
                container.seek(target, stream=container.streams[clock.audio_stream])
            except av.FFmpegError:
                seekable = False
        for frame in _frames(container, clock.audio_stream, deadline):
            seekable = seekable and (bare or not tail or frame.ticks in known)
            tail.append(frame)
    if not seekable or not tail:
        with opened(path, deadline) as container:
            tail.extend(_frames(container, clock.audio_stream, deadline))
    end = track.seconds(tail[-1].ticks) + tail[-1].samples / tail[-1].rate - clock.origin_seconds
    if track.tick * clock.audio_rate <= 1:
        # A container whose ticks are samples tells exactly how much of the last packet is padding.
        end = min(end, clock.audio_end_seconds)
    return replace(clock, audio_end_seconds=end, audio_seekable=seekable)


def _seeks_right(path: str, index: int, track: Track, deadline: Deadline) -> bool:
    """Whether packets after a seek have the stamps (by their sizes) that they had when the file was read through."""
    known = dict(zip(track.times, track.sizes, strict=True))
    with opened(path, deadline) as container:
        stream = container.streams[index]
        for share in SEEK_SHARES:
            try:
                container.seek(round(track.times[0] + share * (track.end_ticks - track.times[0])), stream=stream)
                met = list(islice(readable(packets(container, deadline, stream)), SEEK_PACKETS))
            except av.FFmpegError:
                return False
            if any(known.get(p.pts) != p.size for p in met if p.size and p.pts is not None and not p.is_discard):
                return False
    return True


def _loudest(path: str, clock: Clock, deadline: Deadline) -> float:
    """The highest peak of the segments that are decoded; raises MediaError where one cannot be."""
    first, last = clock.audio_start_seconds, clock.audio_end_seconds
    times = max(min(math.ceil((last - first) / LISTEN_SECONDS), LISTEN_TIMES), 1)
    peak = 0.0
    for start in np.linspace(first, max(last - LISTEN_SECONDS, first), times):
        heard = read_audio(path, clock, float(start), LISTEN_SECONDS, clock.audio_rate, timeout_seconds=deadline.left)
        peak = max(peak, float(np.abs(heard).max(initial=0)))
    return peak
