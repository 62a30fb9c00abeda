"""A clip to show ``avssl localize`` on when none is named: of the generated world, one that no run has learned from."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import yaml

from avssl.system.console import log
from avssl.system.files import read_json


def example_clip(run: Path) -> Path:
    """The first test clip of the run's world in which one of several objects sounds.

    Where the run has learned from other media: of the default world, which is generated if it is not there.

    Raises:
        UserError: the cache cannot be written.
    """
    clip = _of(_data(run))
    if clip is None:
        from avssl.experiment.default_world import default_world

        clip = _of(default_world())
    assert clip is not None, "every world with test clips of the default kind has one"
    log(f"no video named: {clip}, a generated clip that was held out")
    return clip


def _data(run: Path) -> Path | None:
    try:
        config = yaml.safe_load((run / "config.yaml").read_text(encoding="utf-8"))
        return Path(config["data"])
    except (OSError, yaml.YAMLError, KeyError, TypeError):
        return None  # a run without data of its own learned from the default world


def _of(world: Path | None) -> Path | None:
    if world is None or not (world / "world.json").exists():
        return None
    for path in sorted((world / "test").glob("clip_*.json")):
        truth: dict[str, Any] = read_json(path) or {}
        if truth.get("scene") == "several" and path.with_suffix(".mp4").exists():
            return path.with_suffix(".mp4")
    return None
