"""``avssl train``: data, training, controls, and where everything lies."""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import fields
from pathlib import Path
from typing import TYPE_CHECKING, Any

from avssl.cli import multi_task
from avssl.cli.options import BUDGET, Command, Values, options_of
from avssl.cli.tasks import split_task
from avssl.cli.train_options import add_common, settle_sources, settled
from avssl.errors import UserError
from avssl.experiment.data import DataOptions, gather
from avssl.experiment.options import COMMON, absolute, defaults_of, open_folder
from avssl.experiment.training import Job, train_jobs
from avssl.system.console import say

if TYPE_CHECKING:
    from avssl.tasks.base import Task

WHAT = """Train a pretext task, then the controls that say whether the figure can be believed.
The same command again continues a run that was stopped (Ctrl-C saves), or says that it is finished."""
EXAMPLE = """  avssl train {task} --minutes 5                     on clips it generates, into runs/{task}
  avssl train {task} --data videos/ --out runs/mine --minutes 20
  avssl train {task} --config runs/mine/config.yaml --out runs/again    the same once more"""


def run(argv: Sequence[str]) -> None:
    """Train."""
    if argv and argv[0] == multi_task.MULTI_TASK:
        multi_task.run(argv[1:])
        return
    several = {multi_task.MULTI_TASK: multi_task.SUMMARY}
    kind, words = split_task(argv, "avssl train", WHAT, EXAMPLE.format(task="av-correspondence"), several)
    values = command_of(kind).parse(words, config="config", extra_keys=["task"])
    if values["task"] not in (None, kind.name):
        raise UserError(f"{values['config']} is of the task {values['task']}, not of {kind.name}")
    options, control = settled(values)
    out = Path(values["out"] or f"runs/{kind.name}")
    defaults = defaults_of(*COMMON, kind.Options)
    settle_sources(values, out, defaults)
    data = values.build(DataOptions)
    task = kind(values.build(kind.Options))
    with ExitStack() as stack:
        # A run that is there is compared with what is asked before hours of preparing data; a new one only
        # begins once the data are known to be good.
        config = config_of(kind, values)
        opened = open_folder(out, config, stack, defaults) if (out / "config.yaml").exists() else None
        parts = gather(task, data, options.seed, say, need_test=control.controls)
        folder = opened or open_folder(out, config, stack, defaults)
        command = shlex.join(["avssl", "train", *argv])
        train_jobs([Job(task, parts)], options, control, folder, command, init=values["init"])


def command_of(kind: type[Task]) -> Command:
    """The command line of ``avssl train TASK``."""
    command = Command(
        f"avssl train {kind.name}",
        f"{kind.summary}\n\n{WHAT}",
        EXAMPLE.format(task=kind.name),
        exclusive=[BUDGET],
    )
    add_common(command, f"runs/{kind.name}")
    command.add(options_of(kind.Options), f"the puzzle and the network of {kind.name}")
    return command


def config_of(kind: type[Task], values: Values) -> dict[str, Any]:
    """Every option that decides what a run computes, as ``config.yaml`` keeps it; paths absolute."""
    names = [field.name for cls in (*COMMON, kind.Options) for field in fields(cls)]
    return absolute({"task": kind.name} | {name: values[name] for name in [*names, "init"]})
