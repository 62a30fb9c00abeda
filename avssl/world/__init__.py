"""The generated world: short clips with known ground truth, written as ordinary video files.

``generate(out)`` makes one; :mod:`avssl.world.truth` reads what is true of a clip.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from avssl.options import build as built  # avssl.world.build is a module here
from avssl.world.kinds import KINDS
from avssl.world.settings import PRESETS, SCENES, SPLITS, Settings
from avssl.world.truth import audible, boxes, read_truth, sounding_kinds, visible_kinds

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
    "read_truth",
    "sounding_kinds",
    "visible_kinds",
]


def generate(
    out: Path,
    settings: Settings | None = None,
    *,
    workers: int | None = None,
    on_progress: Callable[[int, int], None] | None = None,
    **options: Any,
) -> None:
    """Make a world in the folder ``out``, or continue one that was begun there with the same settings.

    Args:
        out: gets ``train/``, ``validation/`` and ``test/`` with ``clip_00000.mp4`` and its truth
            ``clip_00000.json`` …, and ``world.json`` with all settings.
        settings: what the world is made of.
        workers: processes; by default one for each core.
        on_progress: called with the clips done and the clips of the whole world.
        options: instead of ``settings``, fields of :class:`Settings` that are not as by default.

    Raises:
        UserError: for settings that make no world, or a folder that holds something else.
    """
    from avssl.world.build import build

    build(Path(out), settings or built(Settings, options), workers, on_progress)


def is_finished(out: Path, settings: Settings) -> bool:
    """Whether the folder ``out`` holds the whole world of ``settings``."""
    from avssl.world.build import is_finished as finished

    return finished(Path(out), settings)


def contact_sheet(folder: Path, out: Path, clips: int = 10) -> None:
    """Draw a sheet of clips of a split that differ much: frames over time, the sound beneath, kinds and boxes.

    Args:
        folder: a split of a world (``OUT/train``), or a world (then its training clips).
        out: the PNG file to write.
        clips: how many at most.

    Raises:
        UserError: if there are no clips with their truth.
    """
    from avssl.world.sheet import contact_sheet as draw

    draw(Path(folder), Path(out), clips)
