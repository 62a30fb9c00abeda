"""Sampling clips: a few frames of a video, equally far apart, where there is motion."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from avssl.media.facts import Facts, Media
from avssl.samplers.segments import SLACK_SECONDS, distinct, draw_segment


@dataclass(frozen=True)
class ClipRule:
    """How clips are drawn. Distances are seconds between neighbours."""

    frames: int = 4
    # Least and greatest distance; of each clip one is drawn, which is rounded to whole frames of the video.
    shortest: float = 1 / 6
    longest: float = 1 / 6
    by_motion: bool = True  # whether clips are drawn in proportion to their motion, or uniformly

    @property
    def span(self) -> float:
        """The longest time that a clip can need, from its first frame to its last."""
        return (self.frames - 1) * self.longest


def unusable(facts: Facts, rule: ClipRule) -> str | None:
    """Why no clip can be drawn from an item; None if one can."""
    if facts.kind != "video":
        return f"{facts.kind}, not a video"
    if "still" in facts.flags:
        return "nothing moves"
    period = facts.duration_seconds / max(facts.frame_count, 1)
    # A distance is rounded to whole frames; of less than two thirds of one nothing like it is left.
    if period > 1.5 * rule.longest + SLACK_SECONDS:
        return f"frames {period:.3g} s apart, further than the {rule.longest:.3g} s asked for"
    # Frames are shown for a while: the last one begins a period before the end.
    if facts.duration_seconds - period < rule.span - SLACK_SECONDS:
        return f"shorter than the {rule.span:.3g} s that {rule.frames} frames need"
    return None


def draw_clip(media: Media, item: int, rule: ClipRule, rng: np.random.Generator) -> NDArray[np.float64]:
    """The times at which the frames of a clip are first shown, ascending: (rule.frames,).

    Where frames are equally spaced in the video they are in the clip, to the frame; elsewhere each is the one nearest
    to its time. All are different wherever the video has so many.
    """
    times = media.frame_times(item)
    period = float(np.median(np.diff(times))) if len(times) > 1 else rule.longest
    # Distance, segment: the order is part of what a key means.
    distance = rule.shortest + (rule.longest - rule.shortest) * rng.random()
    steps = max(1, round(distance / period))
    fitting = max(1, (len(times) - 1) // max(rule.frames - 1, 1))  # rounding up may ask for more than there is
    step = min(steps, fitting) * period
    length = (rule.frames - 1) * step
    start, _ = draw_segment(media, item, times, length, rule.by_motion, rng)
    wanted = start + np.arange(rule.frames) * step
    nearest = np.abs(times[None] - wanted[:, None]).argmin(1)
    return np.asarray(times[distinct(nearest, len(times))], np.float64)
