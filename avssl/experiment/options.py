"""Options that every training has, and how they are resolved."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import MISSING, dataclass, fields
from pathlib import Path
from typing import Any, Literal

import yaml

from avssl.experiment.data import DataOptions
from avssl.experiment.places import absolute_source
from avssl.experiment.sources import BEFORE
from avssl.options import Values, check_bounds, option, options_of, resolve
from avssl.system.console import log
from avssl.trainer.options import TrainOptions

MULTI_TASK = "multi-task"
DEFAULT_STEPS = 1000  # where no --steps, --epochs or --minutes is given

# Options of which one is given; one that is asked for by name overrides another of them in the YAML file.
BUDGET = ("steps", "epochs", "minutes")


@dataclass(frozen=True)
class FolderOptions:
    """Where a training goes, and what it begins with."""

    out: str | None = option(None, "folder of the run (default: runs/TASK)", metavar="RUN")
    config: str | None = option(None, "YAML file of options; flags override it", metavar="YAML")
    init: str | None = option(
        None, "start from the encoders of a run, or from weights of timm or torchvision", metavar="RUN"
    )


@dataclass(frozen=True)
class DryOptions:
    """Whether anything is done at all."""

    dry_run: bool = option(
        False, "say what would be done: items, what is left out, disk, memory, steps and time; write no run"
    )


@dataclass(frozen=True)
class ControlOptions:
    """What comes after training."""

    controls: bool = option(True, "train the controls and evaluate all on held-out puzzles (results/controls.json)")
    control_steps: int | None = option(None, "steps of each control (default: half of the training's)", low=0)
    control_puzzles: int = option(1024, "held-out puzzles that all are evaluated on", low=1)

    def check(self) -> None:
        """Raise :class:`UserError` for values that make no sense."""
        check_bounds(self)


@dataclass(frozen=True)
class MultiTaskOptions:
    """How the tasks go together."""

    tasks: tuple[str, ...] = option((), "the tasks, two or more; the first builds the encoders")
    mix: Literal["alternating", "joint"] = option(
        "alternating", "a batch of one task a step in turn, or of every task at every step, gradients summed"
    )
    weights: tuple[float, ...] = option(
        (),
        "one a task: alternating tasks take turns in this proportion, joint losses are multiplied by it; "
        "by default all weigh the same",
    )
    statistics: Literal["own", "shared"] = option(
        "own",
        "running statistics of a shared encoder's batch norms: each task's own, or mixed over all, "
        "which fit none in evaluation; encoders with norm group have none",
    )
    all_grey: bool = option(False, "every task's pictures in grey, so that all tasks see the same kind of input")
    by_chance: bool = option(True, "divide each loss by its value at chance, so that all start near 1")


# Options that every training has; their order is that of config.yaml.
COMMON = (DataOptions, TrainOptions, ControlOptions)


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


def config_of(values: Values, *classes: type[Any], also: Iterable[str] = ()) -> dict[str, Any]:
    """The values of the fields of dataclasses and of further options as ``config.yaml`` keeps them.

    Places are absolute there, so that they hold wherever it is read; tuples are lists, as YAML has no others.
    """
    found: dict[str, Any] = {}
    for name in (*(field.name for cls in classes for field in fields(cls)), *also):
        found[name] = list(values[name]) if isinstance(values[name], tuple) else values[name]
    places = {name: absolute_source(found[name]) for name in ("data", "test", "init") if found.get(name) is not None}
    return found | places


def defaults_of(*classes: type[Any], section: str = "") -> dict[str, Any]:
    """Defaults of options dataclasses by dotted key, as :class:`~avssl.trainer.run_folder.RunFolder` takes them."""
    before = f"{section}." if section else ""
    return {f"{before}{f.name}": f.default for cls in classes for f in fields(cls) if f.default is not MISSING}


def keep_division(values: Values, out: Path, defaults: dict[str, Any]) -> None:
    """A run from before sources were found goes on, and is repeated by its config, as it was divided.

    Args:
        values: changed where nothing is asked.
        out: folder of the run.
        defaults: as :func:`defaults_of` gives them; changed for such a run.
    """
    own, config = _config_of_run(values, out)
    if own and "compile" in config and "compile" not in values.given:
        values["compile"] = config["compile"]  # another default would compute other last bits
    if config and "sources" not in config:
        if own:
            defaults["sources"] = BEFORE
        if "sources" not in values.given:
            values["sources"] = BEFORE


def keep_earlier(
    task: type[Any], own: Values, values: Values, out: Path, defaults: dict[str, Any], section: str = ""
) -> None:
    """A run that was made with defaults of earlier versions goes on, and is repeated by its config, with them.

    Args:
        task: the options of a task.
        own: their values; changed where nothing is asked.
        values, out, defaults: as :func:`keep_division` takes them.
        section: the name of the task in a config of several.
    """
    _, config = _config_of_run(values, out)
    if not config:
        return
    there = config.get(section, {}) if section else config
    for one in options_of(task):
        if not one.has_earlier:
            continue
        defaults[f"{section}.{one.name}" if section else one.name] = one.earlier
        asked = one.name in own.given or own[one.name] != one.default
        if not asked and there.get(one.name, one.earlier) == one.earlier:
            own[one.name] = one.earlier


def _config_of_run(values: Values, out: Path) -> tuple[bool, dict[str, Any]]:
    """Whether the folder holds a run, and its config; else that of another run, where --config names one; else {}."""
    own = out / "config.yaml"
    for path in (own, Path(values["config"] or "")):
        try:
            config = yaml.safe_load(path.read_text(encoding="utf-8")) if path.is_file() else None
        except (OSError, UnicodeDecodeError, yaml.YAMLError):
            continue  # whoever needs it says what is wrong
        # The config of a run has every option there was; one that people write has a few, and asks for what is new.
        if isinstance(config, dict) and (path == own or config.keys() >= {"task", "source_column", "prepare_gb"}):
            return path == own, config
    return False, {}
