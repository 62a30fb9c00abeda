"""Sampling for synchronization: a short clip of frames, and a sound that is in step with it or not.

Negatives are of three kinds (Korbar, Tran & Torresani 2018): easy, the sound of another video; hard, of another time of
the same video; super-hard, of a time that overlaps the clip's own.

Whatever the label, two times are drawn, by a rule that treats them alike: the clip is at the first, the sound at the
first (in step) or at the second. So frames, and sounds, are distributed alike in both classes, and only the pairing
differs. All times are frame times of their own video, as in :mod:`avssl.samplers.correspondence`, and all of a sound
lies where the video has sound: neither the phase of a frame nor an edge of silence gives a shift away.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

from avssl.media.facts import Facts, Media
from avssl.samplers.correspondence import NegativeSounds, grid, is_as_loud, other_item
from avssl.samplers.correspondence import unusable as no_moment
from avssl.samplers.keys import Key, generator
from avssl.samplers.order import item_of

Kind = Literal["easy", "hard", "super-hard"]
KINDS: tuple[Kind, ...] = ("easy", "hard", "super-hard")

# Pairs of times of one video drawn at once: one of them nearly always is as far apart as asked for.
_PAIRS = 64
# Tries for two moments that are loud enough; after them the last ones are taken.
_TRIES = 8
# Frame times are read back from files, and sums of floats.
_SLACK_SECONDS = 1e-3


@dataclass(frozen=True)
class ShiftRule:
    """How clips and sounds are drawn."""

    seconds: float  # length of clip and sound
    rate: int  # samples a second of the sound
    # Shares of the negatives; the rest is easy.
    hard: float
    super_hard: float
    least_shift: float  # seconds by which a super-hard negative is out of step, at least
    min_loudness_db: float | None = None  # moments whose sound is quieter (RMS, dB of full scale) are drawn again
    # "moments", as said above; "anywhere", shifted by any time, beyond the end of the sound, too: the leak, for probes
    # that show it.
    negative_sounds: NegativeSounds = "moments"


class Excerpt(NamedTuple):
    """Where a clip or a sound is from: it lasts the rule's seconds around a time."""

    item: int
    centre_seconds: float


class Shifted(NamedTuple):
    """A clip and a sound. ``label`` 1: in step."""

    picture: Excerpt
    sound: Excerpt
    label: int
    kind: Kind  # of negative that was drawn, also where the label is 1


def unusable(facts: Facts, seconds: float, least_shift: float) -> str | None:
    """Why an item cannot be used; None if it can."""
    return "nothing moves" if "still" in facts.flags else no_moment(facts, seconds + least_shift)


def read_sound(media: Media, excerpt: Excerpt, rule: ShiftRule) -> NDArray[np.float32]:
    """The sound of an excerpt: (samples,)."""
    start = excerpt.centre_seconds - rule.seconds / 2
    return media.audio(excerpt.item, start, rule.seconds, rule.rate)


def frame_times(centre_seconds: float, seconds: float, steps: int) -> list[float]:
    """When the ``steps`` frames of a clip are shown, and one before and one after them: ascending, evenly spaced."""
    places = np.arange(-1, steps + 1) - (steps - 1) / 2
    # A thousandth later: a frame's own time, computed, may lie a rounding before it, where the last one is shown.
    return [centre_seconds + float(place) * seconds / steps + _SLACK_SECONDS for place in places]


def draw_shifted(media: Media, key: Key, rule: ShiftRule) -> Shifted:
    """The clip and the sound of this key."""
    item, rng = item_of(media, key), generator(*key, "shift")
    share = rng.random()
    kind: Kind = "hard" if share < rule.hard else "super-hard" if share < rule.hard + rule.super_hard else "easy"
    label = int(rng.integers(2))
    for _ in range(_TRIES):
        kind, picture, sound = _two(media, key, item, kind, rule, rng)
        if _loud(media, picture, rule) and _loud(media, sound, rule):
            break
    if label:
        return Shifted(picture, picture, label, kind)
    if rule.negative_sounds == "anywhere":
        far = float(rng.uniform(rule.least_shift, 2 * rule.seconds)) * (-1, 1)[int(rng.integers(2))]
        sound = Excerpt(item, picture.centre_seconds + far)
    return Shifted(picture, sound, label, kind)


def _two(
    media: Media, key: Key, item: int, kind: Kind, rule: ShiftRule, rng: np.random.Generator
) -> tuple[Kind, Excerpt, Excerpt]:
    """Two moments, of which either might be the first; of a video too short for this kind the second is of another."""
    centres = grid(media, item, rule.seconds)
    if kind != "easy":
        # Both of a pair are drawn alike, and which pairs are kept does not depend on which comes first.
        pairs = centres[rng.integers(len(centres), size=(_PAIRS, 2))]
        apart = np.abs(pairs[:, 0] - pairs[:, 1]) + _SLACK_SECONDS
        far = apart >= rule.seconds
        fitting = np.flatnonzero(far if kind == "hard" else ~far & (apart >= rule.least_shift))
        if fitting.size:
            one, two = pairs[fitting[0]].tolist()
            return kind, Excerpt(item, one), Excerpt(item, two)
    other = other_item(media, key, item, rng)
    others = grid(media, other, rule.seconds)
    first, second = centres[rng.integers(len(centres))], others[rng.integers(len(others))]
    return "easy", Excerpt(item, float(first)), Excerpt(other, float(second))


def _loud(media: Media, excerpt: Excerpt, rule: ShiftRule) -> bool:
    least = rule.min_loudness_db
    return least is None or is_as_loud(read_sound(media, excerpt, rule), least)
