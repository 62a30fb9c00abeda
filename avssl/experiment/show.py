"""Sheets of puzzles for people, as the network gets them; for a run with the network's predictions."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from avssl.errors import UserError, did_you_mean
from avssl.experiment.data import GENERATED, held_out_of, of_split, usable
from avssl.experiment.loading import load_torch
from avssl.experiment.places import open_source, refuse_missing
from avssl.media.selection import column_of
from avssl.options import build, check_options, option
from avssl.system.console import log
from avssl.system.hub import fetched_run, is_hub_run, name_on_hub
from avssl.tasks.registry import options_class
from avssl.trainer.run_config import config_of_task, read_config

if TYPE_CHECKING:
    from PIL.Image import Image
    from torch import nn

    from avssl.media.facts import Media
    from avssl.media.selection import Subset
    from avssl.tasks.base import Task


@dataclass(frozen=True)
class ShowOptions:
    """Which puzzles are shown."""

    data: str | None = option(None, "data, as for avssl train (default: generated clips)", metavar="DATA")
    run: str | None = option(None, "a finished run, or hf://ORG/NAME: its options, and its predictions", metavar="RUN")
    output: str = option("sheet.png", "the picture to write", short="-o", metavar="PNG")
    count: int = option(16, "number of puzzles", low=1)
    seed: int = option(0, "random seed of the puzzles")
    split: str | None = option(None, "only items of this split (default with --run: test, if there is one)")
    augmented: bool = option(
        False, "puzzles as in training: augmented, and without negatives where the task takes them from the batch"
    )


@dataclass(frozen=True)
class Sheet:
    """A picture, and number of puzzles are on it."""

    image: Image
    count: int


def show(task: str, options: ShowOptions, task_options: Mapping[str, Any]) -> Sheet:
    """The sheet of a task.

    Args:
        task: its name.
        options: which puzzles.
        task_options: options of the task that are not by default.

    Raises:
        UserError: options of the task beside a run, which decides them; nothing usable in the data.
    """
    # Puzzles of other options are not those that the network has learned.
    if options.run is not None and task_options:
        raise UserError(f"--{min(task_options).replace('_', '-')} is decided by --run; leave it out")
    refuse_missing(options.data)
    if options.run is not None:
        run = Path(fetched_run(options.run))
        config_of_task(read_config(run), run, task)
        load_torch()
        from avssl.evaluate.data.pushed_heads import FOLDER

        without_heads = is_hub_run(options.run) and not (run / FOLDER).is_dir()
        return _puzzles_of(task, run, options) if without_heads else _answers(task, str(run), options)
    # Refuses what is wrong before torch is loaded.
    check_options(build(options_class(task), task_options, f"{task}: "))
    load_torch()
    from avssl.experiment.dataset import task as make_task

    return _puzzles(make_task(task, **task_options), options)


def _puzzles_of(name: str, run: Path, options: ShowOptions) -> Sheet:
    """Puzzles with the options of a run that was pushed by a version that left heads behind: without predictions."""
    from avssl.evaluate.data.load_run import run_tasks

    log("this run was pushed without its heads: the sheet is without predictions; avssl push uploads them now")
    return _puzzles(next(task for task in run_tasks(run) if task.name == name), options)


def _puzzles(task: Task, options: ShowOptions) -> Sheet:
    from avssl.samplers.keys import Key

    media = _only(_usable(task, options.data), options.split)
    shown = task if options.augmented else task.held_out()
    # Epoch 0, as the first that a training draws.
    puzzles = _distinct(shown, media, [Key(options.seed, 0, index) for index in range(options.count)])
    return Sheet(shown.sheet(puzzles), len(puzzles))


def _answers(name: str, path: str, options: ShowOptions) -> Sheet:
    """Held-out puzzles with the network's predictions."""
    from avssl.evaluate.data.load_run import open_run
    from avssl.evaluate.pretext.predictions import held_out_keys

    run = open_run(path, name)  # the weights that were kept, the last or the best
    media: Media
    # Unless told otherwise, what the run has not learned from.
    own = run.config.get("test") or run.config.get("data")
    elsewhere = own is not None and name_on_hub(run.path) is not None  # then it is a name without a folder
    if options.data is None and options.split is None and not elsewhere:
        media = held_out_of(run)
    else:
        found = _usable(run.task, options.data or (None if elsewhere else own))
        media = _only(found, options.split) if options.split else of_split(found, "test") or found
    task = run.task.held_out()
    puzzles = _distinct(task, media, held_out_keys(options.seed, options.count))
    return Sheet(answered_sheet(task, run.network, puzzles), len(puzzles))


def answered_sheet(task: Task, network: nn.Module, puzzles: Sequence[Any]) -> Image:
    """The sheet of some puzzles with the network's predictions."""
    import torch

    device = next(network.parameters()).device
    batch = {
        name: value.to(device) if isinstance(value, torch.Tensor) else value
        for name, value in task.collate(puzzles).items()
    }
    with torch.no_grad():
        answers = task.answers(network, batch)
    # A network that was trained in bf16 answers in it, which NumPy does not know.
    answers.scores, answers.truth = answers.scores.float().cpu(), answers.truth.cpu()
    return task.sheet(puzzles, answers)


def _usable(task: Task, source: str | None) -> Subset:
    return usable(open_source(source), task, source or GENERATED)


def _distinct(task: Task, media: Media, keys: Sequence[Any]) -> list[Any]:
    from avssl.evaluate.pretext.predictions import distinct

    return distinct(task, [task.draw(media, key) for key in keys])


def _only(media: Subset, split: str | None) -> Subset:
    if split is None:
        return media
    part = of_split(media, split)
    if part is None:
        there = sorted({str(name) for name in column_of(media, "split") if name is not None})
        raise UserError(f"no usable item is of split {split!r}{did_you_mean(split, there) if there else ''}")
    return part
