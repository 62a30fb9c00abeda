"""The settings of a world: number and size of clips, and shares of the scenes."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from avssl.errors import UserError, did_you_mean
from avssl.options import option

VERSION = 3  # raised whenever the same seed would give another world

# The kinds of objects. A kind is all that ties picture to sound: it has a shape (shapes.py) and a timbre (voices.py).
# Plans draw by this order: one more kind, or another order, is another VERSION.
KINDS: tuple[str, ...] = ("bell", "drum", "guitar", "trumpet", "maracas", "xylophone", "frog", "bird")

DESCRIPTION = "world.json"  # the file of a world that says how it was made

SPLITS: tuple[str, ...] = ("train", "validation", "test")

SCENES: dict[str, str] = {
    "single": "one object, which sounds",
    "several": "two or three objects, of which one sounds",
    "duet": "two or three objects, of which two sound",
    "offscreen": "one or two silent objects; something that is not in the picture sounds",
    "silent": "one to three objects that move without a sound",
    "alike": "two or three objects of one kind that look alike and move without a sound",
}

MOTIONS: dict[str, str] = {
    "bounce": "objects are thrown, fall, bounce and collide; at rest they hop",
    "swing": "objects hang on cords, knock against posts and each other",
    "struck": "objects stand on the floor, pebbles fall on them",
    "fall": "like bounce, under a weaker pull and without hops: energy is only lost",
    "glide": "objects glide without weight, bounce off the sides and each other",
    "cross": "like glide, but objects pass in front of each other",
}


@dataclass(frozen=True)
class Preset:
    """Shares of scenes and of motions (relative; they need not sum to one)."""

    scenes: Mapping[str, float]
    motions: Mapping[str, float]


_ALL_MOTIONS = {"bounce": 0.4, "swing": 0.3, "struck": 0.3}

PRESETS: dict[str, Preset] = {
    "default": Preset({"single": 0.90, "several": 0.04, "duet": 0.02, "offscreen": 0.02, "silent": 0.02}, _ALL_MOTIONS),
    "single": Preset({"single": 1.0}, _ALL_MOTIONS),
    "localization": Preset({"single": 1.0, "several": 2.0}, _ALL_MOTIONS),
    "motion": Preset({"single": 0.6, "several": 0.4}, {"glide": 1.0}),
    "tracking": Preset({"several": 0.5, "alike": 0.5}, {"cross": 1.0}),
}


@dataclass(frozen=True)
class Settings:
    """Everything that decides a world: equal settings give equal ground truth. Raises UserError at invalid values."""

    train: int = option(1600, "training clips")
    validation: int = option(128, "validation clips")
    test: int = option(300, "test clips")
    seed: int = option(0, "another seed, another world")
    preset: str = option("default", f"shares of scenes: {', '.join(PRESETS)}")
    size: int = option(128, "side of the picture in pixels, even")
    fps: int = option(25, "frames a second")
    rate: int = option(16000, "sound samples a second")
    frames: int = option(88, "frames a clip")
    scenes: Mapping[str, float] | None = option(None, f"shares of scenes instead of the preset's: {', '.join(SCENES)}")
    motions: Mapping[str, float] | None = option(
        None, f"shares of motions instead of the preset's: {', '.join(MOTIONS)}"
    )

    def __post_init__(self) -> None:
        if self.preset not in PRESETS:
            raise UserError(f"no preset is called {self.preset!r}{did_you_mean(self.preset, PRESETS)}")
        # Even: the codec stores one colour for 2×2 pixels (4:2:0).
        if self.size < 32 or self.size % 2:
            raise UserError(f"size ({self.size}) must be even and at least 32 pixels")
        if not 1 <= self.fps <= 120:
            raise UserError(f"fps ({self.fps}) must be between 1 and 120")
        # Sample rates of AAC.
        if self.rate not in (16000, 22050, 24000, 32000, 44100, 48000):
            raise UserError(f"rate ({self.rate}) must be 16000, 22050, 24000, 32000, 44100 or 48000")
        if self.frames < 1:
            raise UserError(f"frames ({self.frames}) must be at least 1")
        if min(self.train, self.validation, self.test) < 0:
            raise UserError("a world cannot have fewer than 0 clips in a split: train, validation and test are counts")
        _check_shares("scenes", self.scenes, SCENES)
        _check_shares("motions", self.motions, MOTIONS)

    @property
    def seconds(self) -> float:
        return self.frames / self.fps

    def count(self, split: str) -> int:
        return {"train": self.train, "validation": self.validation, "test": self.test}[split]

    def scene_shares(self) -> dict[str, float]:
        """The share of each scene, with a sum of one."""
        return _normalised(PRESETS[self.preset].scenes if self.scenes is None else self.scenes, SCENES)

    def motion_shares(self) -> dict[str, float]:
        """The share of each motion, with a sum of one."""
        return _normalised(PRESETS[self.preset].motions if self.motions is None else self.motions, MOTIONS)

    def as_json(self) -> dict[str, Any]:
        """All settings with the shares written out, as ``world.json`` keeps them."""
        values = asdict(self)
        values.update(scenes=self.scene_shares(), motions=self.motion_shares(), version=VERSION)
        return values

    def description(self, complete: bool) -> dict[str, Any]:
        """What :data:`DESCRIPTION` of a world says while it is made, and once it is complete."""
        return {**self.as_json(), "complete": complete}


def is_finished(out: Path, settings: Settings) -> bool:
    """Whether ``out`` holds the whole world of ``settings``."""
    found = read_description(out)
    return found is not None and occurring(found) == occurring(settings.description(complete=True))


def occurring(description: Mapping[str, Any]) -> dict[str, Any]:
    """A description without the scenes and motions that do not occur: older versions did not know all of them."""
    shares = {name: {k: v for k, v in (description.get(name) or {}).items() if v} for name in ("scenes", "motions")}
    return {**description, **shares}


def read_description(out: Path) -> dict[str, Any] | None:
    """What the world in ``out`` says of itself; None where there is none.

    Raises:
        UserError: it cannot be read.
    """
    path = out / DESCRIPTION
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return None
    except (OSError, ValueError) as error:
        raise UserError(f"{path}: cannot be read ({error}); delete the folder to make the world again") from None
    return content if isinstance(content, dict) else {}


def _check_shares(name: str, shares: Mapping[str, float] | None, known: Mapping[str, str]) -> None:
    if shares is None:
        return
    unknown = [key for key in shares if key not in known]
    if unknown:
        raise UserError(f"{name}: nothing is called {unknown[0]!r}{did_you_mean(unknown[0], known)}")
    if min(shares.values(), default=-1.0) < 0 or sum(shares.values()) <= 0:
        raise UserError(f"{name}: shares must be 0 or more, and one of them more than 0")


def _normalised(shares: Mapping[str, float], known: Mapping[str, str]) -> dict[str, float]:
    total = sum(shares.values())
    return {key: round(shares.get(key, 0.0) / total, 6) for key in known}
