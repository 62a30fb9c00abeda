"""The generated world: short clips whose truth is known, written as ordinary video files.

``generate(out)`` makes one; :mod:`avssl.world.truth` reads what is true of a clip.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

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
    *,
    train: int = 1600,
    validation: int = 128,
    test: int = 300,
    seed: int = 0,
    preset: str = "default",
    size: int = 128,
    fps: int = 25,
    rate: int = 16000,
    frames: int = 88,
    scenes: Mapping[str, float] | None = None,
    motions: Mapping[str, float] | None = None,
    workers: int | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> None:
    """Make a world in the folder ``out``, or continue one that was begun there with the same settings.

    Args:
        out: gets ``train/``, ``validation/`` and ``test/`` with ``clip_00000.mp4`` and its truth
            ``clip_00000.json`` …, and ``world.json`` with all settings.
        train: training clips.
        validation: validation clips.
        test: test clips.
        seed: another seed, another world; the same seed, the same bytes of truth.
        preset: shares of scenes and motions by name, of ``PRESETS``.
        size: side of the picture in pixels.
        fps: frames a second.
        rate: sound samples a second.
        frames: frames a clip.
        scenes: shares of scenes by name (of ``SCENES``) instead of the preset's.
        motions: shares of motions instead of the preset's.
        workers: processes; by default one for each core.
        progress: called with the clips done and the clips of the whole world.

    Raises:
        UserError: for settings that make no world, or a folder that holds something else.
    """
    from avssl.world.build import build

    settings = Settings(train, validation, test, seed, preset, size, fps, rate, frames, scenes, motions)
    build(Path(out), settings, workers, progress)


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
