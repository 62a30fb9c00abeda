"""What is asked of a training, every option settled, before anything is opened."""

from __future__ import annotations

import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

from avssl.errors import UserError
from avssl.experiment.data import DataOptions
from avssl.experiment.options import COMMON, ControlOptions, absolute, defaults_of
from avssl.experiment.settle import (
    keep_division,
    refuse_config_of_another,
    settle,
    training_options,
    values_of,
)
from avssl.tasks.base import Task
from avssl.tasks.registry import get, register
from avssl.trainer.options import TrainOptions
from avssl.trainer.plan import Sharing

AnyTask = str | Task


@dataclass(frozen=True)
class Part:
    """A task of a training, where its data are, and its weight beside other tasks."""

    task: Task
    data: DataOptions
    weight: float = 1.0


@dataclass(frozen=True)
class Request:
    """A training of which every option is settled.

    Attributes:
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


def request_of_one(task: AnyTask, asked: Mapping[str, Any], command: str | None = None) -> Request:
    """The training of one task with these options, all others by default."""
    kind = get(task) if isinstance(task, str) else known(task)
    values = settle(asked, (*COMMON, kind.Options))
    refuse_config_of_another(values, kind.name)
    if isinstance(task, Task):
        decided = {field.name for field in fields(kind.Options)} & values.given
        if decided:
            raise UserError(f"{min(decided)} is an option of the task, which is made already; give it to avssl.task")
        values.update({field.name: getattr(task.options, field.name) for field in fields(kind.Options)})
    options, control = training_options(values)
    out, defaults = Path(values["out"] or f"runs/{kind.name}"), defaults_of(*COMMON, kind.Options)
    keep_division(values, out, defaults)
    return Request(
        parts=[Part(kind(values.build(kind.Options)), values.build(DataOptions))],
        options=options,
        control=control,
        out=out,
        config=absolute({"task": kind.name} | values_of(values, *COMMON, kind.Options, also=["init"])),
        defaults=defaults,
        init=values["init"],
        command=command or repeat_command(kind.name, out),
    )


def known(task: Task) -> type[Task]:
    """The class of a task object, which the folder of a run will name.

    Raises:
        UserError: another task has its name.
    """
    try:
        return register(type(task))
    except ValueError as error:
        raise UserError(str(error)) from None


def repeat_command(name: str, out: Path) -> str:
    """The command that repeats a run from its own config."""
    return shlex.join(["avssl", "train", name, "--config", str(out / "config.yaml"), "--out", "RUN"])
