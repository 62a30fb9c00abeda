"""The default data: the generated world, made once and cached; and a clip for demonstration."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import yaml

from avssl.errors import UserError
from avssl.system.console import log, progress
from avssl.system.files import cache_folder, locked, read_json
from avssl.world.settings import VERSION, Settings, is_finished

WORLD = Settings()
# Clips of one object and of two or three, of which one sounds: to evaluate on.
LOCALIZATION_WORLD = Settings(train=0, validation=120, test=300, preset="localization")
# The same held-out clips, as earlier versions made them, which trained on a world of its own, too.
_EARLIER = replace(LOCALIZATION_WORLD, train=1400)
# Clips of two or three objects that pass in front of each other; in half of them they look alike.
TRACKING_WORLD = Settings(train=600, validation=40, test=60, preset="tracking", frames=40)


def default_world() -> Path:
    """The folder of the world that is read where no data are named; generates it first if it is not there.

    Raises:
        UserError: the cache cannot be written.
    """
    folder = _folder("default")
    if is_finished(folder, WORLD):
        log(f"no --data: the generated clips in {folder}")
    else:
        _generated(folder, WORLD, "no --data: ")
    return folder


def finished_world() -> Path:
    """The folder of the default world, which is not generated for this.

    Raises:
        UserError: it is not there, or not whole.
    """
    folder = _folder("default")
    if not is_finished(folder, WORLD):
        raise UserError(f"the generated clips are not in {folder} (any more)")
    return folder


def localization_world() -> Path:
    """Held-out clips with several objects, generated if they are not there."""
    earlier = _folder("localization")
    if is_finished(earlier, _EARLIER):
        return earlier
    return _generated(_folder("localization-held-out"), LOCALIZATION_WORLD)


def tracking_world() -> Path:
    """The clips of objects that hide each other, generated if they are not there."""
    return _generated(_folder("tracking"), TRACKING_WORLD)


def _folder(name: str) -> Path:
    return cache_folder() / "world" / f"{name}-{VERSION}"


def _generated(folder: Path, settings: Settings, why: str = "") -> Path:
    from avssl.world.build import generate  # physics and the codec: whoever names data needs neither

    with locked(folder, lambda: log(f"another process is generating {folder}; waiting for it")):
        # Asked within the lock: that process has made it, then.
        if not is_finished(folder, settings):
            # Forty seconds of film a second, on two idle cores
            minutes = max(round(count(settings) * settings.seconds / 40 / 60), 1)
            log(f"{why}generating {count(settings)} clips once, about {minutes} min on two cores, in {folder}")
            with progress("generating", "clip") as on_progress:
                generate(folder, settings, on_progress=on_progress)
    return folder


def count(settings: Settings) -> int:
    """Clips of all parts."""
    return settings.train + settings.validation + settings.test


def example_clip(run: Path) -> Path:
    """A clip to show where none is named: the first test clip of the run's world with several objects, one sounding.

    Where the run has learned from other media: of the default world.

    Raises:
        UserError: the cache cannot be written.
    """
    clip = _test_clip(_data(run)) or _test_clip(default_world())
    assert clip is not None, "every world with test clips of the default kind has one"
    log(f"no video named: {clip}, a generated clip that was held out")
    return clip


def _data(run: Path) -> Path | None:
    try:
        config = yaml.safe_load((run / "config.yaml").read_text(encoding="utf-8"))
        return Path(config["data"])
    except (OSError, yaml.YAMLError, KeyError, TypeError):
        return None  # a run without data of its own learned from the default world


def _test_clip(world: Path | None) -> Path | None:
    if world is None or not (world / "world.json").exists():
        return None
    for path in sorted((world / "test").glob("clip_*.json")):
        truth: dict[str, Any] = read_json(path) or {}
        if truth.get("scene") == "several" and path.with_suffix(".mp4").exists():
            return path.with_suffix(".mp4")
    return None
