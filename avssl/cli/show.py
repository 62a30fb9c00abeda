"""``avssl show``: a sheet on which a person can do the puzzle."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from avssl.cli.options import Command, Option, Values, options_of
from avssl.cli.tasks import split_task
from avssl.errors import UserError
from avssl.experiment.data import DataOptions, held_out_of, of_split, open_source, usable
from avssl.report.pictures import save_picture
from avssl.system.console import say

if TYPE_CHECKING:
    from PIL.Image import Image

    from avssl.media.facts import Media
    from avssl.media.selection import Subset
    from avssl.tasks.base import Task

WHAT = """Draw puzzles as the network is fed them, on a sheet for people:
can you do the puzzle, and is there a shortcut?
With --run the puzzles are held-out ones, with the trained network's answers beside the truth."""
EXAMPLE = """  avssl show {task} -o sheet.png
  avssl show {task} --data videos/ --count 32
  avssl show {task} --data videos/ --run runs/mine -o answers.png"""


def run(argv: Sequence[str]) -> None:
    """Draw the sheet."""
    if argv and argv[0] == "multi-task":
        raise UserError("a run of several tasks is shown a task at a time: avssl show TASK --run RUN, TASK one of them")
    kind, words = split_task(argv, "avssl show", WHAT, EXAMPLE.format(task="av-correspondence"))
    command = Command(f"avssl show {kind.name}", f"{kind.summary}\n\n{WHAT}", EXAMPLE.format(task=kind.name))
    command.add([option for option in options_of(DataOptions) if option.name == "data"])
    command.add(
        [
            Option("run", str | None, None, "a finished run: its options, and its answers", metavar="RUN"),
            Option("output", str, "sheet.png", "where the picture goes", short="-o", metavar="PNG"),
            Option("count", int, 16, "how many puzzles"),
            Option("seed", int, 0, "another seed, other puzzles"),
            Option("split", str | None, None, "only items of this split (default with --run: test, if there is one)"),
            Option(
                "augmented",
                bool,
                False,
                "as training draws them: augmented, and without negatives where the task takes them from the batch",
            ),
        ]
    )
    taken = {"data", "run", "output", "count", "seed", "split", "augmented"}
    command.add(options_of(kind.Options, skip=taken), f"options of {kind.name}")
    values = command.parse(words)
    if values["count"] < 1:
        raise UserError(f"--count ({values['count']}) must be at least 1")
    told = values.given & {option.name for option in options_of(kind.Options)}
    if values["run"] is not None and told:
        raise UserError(f"--{min(told).replace('_', '-')} is decided by --run; leave it out")
    if values["run"] is None:
        image, count = _puzzles(kind(values.build(kind.Options)), values)
    else:
        image, count = _answers(kind.name, values)
    save_picture(image, Path(values["output"]))
    say(f"{values['output']}: {count} puzzles of {kind.name}")


def _puzzles(task: Task, values: Values) -> tuple[Image, int]:
    from avssl.evaluate.pretext.predictions import distinct
    from avssl.samplers.keys import Key

    media = usable(open_source(values["data"], say), task, values["data"] or "the generated world", say)
    media = _only(media, values["split"])
    task = task if values["augmented"] else task.held_out()
    puzzles = distinct(task, [task.draw(media, Key(values["seed"], 0, index)) for index in range(values["count"])])
    return task.sheet(puzzles), len(puzzles)


def _answers(name: str, values: Values) -> tuple[Image, int]:
    """Held-out puzzles with what the network says."""
    import torch

    from avssl.evaluate.data.load_run import open_run
    from avssl.evaluate.pretext.predictions import distinct, held_out_keys

    run = open_run(values["run"], name)
    media: Media
    if values["data"] is None and values["split"] is None:
        media = held_out_of(run, say)
    else:
        source = values["data"] or run.config.get("test") or run.config.get("data")
        found = usable(open_source(source, say), run.task, source or "the generated world", say)
        media = _only(found, values["split"]) if values["split"] else of_split(found, "test") or found
    task = run.task.held_out()
    puzzles = distinct(task, [task.draw(media, key) for key in held_out_keys(values["seed"], values["count"])])
    with torch.no_grad():
        answers = task.answers(run.network, task.collate(puzzles))
    return task.sheet(puzzles, answers), len(puzzles)


def _only(media: Subset, split: str | None) -> Subset:
    if split is None:
        return media
    part = of_split(media, split)
    if part is None:
        raise UserError(f"no usable item is of split {split!r}")
    return part
