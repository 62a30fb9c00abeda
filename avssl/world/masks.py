"""Which object is seen at each pixel of a clip: painted again from the settings of its world, never stored."""

from __future__ import annotations

from dataclasses import fields
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from avssl.errors import UserError
from avssl.world.clip import rounded_boxes
from avssl.world.physics import simulate
from avssl.world.picture import Painter
from avssl.world.plan import plan_clip
from avssl.world.settings import DESCRIPTION, VERSION, Settings, read_description
from avssl.world.truth import read_truth


def read_masks(path: Path | str) -> NDArray[np.uint8]:
    """The masks of a generated clip: uint8 (frames, size, size), 0 the backdrop, k + 1 the ``objects[k]`` of its truth.

    Parts that another object hides belong to that one; pebbles and cords hide nothing here.

    Args:
        path: the clip or its JSON file, in the folder of its world.

    Raises:
        UserError: it is no such clip, ``world.json`` is missing, or another version made it.
    """
    truth, file = read_truth(path), Path(path)
    world = read_description(file.parent.parent)
    if world is None:
        raise UserError(
            f"{file.parent.parent / DESCRIPTION}: no such file; masks are painted from it: keep clips there"
        )
    settings = _settings(world)
    if truth["version"] != VERSION:
        raise UserError(
            f"{file}: made by version {truth['version']} of the world, and masks need {VERSION}; make it again"
        )
    labels, boxes = clip_masks(settings, str(truth["split"]), int(truth["index"]))
    if boxes != [one["boxes"] for one in truth["objects"]]:
        raise UserError(f"{file}: its boxes are not those of {file.parent.parent / 'world.json'}; generate it again")
    return labels


def clip_masks(settings: Settings, split: str, index: int) -> tuple[NDArray[np.uint8], list[Any]]:
    """The masks of a clip, and the boxes of each object as its truth has them."""
    plan = plan_clip(settings, split, index)
    motion = simulate(plan, plan.objects, settings.frames, settings.fps)
    frames = list(Painter(plan, motion, settings.size, settings.fps).frames())
    boxes = [rounded_boxes([frame.boxes[number] for frame in frames]) for number in range(len(plan.objects))]
    return np.stack([frame.labels for frame in frames]), boxes


def _settings(world: dict[str, Any]) -> Settings:
    known = {one.name: world[one.name] for one in fields(Settings) if one.name in world}
    plain = Settings(**{name: value for name, value in known.items() if name not in ("scenes", "motions")})
    # The shares of a preset are rounded in the file; taken from the preset itself they are the same to the bit.
    own = {name: value for name, value in known.items() if value == plain.as_json()[name]}
    return plain if len(own) == len(known) else Settings(**known)
