"""From what is asked of a training to a value of every option that it has."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

import yaml

from avssl.errors import UserError
from avssl.experiment.options import DEFAULT_STEPS, ControlOptions
from avssl.experiment.sources import BEFORE
from avssl.options import Values, option, options_of, resolve
from avssl.system.console import log
from avssl.trainer.options import TrainOptions

BUDGET = ("steps", "epochs", "minutes")
"""Options of which one is given; one that is asked for by name overrides another of them in the YAML file."""


@dataclass(frozen=True)
class FolderOptions:
    """Where a training goes, and what it begins with."""

    out: str | None = option(None, "folder of the run (default: runs/TASK)", metavar="RUN")
    config: str | None = option(None, "YAML file of options; flags override it", metavar="YAML")
    init: str | None = option(None, "start from a run's encoders, or weights of timm or torchvision", metavar="RUN")


@dataclass(frozen=True)
class DryOptions:
    """Whether anything is done at all."""

    dry_run: bool = option(
        False, "say what would be done: items, what is left out, disk, memory, steps and time; write no run"
    )


def settle(asked: Mapping[str, Any], classes: Iterable[type[Any]], keys: Iterable[str] = ()) -> Values:
    """The value of every option of a training: what is asked for by name, else by its YAML file, else the default.

    Args:
        asked: by name.
        classes: dataclasses whose fields are the options.
        keys: further keys that the YAML file may hold, beside "task"; returned as they are.

    Raises:
        UserError: an option that is not there, with the nearest that is; a value of another type or out of bounds; a
            file that cannot be read.
    """
    every: list[type[Any]] = [FolderOptions, *classes]
    options = {option.name: option for cls in every for option in options_of(cls)}
    return resolve(options.values(), asked, config="config", extra_keys=["task", *keys], exclusive=[BUDGET])


def values_of(values: Values, *classes: type[Any], also: Iterable[str] = ()) -> dict[str, Any]:
    """The values of the fields of dataclasses, in their order, and of further options."""
    names = [field.name for cls in classes for field in fields(cls)]
    return {name: values[name] for name in [*names, *also]}


def refuse_config_of_another(values: Values, name: str) -> None:
    """
    Raises:
        UserError: the YAML file is of another task.
    """
    if values["task"] not in (None, name):
        raise UserError(f"{values['config']} is of the task {values['task']}, not of {name}")


def training_options(values: Values) -> tuple[TrainOptions, ControlOptions]:
    """How to train, and what comes after; a budget is chosen where none is given.

    Raises:
        UserError: a value that makes no sense.
    """
    if all(values[name] is None for name in BUDGET):
        log(f"none of --steps, --epochs and --minutes is given: {DEFAULT_STEPS} steps")
        values["steps"] = DEFAULT_STEPS
    options, control = values.build(TrainOptions), values.build(ControlOptions)
    options.check()
    control.check()
    return options, control


def keep_division(values: Values, out: Path, defaults: dict[str, Any]) -> None:
    """A run from before sources were found goes on, and is repeated by its config, as it was divided.

    Args:
        values: changed where nothing is asked.
        out: folder of the run.
        defaults: as :func:`avssl.experiment.options.open_folder` takes them; changed for such a run.
    """
    own = out / "config.yaml"
    for path in (own, Path(values["config"] or "")):
        try:
            config = yaml.safe_load(path.read_text(encoding="utf-8")) if path.is_file() else None
        except (OSError, UnicodeDecodeError, yaml.YAMLError):
            continue  # whoever needs it says what is wrong
        # The config of a run has every option there was; one that people write has a few.
        if not isinstance(config, dict) or not (
            path == own or config.keys() >= {"task", "source_column", "prepare_gb"}
        ):
            continue
        if path == own and "compile" in config and "compile" not in values.given:
            values["compile"] = config["compile"]  # another default would compute other last bits
        if "sources" not in config:
            if path == own:
                defaults["sources"] = BEFORE
            if "sources" not in values.given:
                values["sources"] = BEFORE
        return
