"""Sampling the frame triplets of Shuffle & Learn (Misra, Zitnick & Hebert 2016, section 3.1).

Five frames a < b < c < d < e are drawn where there is motion. A right triplet is (b, c, d), a wrong one (b, a, d) or
(b, e, d): b and d are the same in both, so that the outer two give nothing away. Half of all are reversed, which does
not change the label: the direction of time is not part of the question.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

from avssl.media.facts import Facts, Media
from avssl.samplers.segments import SLACK_SECONDS, distinct, draw_segment

Ends = Literal["fixed", "shuffled"]

# At the end of a clip frames may run out; the first try is nearly always good.
_TRIES = 16


@dataclass(frozen=True)
class TripletRule:
    """How triplets are drawn. All distances are seconds."""

    # Least and greatest distance of b from c, and of c from d.
    gap_min: float = 0.08
    tau_max: float = 0.12
    # Least and greatest distance of a from b, and of e from d.
    tau_min: float = 0.08
    reach: float = 0.12
    window: float = 1.0  # length of the segment in which the five lie; at least as long as they need
    by_motion: bool = True  # whether the segment is drawn in proportion to its motion, or uniformly
    positives: float = 0.25  # share of triplets in the right order
    reverse: float = 0.5  # share of triplets reversed
    ends: Ends = "fixed"  # "fixed", as published; "shuffled", wrong triplets are wrong orders of b, c and d themselves

    @property
    def span(self) -> float:
        """The longest segment that five frames can need."""
        return 2 * (self.tau_max + self.reach)


class Triplet(NamedTuple):
    """Which three of the five frames are shown, in which order. ``label`` 1: the order is right."""

    slots: tuple[int, int, int]  # places in (a, b, c, d, e)
    label: int


def unusable(facts: Facts, rule: TripletRule) -> str | None:
    """Why no triplet can be drawn from an item; None if one can."""
    if facts.kind != "video":
        return f"{facts.kind}, not a video"
    if "still" in facts.flags:
        return "nothing moves"
    period = facts.duration_seconds / max(facts.frame_count, 1)
    if period > min(rule.gap_min, rule.tau_min) + SLACK_SECONDS:
        return f"frames {period:.3g} s apart, further than the {min(rule.gap_min, rule.tau_min):g} s asked for"
    # Frames are shown for a while: the last one begins a period before the end.
    if facts.duration_seconds - period < rule.span - SLACK_SECONDS:
        return f"shorter than the {rule.span:g} s that five frames may need"
    return None


def draw_five(media: Media, item: int, rule: TripletRule, rng: np.random.Generator) -> NDArray[np.float64]:
    """The times at which a, b, c, d and e are first shown, ascending. (5,)

    The segment is chosen by its motion; within it the five lie anywhere. So a wrong middle frame comes from the same
    segment as a right one, and differs in no other way.

    The limits are kept between the times of frames wherever a frame lies within them; where none does, the nearest.
    """
    times = media.frame_times(item)
    best, least = np.zeros(5, np.int64), np.inf
    for _ in range(_TRIES):
        # Outer steps, inner steps, segment, start: the order is part of what a key means.
        outer = rng.uniform(rule.tau_min, rule.reach, 2)
        inner = rng.uniform(rule.gap_min, rule.tau_max, 2)
        steps = np.array([outer[0], inner[0], inner[1], outer[1]])
        length = float(steps.sum())
        start, room = draw_segment(media, item, times, max(rule.window, length), rule.by_motion, rng)
        first = start + float(rng.uniform(0, max(room - length, 0.0)))
        at = np.searchsorted(times, first + np.concatenate([[0.0], np.cumsum(steps)]) + SLACK_SECONDS, "right") - 1
        shown = np.maximum(at, 0)
        if _beyond(times[shown], rule) > 0:
            shown = _stepped(times, int(shown[0]), steps, rule)
        beyond = _beyond(times[shown], rule)
        if beyond < least:
            best, least = shown, beyond
        if least == 0:
            break
    return np.asarray(times[distinct(best, len(times))], np.float64)


def draw_triplet(rule: TripletRule, rng: np.random.Generator) -> Triplet:
    """Which of five frames are shown: independent of their content."""
    positive = bool(rng.random() < rule.positives)
    # Both are drawn for every triplet, used or not, so that a share does not change the draws after it.
    coin, turned = bool(rng.integers(2)), bool(rng.random() < rule.reverse)
    if positive:
        slots = (1, 2, 3)
    elif rule.ends == "fixed":
        slots = (1, 0, 3) if coin else (1, 4, 3)
    else:
        slots = (2, 1, 3) if coin else (1, 3, 2)
    return Triplet(slots[::-1] if turned else slots, int(positive))


def difference(one: NDArray[np.uint8], other: NDArray[np.uint8]) -> float:
    """Root of the mean squared difference of two pictures, 0..255. Not in uint8, where it would wrap around."""
    return float(np.sqrt(np.mean(np.square(one.astype(np.float32) - other.astype(np.float32)))))


def _limits(rule: TripletRule) -> NDArray[np.float64]:
    """Least and greatest distance of each of the five from the one before: (4, 2)."""
    outer, inner = (rule.tau_min, rule.reach), (rule.gap_min, rule.tau_max)
    return np.array([outer, inner, inner, outer])


def _beyond(times: NDArray[np.float64], rule: TripletRule) -> float:
    """By how many seconds in all the distances of five times are beyond the limits."""
    least, greatest = _limits(rule).T
    apart = np.diff(times)
    outside = np.maximum(least - apart, apart - greatest)
    return float(outside[outside > SLACK_SECONDS].sum())


def _stepped(
    times: NDArray[np.float64], first: int, steps: NDArray[np.float64], rule: TripletRule
) -> NDArray[np.int64]:
    """Five frames from ``first`` on: each within the limits of the one before, or the nearest to them if none is.

    Of several that are, that whose distance is nearest to the step drawn. The last one again where frames run out.
    """
    shown = [first]
    for step, (least, greatest) in zip(steps, _limits(rule), strict=True):
        here = shown[-1]
        apart = times[here + 1 :] - times[here]
        if not len(apart):
            return np.array(shown + [here] * (5 - len(shown)), np.int64)
        outside = np.maximum(np.maximum(least - apart, apart - greatest), SLACK_SECONDS)
        # The second key decides among those that are outside by as much, that is mostly not at all.
        best = np.lexsort((np.abs(apart - step), np.round(outside / SLACK_SECONDS)))[0]
        shown.append(here + 1 + int(best))
    return np.array(shown, np.int64)
