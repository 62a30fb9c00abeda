"""``avssl show``: a sheet of puzzles for people to solve."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from avssl.cli.command import Command
from avssl.cli.tasks import split_task
from avssl.errors import UserError
from avssl.experiment.options import MULTI_TASK
from avssl.experiment.show import ShowOptions, show
from avssl.options import options_of
from avssl.system.console import counted, log
from avssl.tasks.registry import options_class, summary

WHAT = """Draw puzzles as the network is fed them, on a sheet for people:
can you do the puzzle, and is there a shortcut?
With --run the puzzles are held-out ones, with the trained network's predictions beside the labels."""
EXAMPLE = """  avssl show {task} -o sheet.png
  avssl show {task} --data videos/ --count 32
  avssl show {task} --data videos/ --run runs/mine -o answers.png"""


def run(argv: Sequence[str]) -> None:
    """Draw the sheet."""
    if argv and argv[0] == MULTI_TASK:
        raise UserError("a run of several tasks is shown a task at a time: avssl show TASK --run RUN, TASK one of them")
    name, words = split_task(argv, "avssl show", WHAT, EXAMPLE.format(task="av-correspondence"))
    command = Command(f"avssl show {name}", f"{summary(name)}\n\n{WHAT}", EXAMPLE.format(task=name))
    common = options_of(ShowOptions)
    # A task may have an option of the same name: of a sheet it is the sheet's.
    own = options_of(options_class(name), skip={option.name for option in common})
    command.add(common)
    command.add(own, f"options of {name}")
    values = command.parse(words)
    options = values.build(ShowOptions)
    sheet = show(name, options, {o.name: values[o.name] for o in own if o.name in values.given})
    from avssl.report.pictures import save_picture  # Pillow: not for help

    save_picture(sheet.image, Path(options.output))
    log(f"{options.output}: {counted(sheet.count, 'puzzle')} of {name}")
