"""``avssl train multi-task``: several tasks on the same encoders, each with its own head, data and options."""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from dataclasses import fields
from typing import Any

from avssl.cli.options import Command, options_of
from avssl.cli.train_options import add_common
from avssl.errors import UserError
from avssl.experiment.data import DataOptions
from avssl.experiment.options import MULTI_TASK, MultiTaskOptions
from avssl.experiment.settle import BUDGET
from avssl.tasks.registry import get, names

SUMMARY = "several tasks on the same encoders, in turn or together"
WHAT = """Train several pretext tasks on the same encoders: one for pictures, one for sound, whoever needs them.
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
EXAMPLE = """  avssl train multi-task --tasks shuffle-learn,av-correspondence --minutes 10
  avssl train multi-task --tasks relative-position,colorization --data photos/ --mix joint --weights 1,0.5
  avssl train multi-task --tasks rotation,av-correspondence --rotation.data photos/ --av-correspondence.data videos/
  avssl show relative-position --run runs/multi-task                 the answers of one of them"""


def run(argv: Sequence[str]) -> None:
    """Train several tasks."""
    from avssl.experiment.train import train  # loads torch: not for help

    own, of_tasks = _divided(argv)
    values = command_of().parse(own)
    asked: dict[str, Any] = {name: values[name] for name in values.given}
    asked |= {name: _of_task(name, words) for name, words in of_tasks.items()}
    train(MULTI_TASK, command=shlex.join(["avssl", "train", MULTI_TASK, *argv]), **asked)


def command_of() -> Command:
    """The command line of ``avssl train multi-task``."""
    command = Command(f"avssl train {MULTI_TASK}", f"{SUMMARY}\n\n{WHAT}", EXAMPLE, exclusive=[BUDGET])
    command.add(options_of(MultiTaskOptions), "the tasks")
    add_common(command, f"runs/{MULTI_TASK}")
    return command


# --- how ------------------------------------------------------------------------------------------------


def _divided(argv: Sequence[str]) -> tuple[list[str], dict[str, list[str]]]:
    """What was typed, and of it what is said of single tasks (``--TASK.option value``) as words to each."""
    own: list[str] = []
    of_tasks: dict[str, list[str]] = {}
    at = own
    for word in argv:
        if word.startswith("--"):
            task, dot, _ = word[2:].partition("=")[0].partition(".")
            if dot:
                if task not in names():
                    get(task)  # says what was meant
                at = of_tasks.setdefault(task, [])
                at.append(f"--{word[len(task) + 3 :]}")
                continue
            at = own
        at.append(word)
    return own, of_tasks


def _of_task(name: str, words: Sequence[str]) -> dict[str, Any]:
    """What the words say of one task."""
    kind = get(name)
    command = Command(f"avssl train {MULTI_TASK}, options of {name}:", kind.summary)
    command.add(options_of(DataOptions))
    command.add(options_of(kind.Options, skip={field.name for field in fields(DataOptions)}))
    try:
        values = command.parse(words)
    except UserError as error:
        raise UserError(f"{name}: {error}") from None
    return {option: values[option] for option in values.given}
