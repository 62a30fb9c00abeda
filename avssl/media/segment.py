"""A segment of a file as an item of its own: its frames, its zero, its sound."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from avssl.media.decoding.clock import SHOWN_TOLERANCE_SECONDS
from avssl.media.facts import SHORT_SECONDS, Facts


@dataclass(frozen=True, slots=True)
class Segment:
    """Where an item lies in its file. ``Segment()`` is the whole file."""

    # On the file's clock: not the start that was asked for, but the time of the frame shown then, so that the first
    # frame of a segment is at 0 like that of a file.
    zero_seconds: float = 0.0
    end_seconds: float | None = None  # on the file's clock; None: with the file
    first: int = 0  # number of its first frame in the file
    stop: int | None = None  # one past its last frame; None: with the file

    @property
    def is_whole(self) -> bool:
        return self == Segment()


def segment_of(times: NDArray[np.float64], start_seconds: float | None, duration_seconds: float | None) -> Segment:
    """The segment from a start on the file's clock (None: zero) for a duration (None: to the end), of a file whose
    frames are shown at ``times``."""
    if start_seconds is None and duration_seconds is None:
        return Segment()
    start = start_seconds or 0.0
    end = None if duration_seconds is None else start + duration_seconds
    if not len(times):
        return Segment(start, end)
    first = max(int(np.searchsorted(times, start + SHOWN_TOLERANCE_SECONDS, side="right")) - 1, 0)
    stop = len(times)
    if end is not None:
        stop = max(int(np.searchsorted(times, end - SHOWN_TOLERANCE_SECONDS, side="left")), first + 1)
    return Segment(float(times[first]), end, first, stop)


def segment_facts(whole: Facts, segment: Segment, frames: int) -> Facts:
    """The facts of a segment that has this many frames, from those of its file."""
    if segment.is_whole:
        return whole
    zero = segment.zero_seconds
    end = whole.duration_seconds if segment.end_seconds is None else min(segment.end_seconds, whole.duration_seconds)
    sound_end = whole.audio_end_seconds if segment.end_seconds is None else segment.end_seconds
    sound = (max(whole.audio_start_seconds - zero, 0.0), min(whole.audio_end_seconds, sound_end) - zero)
    flags = tuple(flag for flag in whole.flags if flag != "short")
    if end - zero < SHORT_SECONDS - 1e-3:
        flags = (*flags, "short")
    part = replace(whole, duration_seconds=end - zero, frame_count=frames, flags=flags)
    if frames > 1:
        part = replace(part, frame_rate=frames / (end - zero))
    if whole.has_sound and sound[1] > sound[0]:
        return replace(part, audio_start_seconds=sound[0], audio_end_seconds=sound[1])
    return replace(part, audio_rate=0, audio_channels=0, audio_start_seconds=0.0, audio_end_seconds=0.0)
