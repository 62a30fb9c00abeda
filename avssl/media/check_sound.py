"""Whether the sound of a file really decodes, where it begins and ends, and how finely its times are known."""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass, replace
from itertools import islice
from typing import Any

import av
import numpy as np
from av.audio.stream import AudioStream
from av.container import InputContainer

from avssl.media.channels import Mixer
from avssl.media.check_video import Unusable
from avssl.media.clock import Clock
from avssl.media.container import Deadline, opened, packets
from avssl.media.scan import Track, even_grid
from avssl.media.sound import read_audio, warm_up_seconds

SILENCE = 10 ** (-60 / 20)
"""−60 dB of full scale."""
LISTEN_SECONDS = 1.0
LISTEN_TIMES = 8
"""Sound is judged by so many stretches of this length, evenly spread, the first and last seconds among them."""
HEAD_FRAMES = 24


@dataclass(frozen=True, slots=True)
class Sound:
    """What is known of the sound after a look at it."""

    clock: Clock
    channels: int
    silent: bool
    """No sample above −60 dB of full scale was heard."""


@dataclass(frozen=True, slots=True)
class _Frame:
    """A decoded frame of sound, without its samples."""

    ticks: int
    samples: int
    rate: int
    channels: int


def check_sound(
    path: str, clock: Clock, stream: AudioStream, track: Track, *, thorough: bool, deadline: Deadline
) -> Sound:
    """Adds the sound to a clock that has the pictures, or makes a clock of sound alone.

    Args:
        stream: the stream in an open container, which is not read from.
        track: its packets.
        thorough: listen to stretches from the beginning to the end.

    Raises:
        Unusable: nothing decodes, or a sample is not a number.
        MediaError: damage was met, or the deadline has passed.
    """
    with opened(path, deadline) as container:
        head = list(islice(_frames(container, stream.index, deadline), HEAD_FRAMES))
    if not head:
        raise Unusable("damaged: none of its sound can be decoded")
    first = head[0]
    origin = clock.origin_seconds if clock.has_video else track.seconds(first.ticks)
    if track.wrong_number is not None:
        raise Unusable(f"damaged: {track.wrong_number[1]} at {track.wrong_number[0] - origin:.2f} s")
    clock = replace(
        clock,
        origin_seconds=origin,
        audio_stream=stream.index,
        audio_rate=first.rate,
        audio_start_seconds=track.seconds(first.ticks) - origin,
        audio_end_seconds=track.seconds(track.end_ticks) - origin,
        audio_tick_seconds=float(track.tick),
        **_grid(head, track, origin),
    )
    if not thorough:
        return Sound(clock, first.channels, False)
    clock = _with_true_end(path, clock, track, deadline)
    return Sound(clock, first.channels, _loudest(path, clock, deadline) <= SILENCE)


# --- how ------------------------------------------------------------------------------------------------------


def _frames(container: InputContainer, index: int, deadline: Deadline) -> Iterator[_Frame]:
    """What decodes, from where the container stands; damage is for :func:`read_audio` to find."""
    stream = container.streams[index]
    assert isinstance(stream, AudioStream)
    Mixer(stream)  # so that PyAV can show what is decoded
    for packet in packets(container, deadline, stream):
        try:
            decoded = packet.decode()
        except av.FFmpegError:
            continue
        for frame in decoded:
            if frame.pts is not None and frame.samples:
                yield _Frame(frame.pts, frame.samples, frame.sample_rate, frame.layout.nb_channels)


def _grid(head: list[_Frame], track: Track, origin: float) -> dict[str, Any]:
    """Where packets begin exactly, if all of them are equally long and follow each other."""
    # The first frame may have lost its priming, the last its padding.
    lengths = {frame.samples for frame in head[1:-1]}
    if len(lengths) == 1 and {frame.ticks for frame in head[1:]} <= set(track.times):
        samples = lengths.pop()
        times = np.array([track.seconds(t) for t in track.times]) - origin
        anchor = even_grid(times, samples / head[0].rate, float(track.tick))
        if anchor is not None:
            return {"audio_frame_samples": samples, "audio_anchor_seconds": anchor}
    return {"audio_frame_samples": 0, "audio_anchor_seconds": 0.0}


def _with_true_end(path: str, clock: Clock, track: Track, deadline: Deadline) -> Clock:
    """Where the last sample ends once padding is gone, and whether seeking keeps the time."""
    known = set(track.times)
    target = track.end_ticks - round(2 * warm_up_seconds(clock) / track.tick)
    tail: deque[_Frame] = deque(maxlen=1)
    seekable = True
    with opened(path, deadline) as container:
        if target > min(track.times):
            try:
                container.seek(target, stream=container.streams[clock.audio_stream])
            except av.FFmpegError:
                seekable = False
        for frame in _frames(container, clock.audio_stream, deadline):
            seekable = seekable and (not tail or frame.ticks in known)
            tail.append(frame)
    if not seekable or not tail:
        with opened(path, deadline) as container:
            tail.extend(_frames(container, clock.audio_stream, deadline))
    end = track.seconds(tail[-1].ticks) + tail[-1].samples / tail[-1].rate - clock.origin_seconds
    if track.tick * clock.audio_rate <= 1:
        # Where the container counts in samples it says how much of the last packet is padding.
        end = min(end, clock.audio_end_seconds)
    return replace(clock, audio_end_seconds=end, audio_seekable=seekable)


def _loudest(path: str, clock: Clock, deadline: Deadline) -> float:
    """The highest peak of the stretches that are listened to.

    Raises:
        MediaError: one of them cannot be decoded.
    """
    first, last = clock.audio_start_seconds, clock.audio_end_seconds
    times = max(min(math.ceil((last - first) / LISTEN_SECONDS), LISTEN_TIMES), 1)
    peak = 0.0
    for start in np.linspace(first, max(last - LISTEN_SECONDS, first), times):
        heard = read_audio(path, clock, float(start), LISTEN_SECONDS, clock.audio_rate, timeout_seconds=deadline.left)
        peak = max(peak, float(np.abs(heard).max(initial=0)))
    return peak
