"""Options that every training has, and the run folder that they are kept in."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import ExitStack
from dataclasses import MISSING, dataclass, fields
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from avssl.experiment.data import DataOptions, absolute_source
from avssl.options import check_bounds, option
from avssl.trainer.options import TrainOptions

if TYPE_CHECKING:
    from avssl.trainer.run_folder import RunFolder


@dataclass(frozen=True)
class ControlOptions:
    """What comes after training."""

    controls: bool = option(True, "train the controls and evaluate all on held-out puzzles (results/controls.json)")
    control_steps: int | None = option(None, "steps of each control (default: half of the training's)", low=0)
    control_puzzles: int = option(1024, "held-out puzzles that all are evaluated on", low=1)

    def check(self) -> None:
        """Refuse values that make no sense.

        Raises:
            UserError: names the option.
        """
        check_bounds(self)


COMMON = (DataOptions, TrainOptions, ControlOptions)
"""Options that every training has."""

MULTI_TASK = "multi-task"


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


AUDITED_ITEMS = 1000
"""Of so many items an audit measures all, of more a sample drawn from its seed."""

DEFAULT_STEPS = 1000
"""Of a training for which no --steps, --epochs or --minutes is given."""


def absolute(config: dict[str, Any]) -> dict[str, Any]:
    """A config whose paths hold wherever it is read."""
    for name in ("data", "test", "init"):
        if config.get(name) is not None:
            config[name] = absolute_source(config[name])
    return plain(config)


def defaults_of(*classes: type[Any], section: str = "") -> dict[str, Any]:
    """Defaults of options dataclasses by dotted key, as :func:`open_folder` takes them."""
    before = f"{section}." if section else ""
    return {f"{before}{f.name}": f.default for cls in classes for f in fields(cls) if f.default is not MISSING}


def open_folder(out: Path, config: dict[str, Any], stack: ExitStack, defaults: dict[str, Any]) -> RunFolder:
    """The run folder, open until the stack is left."""
    from avssl.trainer.run_folder import NO_MATTER, RunFolder

    may_differ = (*NO_MATTER, "device", "controls")
    return stack.enter_context(RunFolder(out, config, may_differ=may_differ, defaults=defaults))


def plain(values: Mapping[str, Any]) -> dict[str, Any]:
    """Values as YAML says them: tuples become lists."""
    return {name: list(value) if isinstance(value, tuple) else value for name, value in values.items()}
