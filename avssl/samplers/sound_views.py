"""Windows of an item's sound, and what makes two of them differ."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from avssl.media.facts import Facts, Media
from avssl.samplers.correspondence import loudness_db
from avssl.samplers.keys import uniform

_TRIES = 10  # for a window that is loud enough


@dataclass(frozen=True)
class SoundRule:
    """How windows are drawn."""

    seconds: float  # length of a window
    rate: int  # samples a second
    min_loudness_db: float | None  # windows quieter than this (RMS, dB of full scale) are drawn again


def unusable(facts: Facts) -> str | None:
    """Why no window can be drawn from an item; None if one can."""
    if not facts.has_sound:
        return "no sound"
    return "silent" if "silent" in facts.flags else None


def draw_window(
    media: Media, item: int, rule: SoundRule, rng: np.random.Generator
) -> tuple[float, NDArray[np.float32]]:
    """Where a window begins, anywhere in the sound, and its samples; one that is longer than the sound is filled up
    with zeros on both sides."""
    facts = media.facts(item)
    first, last = facts.audio_start_seconds, facts.audio_end_seconds - rule.seconds
    first, last = (first, last) if last > first else ((first + last) / 2,) * 2
    for _ in range(_TRIES):
        start = uniform(rng, first, last)
        sound = media.audio(item, start, rule.seconds, rule.rate)
        if rule.min_loudness_db is None or loudness_db(sound) >= rule.min_loudness_db:
            break
    return start, sound


def mixed(sound: NDArray[np.float32], other: NDArray[np.float32], share: float) -> NDArray[np.float32]:
    """The sound with another one, which has this share of the power of the two; as loud as it was.

    Args:
        sound, other: float32 (samples,).
        share: 0..1.
    """
    power, others = (float(np.mean(np.square(each, dtype=np.float64))) for each in (sound, other))
    if not others:
        return sound
    return np.asarray(np.sqrt(1 - share) * sound + np.sqrt(share * power / others) * other, np.float32)


def draw_gap(rng: np.random.Generator, widest: float) -> tuple[float, float]:
    """Begin and end of a gap, as shares 0..1 of the whole, up to ``widest`` wide."""
    width = uniform(rng, 0, widest)
    start = uniform(rng, 0, 1 - width)
    return start, start + width
