"""Scanning the packets of a file without decoding: when frames are shown and where decoding can begin."""

from __future__ import annotations

from array import array
from dataclasses import dataclass, field
from fractions import Fraction
from functools import partial

import av
import numpy as np
from av.container import InputContainer
from av.packet import Packet
from av.stream import Stream
from numpy.typing import NDArray

from avssl.media.containers.demux import Deadline, error_text, packets_of_all
from avssl.media.containers.frame_headers import Frames
from avssl.media.decoding.channels import FLOAT_CODECS, describe_invalid_sample, first_invalid_sample

_UNSET_TICK = Fraction(1, 1_000_000)

# Decoding times of one stream that go back by more than this, or ahead by more than their packets last and this, are
# those of another clock.
BACK_SECONDS = 0.5
AHEAD_SECONDS = 600.0


@dataclass(slots=True)
class Track:
    """The packets of one stream, in ticks of ``tick`` seconds."""

    tick: Fraction
    codec: str
    # Presentation times of the packets that are shown, in the order of the file.
    times: list[int] = field(default_factory=list)
    durations: list[int] = field(default_factory=list)
    sizes: list[int] = field(default_factory=list)  # of the same packets, in bytes
    # Where packets lie in the file, and when they are shown: byte, ticks, byte, …, of those that have both.
    places: array[int] = field(default_factory=partial(array, "q"))
    decoding_times: list[int | None] = field(default_factory=list)
    # Presentation times of those among them at which decoding can begin.
    keys: list[int] = field(default_factory=list)
    has_keys: bool = False  # whether decoding can begin anywhere, at a packet that is shown or not
    packets: int = 0  # all that hold data, shown or not
    is_delayed: bool = False  # whether the presentation time of any of them differs from its decoding time
    untimed: int = 0  # those without a presentation time
    broken_seconds: float | None = None  # container time of the first incomplete packet
    ends_broken: bool = False  # whether the last of them is incomplete
    stopped: str | None = None  # FFmpeg's error where it could not read on
    # Between which container times the clock of the packets goes back, or far ahead, for the first time.
    jump: tuple[float, float] | None = None
    _before: tuple[int, int] | None = None  # decoding time and duration of the packet before
    # The headers of its packets, where it is sound whose packets have some.
    frames: Frames = field(default_factory=Frames)
    # Of sound stored as floats: the container time of the first sample that cannot be heard, and what it is.
    invalid_sample: tuple[float, str] | None = None

    def take(self, packet: Packet[Stream]) -> None:
        self.packets += 1
        self.ends_broken = packet.is_corrupt
        if packet.is_corrupt and self.broken_seconds is None:
            self.broken_seconds = self.seconds(packet.dts if packet.dts is not None else packet.pts or 0)
        if self.codec in FLOAT_CODECS and self.invalid_sample is None:
            self._check_floats(packet)
        if not self.frames.take(self.codec, packet):
            return
        self.has_keys |= packet.is_keyframe
        self.is_delayed |= packet.pts != packet.dts
        self.decoding_times.append(packet.dts)
        if packet.dts is not None:
            self._follow(packet.dts, packet.duration or 0)
        if packet.pts is None:
            self.untimed += 1
        elif not packet.is_discard and not _is_hidden(self.codec, packet):
            self.times.append(packet.pts)
            if packet.pos is not None:
                self.places.extend((packet.pos, packet.pts))
            self.durations.append(packet.duration or 0)
            self.sizes.append(packet.size)
            if packet.is_keyframe:
                self.keys.append(packet.pts)

    def _check_floats(self, packet: Packet[Stream]) -> None:
        kind = np.dtype(FLOAT_CODECS[self.codec])
        samples = np.frombuffer(memoryview(packet), kind, count=packet.size // kind.itemsize)
        wrong = first_invalid_sample(samples)
        if wrong is not None:
            ticks = (packet.pts or 0) + (packet.duration or 0) * wrong / len(samples)
            self.invalid_sample = (float(ticks * self.tick), describe_invalid_sample(float(samples[wrong])))

    def _follow(self, ticks: int, duration: int) -> None:
        if self._before is not None and self.jump is None:
            last, lasting = self._before
            step = self.seconds(ticks - last)
            # A slide may well be shown for an hour, if its packet says so.
            if step < -BACK_SECONDS or (step > AHEAD_SECONDS and 2 * lasting < ticks - last):
                self.jump = (self.seconds(last + lasting), self.seconds(ticks))
        self._before = (ticks, duration)

    def seconds(self, ticks: int) -> float:
        return float(ticks * self.tick)

    def seconds_at(self, place: int) -> float:
        """Container time of the last packet that begins before this byte."""
        first = min(self.times, default=0)
        pairs = zip(self.places[::2], self.places[1::2], strict=True)
        return self.seconds(max((ticks for at, ticks in pairs if at <= place), default=first))

    @property
    def end_ticks(self) -> int:
        """Where the last packet ends."""
        return max((t + d for t, d in zip(self.times, self.durations, strict=True)), default=0)


def scan(container: InputContainer, deadline: Deadline, *streams: Stream) -> dict[int, Track]:
    """Read every packet of these streams once: tracks by stream index."""
    tracks = {
        s.index: Track(s.time_base or _UNSET_TICK, s.codec_context.codec.name if s.codec_context else "")
        for s in streams
    }
    try:
        for packet in packets_of_all(container, deadline, *streams):
            if packet.size:
                tracks[packet.stream_index].take(packet)
    except av.FFmpegError as error:
        for track in tracks.values():
            track.stopped = error_text(error)
    return tracks


def even_grid(times: NDArray[np.float64], step_seconds: float, tick_seconds: float) -> float | None:
    """Where packets of one length begin, finer than their time stamps.

    If all time stamps are an even grid rounded to ticks, each of them narrows down where the grid lies.

    Args:
        times: of all packets in order, seconds. (n,)
        step_seconds: duration of each packet.

    Returns:
        The time of one grid point, or None if the stamps are not such a grid (gaps, drift, jitter).
    """
    if not len(times):
        return None
    offsets = times - times[0] - np.arange(len(times)) * step_seconds
    if np.ptp(offsets) > tick_seconds * (1 + 1e-6) + 1e-9:
        return None
    earliest, latest = offsets.max() - tick_seconds / 2, offsets.min() + tick_seconds / 2
    # The first stamp is often exact (zero is); where the others contradict it, the middle is the best guess.
    return float(times[0] + (0.0 if earliest <= 0 <= latest else (earliest + latest) / 2))


def _is_hidden(codec: str, packet: Packet[Stream]) -> bool:
    """Whether a packet holds a frame that is never shown, only referred to (in VP8 and VP9 a packet of its own)."""
    view = memoryview(packet)
    if codec.startswith("vp8") or codec == "libvpx":
        return not view[0] >> 4 & 1  # RFC 6386, 9.1: show_frame
    if codec.startswith(("vp9", "libvpx-vp9")):
        return _vp9_is_hidden(view)
    return False


def _vp9_is_hidden(view: memoryview) -> bool:
    """VP9 bitstream specification 0.6: 6.2 (uncompressed header), annex B (several frames in one packet)."""
    if view[-1] >> 5 == 0b110:
        return False  # a superframe ends with the frame that is shown
    bits = view[0] << 8 | (view[1] if len(view) > 1 else 0)
    profile = (bits >> 13 & 1) | (bits >> 12 & 1) << 1
    next_bit = 11 - (profile == 3)
    show_existing = bits >> next_bit & 1
    show_frame = bits >> (next_bit - 2) & 1
    return not show_existing and not show_frame
