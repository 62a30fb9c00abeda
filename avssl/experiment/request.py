"""What is asked of a training, every option settled, before anything is opened."""

from __future__ import annotations

import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import TYPE_CHECKING, Any

from avssl.errors import UserError
from avssl.experiment.data import DataOptions, refuse_missing, refuse_unusable
from avssl.experiment.options import COMMON, ControlOptions, absolute, defaults_of
from avssl.experiment.settle import (
    keep_division,
    refuse_config_of_another,
    settle,
    training_options,
    values_of,
)
from avssl.options import check_options
from avssl.tasks.registry import get, options_class
from avssl.trainer.options import TrainOptions
from avssl.trainer.plan import Sharing

if TYPE_CHECKING:
    from avssl.tasks.base import Task

    AnyTask = str | Task


@dataclass(frozen=True)
class Part:
    """A task of a training by its name, its options, where its data are, and its weight beside other tasks."""

    name: str
    options: Any
    data: DataOptions
    weight: float = 1.0


@dataclass(frozen=True)
class Request:
    """A training of which every option is settled.

    Attributes:
        grey: whether all tasks see lightness alone.
        config: every option that decides what it computes, as ``config.yaml`` keeps it.
        defaults: values by dotted key that a run of an earlier version was made with.
        sharing: how several tasks train together; None of a single one.
    """

    parts: Sequence[Part]
    options: TrainOptions
    control: ControlOptions
    out: Path
    config: Mapping[str, Any]
    defaults: Mapping[str, Any]
    init: str | None
    command: str
    sharing: Sharing | None = None
    grey: bool = False

    def check(self) -> None:
        """Refuse what can be seen to be wrong before torch is imported and anything is opened.

        Raises:
            UserError: options that do not go together, or a place that is not there.
        """
        for part in self.parts:
            check_options(part.options)
            refuse_unusable(part.data)
        refuse_missing(self.init)

    def tasks(self) -> list[Task]:
        """The tasks, each knowing those before it."""
        made: list[Task] = []
        for part in self.parts:
            task = get(part.name)(part.options)
            task.grey, task.before = self.grey, tuple(made)
            made.append(task)
        return made


def request_of_one(task: AnyTask, asked: Mapping[str, Any], command: str | None = None) -> Request:
    """The training of one task with these options, all others by default."""
    name = task if isinstance(task, str) else known(task).name
    own = options_class(name)
    values = settle(asked, (*COMMON, own))
    refuse_config_of_another(values, name)
    if not isinstance(task, str):
        decided = {field.name for field in fields(own)} & values.given
        if decided:
            raise UserError(f"{min(decided)} is an option of the task, which is made already; give it to avssl.task")
        values.update({field.name: getattr(task.options, field.name) for field in fields(own)})
    options, control = training_options(values)
    out, defaults = Path(values["out"] or f"runs/{name}"), defaults_of(*COMMON, own)
    keep_division(values, out, defaults)
    return Request(
        parts=[Part(name, values.build(own), values.build(DataOptions))],
        options=options,
        control=control,
        out=out,
        config=absolute({"task": name} | values_of(values, *COMMON, own, also=["init"])),
        defaults=defaults,
        init=values["init"],
        command=command or repeat_command(name, out),
    )


def known(task: Task) -> type[Task]:
    """The class of a task object, which the folder of a run will name.

    Raises:
        UserError: another task has its name.
    """
    from avssl.tasks.registry import register

    try:
        return register(type(task))
    except ValueError as error:
        raise UserError(str(error)) from None


def repeat_command(name: str, out: Path) -> str:
    """The command that repeats a run from its own config."""
    return shlex.join(["avssl", "train", name, "--config", str(out / "config.yaml"), "--out", "RUN"])
