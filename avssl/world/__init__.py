"""The generated world: short clips with known ground truth, written as ordinary video files.

``generate(out)`` makes one; :mod:`avssl.world.truth` reads the ground truth of a clip.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from avssl.world.settings import KINDS, PRESETS, SCENES, SPLITS, Settings, is_finished
from avssl.world.truth import audible, boxes, read_truth, sounding_kinds, visible_kinds

if TYPE_CHECKING:
    from avssl.world.build import generate
    from avssl.world.masks import read_masks
    from avssl.world.sheet import contact_sheet

__all__ = [
    "KINDS",
    "PRESETS",
    "SCENES",
    "SPLITS",
    "Settings",
    "audible",
    "boxes",
    "contact_sheet",
    "generate",
    "is_finished",
    "read_masks",
    "read_truth",
    "sounding_kinds",
    "visible_kinds",
]

# Found when asked for: whoever reads a truth need not wait for the physics, the codec and the fonts.
_LAZY = {"contact_sheet": "sheet", "generate": "build", "read_masks": "masks"}


def __getattr__(name: str) -> Any:
    if name not in _LAZY:
        raise AttributeError(f"module 'avssl.world' has no attribute {name!r}")
    return getattr(import_module(f"avssl.world.{_LAZY[name]}"), name)


def __dir__() -> list[str]:
    return __all__
