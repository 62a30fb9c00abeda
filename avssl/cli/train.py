"""``avssl train``: the words that were typed as options of :func:`avssl.train`."""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from typing import TYPE_CHECKING

from avssl.cli import multi_task
from avssl.cli.options import Command, options_of
from avssl.cli.tasks import split_task
from avssl.cli.train_options import add_common
from avssl.experiment.options import MULTI_TASK
from avssl.experiment.settle import BUDGET

if TYPE_CHECKING:
    from avssl.tasks.base import Task

WHAT = """Train a pretext task, then the controls that say whether the figure can be believed.
The same command again continues a run that was stopped (Ctrl-C saves), or says that it is finished."""
EXAMPLE = """  avssl train {task} --minutes 5                     on clips it generates, into runs/{task}
  avssl train {task} --data videos/ --out runs/mine --minutes 20
  avssl train {task} --config runs/mine/config.yaml --out runs/again    the same once more"""


def run(argv: Sequence[str]) -> None:
    """Train."""
    if argv and argv[0] == MULTI_TASK:
        multi_task.run(argv[1:])
        return
    several = {MULTI_TASK: multi_task.SUMMARY}
    kind, words = split_task(argv, "avssl train", WHAT, EXAMPLE.format(task="av-correspondence"), several)
    from avssl.experiment.train import train  # loads torch: not for help

    values = command_of(kind).parse(words)
    train(kind.name, command=shlex.join(["avssl", "train", *argv]), **{name: values[name] for name in values.given})


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
