"""The options of a run, and its saved encoders, read from its folder without importing torch."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import yaml

from avssl.errors import UserError, did_you_mean

# Options that may differ when a run is continued: they do not change what it computes.
NO_MATTER = ("workers", "out", "log_to")
NO_RUN = "holds no run (there is no config.yaml in it)"


def refuse_no_run(folder: Path) -> None:
    """Raise UserError if it is no folder, or holds neither the config of a run nor encoders."""
    if folder.parts[:1] == ("hf:",):
        name = f"hf://{'/'.join(folder.parts[1:])}"
        raise UserError(f"{name} is on a hub; this needs a run on this disk, or in Python avssl.encoder({name!r})")
    if not folder.is_dir():
        raise UserError(f"{folder} is no folder; give the folder of a run, such as runs/quickstart")
    if not (folder / "config.yaml").exists() and not any((folder / "encoders").glob("*.json")):
        raise UserError(f"{folder} {NO_RUN}; give the folder of one")


def read_config(folder: Path) -> dict[str, Any]:
    """The options of a run, as its ``config.yaml`` has them; UserError if there is no run."""
    refuse_no_run(folder)
    try:
        config = yaml.safe_load((folder / "config.yaml").read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise UserError(f"{folder} {NO_RUN}; give the folder of one") from None
    except (OSError, ValueError, RecursionError, yaml.YAMLError):
        raise UserError(f"{folder / 'config.yaml'} cannot be read; copy it again from the run") from None
    if not isinstance(config, dict) or not isinstance(config.get("task"), str):
        raise UserError(f"{folder / 'config.yaml'} names no task; copy it again from the run")
    several = config.get("tasks", [])
    if config["task"] == "multi-task" and not (several and isinstance(several, list)):
        raise UserError(f"{folder / 'config.yaml'} names no tasks; copy it again from the run")
    return config


def config_of_task(config: dict[str, Any], folder: Path, task_name: str | None) -> dict[str, Any]:
    """The options of one task of the run, as if it had been trained alone: a run of several has a section for each."""
    name = str(config["task"])
    several = config.get("tasks") if name == "multi-task" else None
    if not isinstance(several, list):
        if task_name is not None and name != task_name:
            raise UserError(f"{folder} is a run of {name}, not of {task_name}; give a run of that task")
        return config
    if task_name is None or task_name not in several:
        asked = "" if task_name is None else f", not of {task_name}"
        raise UserError(f"{folder} is a run of {' and '.join(map(str, several))}{asked}; name one of them")
    section: dict[str, Any] = config.get(task_name, {})
    return {key: value for key, value in config.items() if key not in several} | section | {"task": task_name}


def encoder_names(run: Path) -> list[str]:
    """Names of the encoders that a run has saved ("vision", "audio"; of several tasks also "vision-TASK").

    Raises:
        UserError: it is no run, or it has saved none yet.
    """
    read_config(run)
    names = sorted(file.stem for file in (run / "encoders").glob("*.json"))
    names = [name for name in names if name.split("-")[0] in ("vision", "audio")]  # a fusion is no encoder
    if not names:
        raise UserError(f"{run} holds no encoders; has its training ended?")
    return names


def check_encoder_name(run: str | Path, name: str, names: Sequence[str]) -> None:
    """Raise UserError if the run has no encoder of this name; it names the nearest of ``names``."""
    if name not in names:
        raise UserError(f"{run} has no encoder called {name!r}{did_you_mean(name, names)}")
