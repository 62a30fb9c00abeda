"""The generated world: short clips with known ground truth, written as ordinary video files.

``generate(out)`` makes one; :mod:`avssl.world.truth` reads the ground truth of a clip.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from avssl.world.truth import audible, boxes, read_truth, sounding_kinds, visible_kinds

if TYPE_CHECKING:
    from avssl.world.build import generate

__all__ = ["audible", "boxes", "generate", "read_truth", "sounding_kinds", "visible_kinds"]


def __getattr__(name: str) -> Any:
    if name != "generate":  # it needs the physics and the codec, which readers of a truth do not
        raise AttributeError(f"module 'avssl.world' has no attribute {name!r}")
    from avssl.world.build import generate

    return generate
