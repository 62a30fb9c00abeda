"""A leak planted for each control, to see whether the control catches it on these data.

"No control beats chance" means something only where a control that has something to find does beat it. The puzzles
are those of the data; into what one control sees a mark is put that tells the answer, and the control is trained on
them for a moment, by the trainer and evaluated as in every run.

A puzzle without classes keeps its shuffled answers in training, and there the mark tells the wrong label that is
learned: what is right of held-out pictures can then be learned from the mark alone (:mod:`.nearer` says what is right).
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import torch
from torch import nn

from avssl.evaluate.core.rows import Context, ResultRow
from avssl.evaluate.pretext.pairs import CANDIDATES, in_blocks, match
from avssl.evaluate.pretext.predictions import accuracy_row, held_out_keys, predict
from avssl.experiment.audit.findings import Finding, Verdict
from avssl.experiment.audit.marks import Leak, Plant, leak_for
from avssl.experiment.audit.nearer import is_known, nearer
from avssl.media.facts import Media
from avssl.samplers.keys import Key
from avssl.system.console import quiet
from avssl.tasks.base import Answers, Batch, Task
from avssl.tasks.instance_contrast.task import InstanceContrast
from avssl.tasks.video_colorization.task import Cells
from avssl.trainer.loop import fit
from avssl.trainer.options import TrainOptions
from avssl.trainer.plan import TaskPlan

POOL = 256  # Puzzles that a control is trained on, again and again
EVALUATED = 128
STEPS = 40  # of 32 puzzles each: the pool five times
_BATCH = 32


def can_be_planted(task: Task) -> bool:
    """Whether it is known how to put a puzzle's answer into what is seen of it."""
    return task.classes is not None or isinstance(task, InstanceContrast) or is_known(task)


class Drawn:
    """Puzzles of a task drawn once: all its controls are trained and evaluated on the same ones."""

    def __init__(self, task: Task, train: Media, test: Media, seed: int) -> None:
        self.task, self.seed = task, seed
        self.train, self.test = train, test
        # A task without classes is trained on permuted targets, as its control is.
        self._trained = copy.copy(task)
        self._trained.shuffled = task.classes is None
        # Of two views its control sees different pictures when it is evaluated, too.
        self._asked = self._trained if isinstance(task, InstanceContrast) else task
        self._known: dict[tuple[int, int], Any] = {}

    def puzzle(self, media: Media, key: Key) -> Any:
        """The puzzle of a key; training keys come round again after :data:`POOL`."""
        training = key.epoch >= 0  # held-out keys have negative epochs
        if training:
            key = Key(self.seed, 0, key.index % POOL)
        place = (key.epoch, key.index)
        if place not in self._known:
            self._known[place] = (self._trained if training else self._asked).draw(media, key)
        return self._known[place]

    def prepare(self, done: Callable[[int], None] = lambda count: None) -> None:
        """Draw all of them; ``done`` is called with how many are drawn."""
        for count, index in enumerate(range(POOL), 1):
            self.puzzle(self.train, Key(self.seed, 0, index))
            done(count)
        for count, key in enumerate(held_out_keys(self.seed, EVALUATED), POOL + 1):
            self.puzzle(self.test, key)
            done(count)


def caught(name: str, control: Task, drawn: Drawn, *, steps: int = STEPS, leak: Leak | None = None) -> Finding:
    """Plant a leak for one control, train it, and say whether it lies above chance on held-out puzzles.

    Args:
        name: of the control.
        control: one of ``drawn.task.controls()``; its puzzles are those of ``drawn``, held-out ones with true answers.
        steps: optimizer steps of 32 puzzles.
        leak: what is planted; None: that of ``name``.
    """
    leak = leak or leak_for(control, name)
    marked = _planted(control, drawn, leak.plant)
    options = TrainOptions(
        steps=steps,
        batch_size=_BATCH,
        seed=drawn.seed,
        workers=0,
        device="cpu",  # on a GPU sums may differ from run to run, and the same seed shall give the same audit
        precision="fp32",
        warmup_steps=steps // 6,
    )
    with quiet():
        network = fit([TaskPlan(marked, drawn.train)], options, None, progress="none").networks[control.name]
    row = _evaluated(name, control.held_out(), marked, network, drawn)
    assert row.chance is not None
    words = leak.words
    verdict: Verdict = "caught" if row.low > row.chance else "blind"
    if verdict == "blind" and row.value > (1 + row.chance) / 2:
        verdict = "too few"  # it sees the leak, and no interval over so few sources lies above chance
        words += f"; with {row.clusters} test sources no interval can show it"
    title = f"{control.name}: {name}"
    return Finding(title, row.value, row.low, row.high, row.chance, verdict, "planted", row.n, words)


def _planted(control: Task, drawn: Drawn, plant: Plant) -> Task:
    """The control on drawn puzzles, with a leak: held-out ones, so that no augmentation hides the mark."""
    kind = type(control)

    class Planted(kind):  # type: ignore[misc, valid-type]
        def length(self, media: Media) -> int:
            return POOL

        def fit_statistics(self, media: Media, seed: int) -> None:
            """They are computed already."""

        def draw(self, media: Media, key: Key) -> Any:
            return drawn.puzzle(media, key)

        def collate(self, puzzles: Sequence[Any]) -> Batch:
            batch: Batch = super().collate(puzzles)
            plant(batch)
            return batch

        def cells(self, batch: Batch) -> Cells:
            """Of video colorization: the colours from before they were written into the frames."""
            if "cells_ab" not in batch:
                found: Cells = super().cells(batch)
                return found
            return Cells(batch["cells_ab"], batch["cells_colour"], batch["cells_moved"])

    # A control is an instance with its own state: only its class is exchanged, for one with the mark.
    planted = copy.copy(control.held_out())
    planted.__class__ = Planted
    return planted


def _evaluated(name: str, control: Task, marked: Task, network: nn.Module, drawn: Drawn) -> ResultRow:
    """The share of right answers, or where there are no classes of those nearer to the truth than a blind one,
    which half of them are by chance; of two views the share that finds its other among those of other pictures."""
    keys = held_out_keys(drawn.seed, EVALUATED)
    chance = 0.5 if marked.classes is None else 1 / marked.classes
    if isinstance(marked, InstanceContrast):
        count = min(CANDIDATES, len(drawn.test))
        keys, chance = in_blocks(keys, len(drawn.test), count), 1 / count
    found = predict(marked, [network], drawn.test, keys, keep=lambda puzzle: puzzle)[0]
    if isinstance(marked, InstanceContrast):
        found = replace(found, answers=match(found.answers.scores, count))
    elif marked.classes is None:
        right = nearer(control, found, drawn.seed)
        found = replace(found, answers=Answers(torch.stack([~right, right], 1).float(), torch.ones(len(right))))
    return accuracy_row(name, found, Context(marked.name, drawn.seed), chance=chance)
