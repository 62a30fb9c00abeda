"""Loading a task and its trained network from a run folder, for figures and sheets."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any, TypeVar

from torch import nn

from avssl import tasks
from avssl.errors import UserError
from avssl.evaluate.data.pushed_heads import FOLDER, with_heads
from avssl.options import options_of
from avssl.tasks.base import Task
from avssl.trainer.checkpoints import PARTS, Checkpoints
from avssl.trainer.options import TrainOptions
from avssl.trainer.run_config import NO_MATTER, config_of_task, read_config

T = TypeVar("T")

# Options that a person may change in a run's config.yaml: where things lie, and where it is computed
PLACES = (*NO_MATTER, "data", "test", "validation", "index", "init", "device")


@dataclass(frozen=True)
class TrainedTask:
    """A task of a run as it was trained: what was asked, and the network that learned it."""

    path: Path
    config: dict[str, Any]  # every option, as ``config.yaml`` has it
    task: Task  # with its statistics
    network: nn.Module  # in eval mode on the CPU: the last weights or the best, as the run was asked to keep
    options: TrainOptions
    steps: int  # optimizer steps behind the weights' checkpoint
    finished: bool


def open_run(path: str | Path, task_name: str | None = None) -> TrainedTask:
    """Read a run folder.

    Args:
        path: the folder that ``avssl train --out`` named.
        task_name: the task that is wanted, if it matters; of a run of several tasks it must be one of them.

    Raises:
        UserError: no run there, a run of another task, or one that has saved nothing yet.
    """
    folder = Path(path)
    whole = read_config(folder)
    # A run of several tasks has one config; the part of each is as if it had been trained alone
    config = config_of_task(whole, folder, task_name)
    name = str(config["task"])
    options = from_plain(TrainOptions, config)
    checkpoint = Checkpoints(folder / "checkpoints", PARTS).last()
    if checkpoint is None and (folder / FOLDER).is_dir():  # of a hub
        task = next(one for one in run_tasks(folder) if one.name == name)
        network, steps, finished = with_heads(folder, task)
        return TrainedTask(folder, config, task, network, options, steps, finished)
    if checkpoint is None:
        raise UserError(f"{folder} has saved nothing yet; let it train on with: avssl train {name} --out {folder} …")
    _refuse_changed(folder, whole, checkpoint)
    tally = checkpoint["tally"]
    # Encoders are also written when a training is stopped; the curves are drawn only when it is finished.
    if not tally["finished"] and (folder / "curves.png").exists():
        raise UserError(
            f"the last checkpoint of {folder} is missing: its training is finished, and the newest there is of "
            f"step {tally['step']}; copy checkpoints/ again from the run, or continue with: avssl train {name} …"
        )
    task = next(one for one in run_tasks(folder) if one.name == name)
    network = task.network(task.make_encoders())
    weights = _kept(folder, options, checkpoint).get("networks")
    prefix = f"{name}."
    mine = {key.removeprefix(prefix): value for key, value in (weights or {}).items() if key.startswith(prefix)}
    here, there = _shapes(network.state_dict()), _shapes(mine)
    if here != there:
        odd = next(key for key in [*here, *there] if here.get(key) != there.get(key))
        raise UserError(
            f"the checkpoint in {folder} is of another network than its config.yaml builds ({odd} differs); "
            "copy both again from the run"
        )
    network.load_state_dict(mine)
    return TrainedTask(folder, config, task, network.eval(), options, int(tally["step"]), bool(tally["finished"]))


def _shapes(state: Mapping[str, Any]) -> dict[str, Any]:
    return {key: getattr(value, "shape", None) for key, value in state.items()}


def _refuse_changed(folder: Path, config: Mapping[str, Any], checkpoint: Mapping[str, Any]) -> None:
    """The config and what the tasks learned of their data must be those that the checkpoint was trained with.

    Raises:
        UserError: a file has changed since. (Checkpoints of earlier versions do not contain a digest of their config.)
    """
    then = checkpoint.get("config")
    if isinstance(then, dict):
        differing = [
            key for key in {**then, **config} if key not in PLACES and then.get(key, ...) != config.get(key, ...)
        ]
        if differing:
            raise UserError(
                f"{folder / 'config.yaml'} has changed since the training ({differing[0]} differs); "
                "copy it again from the run"
            )
    states = checkpoint.get("tasks")
    for name, state in states.items() if isinstance(states, dict) else ():
        # Through JSON, as the file went: tuples become lists
        if _state(folder, str(name)) != json.loads(json.dumps(state)):
            path = folder / "tasks" / f"{name}.json"
            raise UserError(f"{path} has changed since the training; copy it again from the run")


def run_tasks(path: str | Path) -> list[Task]:
    """The tasks of a run, each with what it learned of its training data; no weights are read.

    Raises:
        UserError: no run there, a task that is not known here, or its state is damaged.
    """
    folder = Path(path)
    whole = read_config(folder)
    found: list[Task] = []
    for name in whole["tasks"] if whole["task"] == "multi-task" else [whole["task"]]:
        task = _task(folder, config_of_task(whole, folder, str(name)))
        task.before = tuple(found)
        found.append(task)
    return found


def _task(folder: Path, config: Mapping[str, Any]) -> Task:
    """The task of a config of one task, with what it learned of its training data."""
    kind = tasks.get(str(config["task"]))
    task = kind(from_plain(kind.Options, config))
    task.grey = bool(config.get("all_grey", False))
    task.load_state(_state(folder, task.name))
    return task


def from_plain(cls: type[T], config: Mapping[str, Any]) -> T:
    """A dataclass of options from the plain values of a config.

    What it lacks came later than the run, or its default did: the run was made with the earliest default there was.
    """
    found: dict[str, Any] = {option.name: option.earlier for option in options_of(cls) if option.has_earlier}
    for field in fields(cls):  # type: ignore[arg-type]
        if field.name in config:
            value = config[field.name]
            found[field.name] = tuple(value) if isinstance(value, list) and isinstance(field.default, tuple) else value
    return cls(**found)


def _state(folder: Path, name: str) -> dict[str, Any]:
    try:
        state = json.loads((folder / "tasks" / f"{name}.json").read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError):
        state = None
    if not isinstance(state, dict):
        raise UserError(f"{folder / 'tasks' / (name + '.json')} is missing or damaged; copy it again from the run")
    return state


def _kept(folder: Path, options: TrainOptions, newest: dict[str, Any]) -> dict[str, Any]:
    """The checkpoint whose weights the run keeps."""
    best = newest["tally"]["best"]
    if options.keep == "best" and best is not None:
        return Checkpoints(folder / "checkpoints", PARTS).load(int(best["step"]))
    return newest
