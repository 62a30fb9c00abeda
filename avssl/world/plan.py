"""The plan of a clip, decided before anything moves: a pure function of settings, split and index."""

from __future__ import annotations

import colorsys
import itertools
from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np

from avssl.world.rng import between, generator, log_between
from avssl.world.settings import KINDS, Settings

Color = tuple[int, int, int]

# Fundamentals, of all kinds alike: pitch must not tell the kind. High enough for a small drum, low enough for eight
# partials below 8 kHz.
PITCH_HZ = (300.0, 900.0)

# 1 / golden ratio: its multiples modulo 1 are spread evenly however many there are.
_GOLDEN = 0.6180339887498949

# Motions without weight: "gravity" only sets their pace.
WEIGHTLESS = ("glide", "cross")

# Of motions that differ from the others
_GRAVITY = {"fall": (4.0, 7.0)} | dict.fromkeys(WEIGHTLESS, (0.3, 0.7))
_ELASTICITY = {"fall": (0.80, 0.90)} | dict.fromkeys(WEIGHTLESS, (0.97, 1.0))


@dataclass(frozen=True)
class ObjectPlan:
    """One object. Lengths are shares of the picture's side."""

    kind: str
    size: float  # geometric mean of width and height of the upright silhouette
    stretch: float  # the width is multiplied, the height divided by this
    mirrored: bool
    colors: tuple[Color, Color, Color]  # body, second colour, light parts
    pitch_hz: float
    sounding: bool


@dataclass(frozen=True)
class ClipPlan:
    """One clip, before physics."""

    seed: int
    split: str
    index: int
    scene: str
    motion: str
    objects: tuple[ObjectPlan, ...]
    offscreen: tuple[ObjectPlan, ...]
    floor: float  # height of the floor, 0 the top edge of the picture, 1 the bottom
    # Sides a second squared. A glide has no weight; its pace is about the root of this, in sides a second.
    gravity: float
    elasticity: float
    level_db: float  # level of the loudest moment, dB of full scale
    noise_db: float  # level of the room's noise floor, dB of full scale
    echo: float  # share of the room in the sound, 0 to 0.4

    def rng(self, purpose: str) -> np.random.Generator:
        """Randomness of this clip for one purpose, independent of what others draw."""
        return generator("world", self.seed, self.split, self.index, purpose)


def plan_clip(settings: Settings, split: str, index: int) -> ClipPlan:
    """The plan of clip ``index`` of ``split``.

    Scenes follow a golden-ratio sequence, so that any run of clips has them in their shares; the first kind of a clip
    comes from shuffled rounds of all kinds.
    """
    seed = settings.seed
    offsets = generator("world", seed, split, "shares").random(2)
    scene = _at_share(settings.scene_shares(), (offsets[0] + index * _GOLDEN) % 1.0)
    rng = generator("world", seed, split, index, "plan")
    motion = _at_share(settings.motion_shares(), float(rng.random()))
    visible, sounding, hidden = _cast(scene, rng)
    kinds = _kinds(seed, split, index, visible + hidden, rng)
    # The sounding object is planned first; unshuffled it would always stand on the left.
    order = [int(place) for place in rng.permutation(visible)]
    cast = [_object(kinds[i], visible, i < sounding, rng) for i in range(visible)]
    if scene == "alike":
        cast = [cast[0], *(_likeness(cast[0], one, rng) for one in cast[1:])]
    return ClipPlan(
        seed=seed,
        split=split,
        index=index,
        scene=scene,
        motion=motion,
        objects=tuple(cast[i] for i in order),
        offscreen=tuple(_object(kind, 1, True, rng) for kind in kinds[visible:]),
        floor=between(rng, 0.82, 0.95),
        gravity=between(rng, *_GRAVITY.get(motion, (7.0, 12.0))),
        elasticity=between(rng, *_ELASTICITY.get(motion, (0.84, 0.93))),
        level_db=between(rng, -20.0, -8.0),
        noise_db=between(rng, -66.0, -50.0),
        echo=between(rng, 0.0, 0.4),
    )


def _cast(scene: str, rng: np.random.Generator) -> tuple[int, int, int]:
    """The number of visible objects, of those that sound, and of those that sound off screen."""
    if scene == "single":
        return 1, 1, 0
    if scene == "several":
        return int(rng.integers(2, 4)), 1, 0
    if scene == "alike":  # silent, for it could not be told which of them sounds
        return int(rng.integers(2, 4)), 0, 0
    if scene == "duet":
        return int(rng.integers(2, 4)), 2, 0
    if scene == "offscreen":
        return int(rng.integers(1, 3)), 0, 1
    return int(rng.integers(1, 4)), 0, 0


def _kinds(seed: int, split: str, index: int, count: int, rng: np.random.Generator) -> list[str]:
    """Different kinds; the first from a shuffled round of all, the others at random."""
    turn, place = divmod(index, len(KINDS))
    first = int(generator("world", seed, split, "round", turn).permutation(len(KINDS))[place])
    others = [int(i) for i in rng.permutation(len(KINDS)) if i != first]
    return [KINDS[i] for i in [first, *others][:count]]


def _object(kind: str, company: int, sounding: bool, rng: np.random.Generator) -> ObjectPlan:
    low, high = {1: (0.30, 0.46), 2: (0.26, 0.36)}.get(company, (0.22, 0.30))
    return ObjectPlan(
        kind=kind,
        size=between(rng, low, high),
        stretch=log_between(rng, 0.88, 1.14),
        mirrored=bool(rng.random() < 0.5),
        colors=_colors(rng),
        pitch_hz=log_between(rng, *PITCH_HZ),
        sounding=sounding,
    )


def _likeness(model: ObjectPlan, one: ObjectPlan, rng: np.random.Generator) -> ObjectPlan:
    """An object that keeps its own size and pitch, but has the kind of ``model`` and nearly its colours."""
    body, second, pale = model.colors
    return replace(one, kind=model.kind, colors=(_nearly(body, rng), _nearly(second, rng), _nearly(pale, rng)))


def _nearly(color: Color, rng: np.random.Generator) -> Color:
    red, green, blue = (min(max(value + int(rng.integers(-12, 13)), 0), 255) for value in color)
    return red, green, blue


def _colors(rng: np.random.Generator) -> tuple[Color, Color, Color]:
    hue = float(rng.random())
    second = hue + float(rng.choice([0.08, 0.33, 0.5, 0.67, 0.92])) + between(rng, -0.04, 0.04)
    return (
        rgb(hue, between(rng, 0.62, 0.92), between(rng, 0.72, 0.98)),
        rgb(second, between(rng, 0.45, 0.85), between(rng, 0.75, 0.98)),
        rgb(hue + between(rng, -0.1, 0.1), between(rng, 0.05, 0.22), between(rng, 0.93, 1.0)),
    )


def rgb(hue: float, saturation: float, value: float) -> Color:
    red, green, blue = colorsys.hsv_to_rgb(hue % 1.0, saturation, value)
    return round(255 * red), round(255 * green), round(255 * blue)


def _at_share(shares: Mapping[str, float], place: float) -> str:
    """The entry that covers ``place`` of [0, 1) when the shares are laid end to end."""
    names = [name for name, share in shares.items() if share > 0]
    ends = itertools.accumulate(shares[name] for name in names)
    return next((name for name, end in zip(names, ends, strict=True) if place < end), names[-1])
