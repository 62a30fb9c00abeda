"""``avssl train``: command-line words to the options of ``avssl.train``."""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from typing import Any

from avssl.cli.command import Command
from avssl.cli.tasks import split_task
from avssl.experiment.data import DataOptions
from avssl.experiment.options import BUDGET, MULTI_TASK, ControlOptions, DryOptions, FolderOptions, MultiTaskOptions
from avssl.experiment.train import train
from avssl.options import Option, options_of
from avssl.tasks.registry import options_class, summary
from avssl.trainer.options import TrainOptions

WHAT = """Train a pretext task, then the controls that show whether its accuracy can be trusted.
The same command again continues a run that was stopped (Ctrl-C saves), or says that it is finished."""
EXAMPLE = """  avssl train {task} --minutes 5                     on clips it generates, into runs/{task}
  avssl train {task} --data videos/ --out runs/mine --minutes 20
  avssl train {task} --config runs/mine/config.yaml --out runs/again    the same once more"""

SEVERAL = "several tasks on the same encoders, in turn or together"
WHAT_OF_SEVERAL = """Train several pretext tasks on the same encoders: one for pictures, one for sound, as each needs.
Each task has its own head, which is put on for its batches, and its own options: flags with the task's
name before them (--relative-position.gap 8), or a section of the YAML file:

  tasks: [relative-position, colorization]
  steps: 2000                     # of all tasks together where they alternate
  data: photos/                   # of all tasks; a section may name other data
  relative-position:
    gap: 8
  colorization:
    side: 64

`avssl train TASK --help` lists the options of a task. A shared encoder is built as the first task named
says. With --init RUN it starts as another run left it: train a task, then others from there.
The same command again continues a run that was stopped, or says that it is finished."""
EXAMPLE_OF_SEVERAL = """  avssl train multi-task --tasks shuffle-learn,av-correspondence --minutes 10
  avssl train multi-task --tasks relative-position,colorization --data photos/ --mix joint --weights 1,0.5
  avssl train multi-task --tasks rotation,av-correspondence --rotation.data photos/ --av-correspondence.data videos/
  avssl show relative-position --run runs/multi-task                 the answers of one of them"""


def run(argv: Sequence[str]) -> None:
    """Train."""
    if argv[:1] == [MULTI_TASK]:
        name, command, words = MULTI_TASK, command_of_several(), argv[1:]
    else:
        first = EXAMPLE.format(task="av-correspondence")
        name, words = split_task(argv, "avssl train", WHAT, first, {MULTI_TASK: SEVERAL})
        command = command_of(name)
    values = command.parse(words)
    # Only what was given: the library settles the rest, from the YAML file or by default, as for a call from Python.
    given: dict[str, Any] = {name: values[name] for name in values.given}
    train(name, command=shlex.join(["avssl", "train", *argv]), **given)


def command_of(name: str) -> Command:
    """The command line of ``avssl train TASK``."""
    example = EXAMPLE.format(task=name)
    command = Command(f"avssl train {name}", f"{summary(name)}\n\n{WHAT}", example, exclusive=[BUDGET])
    # The task's own last: they are what differs from page to page.
    _add_common(command)
    command.add(options_class(name), f"the puzzle and the network of {name}")
    return command


def command_of_several() -> Command:
    """The command line of ``avssl train multi-task``."""
    command = Command(
        f"avssl train {MULTI_TASK}",
        f"{SEVERAL}\n\n{WHAT_OF_SEVERAL}",
        EXAMPLE_OF_SEVERAL,
        exclusive=[BUDGET],
        section=_options_of_task,
    )
    command.add(MultiTaskOptions, "the tasks")
    _add_common(command)
    return command


def _options_of_task(name: str) -> list[Option]:
    return [*options_of(options_class(name)), *options_of(DataOptions)]


def _add_common(command: Command) -> None:
    command.add(DataOptions, "data and results")
    command.add(FolderOptions, "data and results")
    command.add(TrainOptions, "training")
    command.add(ControlOptions, "controls")
    command.add(DryOptions, "data and results")
