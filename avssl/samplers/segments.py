"""Segments of a video, drawn where there is motion."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from avssl.media.facts import Media

# Times are sums of floats: what differs by less is the same frame.
SLACK_SECONDS = 1e-6


def draw_segment(
    media: Media, item: int, times: NDArray[np.float64], length: float, by_motion: bool, rng: np.random.Generator
) -> tuple[float, float]:
    """Start and length of a segment of ``length`` seconds, or of the whole clip if it is shorter.

    Args:
        times: of all frames of the item; the segment starts at one of them.
        by_motion: whether a start is drawn in proportion to what moves in its segment, or uniformly.
    """
    whole = float(times[-1] - times[0])
    if whole <= length:
        return float(times[0]), whole
    starts = times[times <= times[-1] - length + SLACK_SECONDS]
    weights = np.ones(len(starts))
    if by_motion:
        from avssl.media.motion import motion_curve  # loads scipy: not for the options of a task

        curve = motion_curve(media, item)
        if len(curve) == len(times):
            total = np.concatenate([[0.0], np.cumsum(curve, dtype=np.float64)])
            ends = np.searchsorted(times, starts + length + SLACK_SECONDS, "right")
            moved = total[ends] - total[np.arange(len(starts)) + 1]  # the first frame's difference is not inside
            weights = moved if moved.sum() > 0 else weights
    cumulative = np.cumsum(weights)
    chosen = int(np.searchsorted(cumulative, rng.random() * cumulative[-1], "right"))
    return float(starts[min(chosen, len(starts) - 1)]), length


def distinct(shown: NDArray[np.int64], count: int) -> NDArray[np.int64]:
    """The different frames, of ``count``, nearest to these, ascending; where there are too few, the last again."""
    first = np.arange(len(shown))
    apart = np.maximum.accumulate(shown - first) + first
    back = apart - max(int(apart[-1]) - (count - 1), 0)
    # Where that reaches beyond the first frame: the first ones, each once while there are enough.
    return np.minimum(np.maximum(back, first), count - 1)
