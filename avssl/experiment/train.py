"""``avssl.train``: a training from beginning to end; the command of the same name calls it, too."""

from __future__ import annotations

import shlex
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, fields
from os import PathLike
from pathlib import Path
from typing import TYPE_CHECKING, Any

from avssl.errors import UserError
from avssl.experiment.data import DataOptions, opened, prepared
from avssl.experiment.options import COMMON, MULTI_TASK, ControlOptions, absolute, defaults_of, open_folder
from avssl.experiment.run import Run
from avssl.experiment.settle import (
    keep_division,
    refuse_config_of_another,
    settle,
    training_options,
    values_of,
)
from avssl.experiment.training import Job, train_jobs
from avssl.system.console import headed
from avssl.tasks.base import Task
from avssl.tasks.registry import get, register
from avssl.trainer.options import TrainOptions
from avssl.trainer.plan import Sharing

if TYPE_CHECKING:
    from avssl.trainer.run_folder import RunFolder

AnyTask = str | Task


def train(
    task: AnyTask | Sequence[AnyTask],
    data: str | Path | None = None,
    out: str | Path | None = None,
    *,
    config: str | Path | None = None,
    init: str | Path | None = None,
    command: str | None = None,
    **options: Any,
) -> Run:
    """Train a pretext task, or several on the same encoders, and the controls that show what the accuracy is worth.

    Divides the data by source, prepares them, trains, evaluates the network and its controls on held-out puzzles, draws
    sheet and curves, and writes all of it into the folder of the run, as ``avssl train`` does. The same call again
    continues a run that was stopped.

    Args:
        task: the name of a task, or one made by :func:`avssl.task`; of several the list.
        data: the name of the data: a folder, a table, a tar, a prepared set. None: generated clips.
        out: the folder of the run; by default ``runs/TASK``.
        config: a YAML file of options; those given here override it.
        init: a run whose encoders are started from.
        command: what the result rows name as the command that repeats them; by default ``avssl train --config …``.
        options: every option of the command, with underscores: ``steps=500``, ``fusion="avol"``. For several tasks
            also ``mix``, ``weights`` and those of ``avssl train multi-task``, and for each task the mapping of its
            own options: ``rotation={"side": 64}``.

    Returns:
        the run that was written.

    Raises:
        UserError: an option that is not there or makes no sense; data of which nothing can be used; a run in ``out``
            that was begun with other options or data.
    """
    if data is not None and not isinstance(data, str | PathLike):
        raise UserError(
            "avssl.train wants the name of the data, so that the config.yaml of the run can repeat it; a collection "
            "that is open already goes into avssl.PuzzleDataset"
        )
    places = {"data": data, "out": out, "init": init, "config": config}
    asked = {name: str(place) for name, place in places.items() if place is not None} | options
    if not isinstance(task, str | Task) or task == MULTI_TASK:
        from avssl.experiment.multi_task import request_of_several

        return run_request(request_of_several(() if isinstance(task, str) else task, asked, command))
    return run_request(request_of_one(task, asked, command))


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


def run_request(request: Request) -> Run:
    """Train it: open the folder, make the data ready, fit, evaluate, draw, report."""
    with ExitStack() as stack:
        # A run that is there is compared with what is asked before hours of preparing data; a new one only
        # begins once the data are known to be good.
        there = (request.out / "config.yaml").exists()
        folder = _folder(request, stack) if there else None
        jobs = _jobs(request)
        folder = folder or _folder(request, stack)
        train_jobs(
            jobs, request.options, request.control, folder, request.command, sharing=request.sharing, init=request.init
        )
        return Run(request.out, None if folder.writes else request.config)


def _folder(request: Request, stack: ExitStack) -> RunFolder:
    return open_folder(request.out, dict(request.config), stack, dict(request.defaults))


def _jobs(request: Request) -> list[Job]:
    """Each task with its data, prepared as for the task alone, once all are known to have what they want."""
    several = request.sharing is not None
    seed, need_test = request.options.seed, request.control.controls
    found = []
    for part in request.parts:
        with headed(part.task.name if several else ""):
            found.append(opened(part.task, part.data, seed, need_test=need_test))
    jobs = []
    for part, one in zip(request.parts, found, strict=True):
        with headed(part.task.name if several else ""):
            jobs.append(Job(part.task, prepared(one), part.weight))
    return jobs
