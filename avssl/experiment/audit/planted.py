"""A leak planted for each control, to see whether the control catches it on these data.

"No control beats chance" means something only where a control that has something to find does beat it. The puzzles
are those of the data; into what one control sees a mark is put that tells the answer, and the control is trained on
them for a moment, by the trainer and evaluated as in every run.

A puzzle without classes keeps its shuffled answers in training, and there the mark tells the wrong label that is
learned: what is right of held-out pictures can then be learned from the mark alone.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from avssl.evaluate.core.rows import Context, ResultRow
from avssl.evaluate.pretext.predictions import Predictions, accuracy_row, held_out_keys, predict
from avssl.experiment.audit.findings import Finding, Verdict
from avssl.experiment.audit.marks import Leak, Plant, leak_for
from avssl.media.facts import Media
from avssl.samplers.keys import Key
from avssl.system.console import quiet
from avssl.tasks.base import Answers, Batch, Task
from avssl.tasks.colorization.task import Colorization
from avssl.tasks.inpainting.task import Inpainting
from avssl.trainer.loop import fit
from avssl.trainer.options import TrainOptions
from avssl.trainer.plan import TaskPlan

POOL = 256  # Puzzles that a control is trained on, again and again
EVALUATED = 128
STEPS = 40  # of 32 puzzles each: the pool five times
_BATCH = 32


def can_be_planted(task: Task) -> bool:
    """Whether it is known how to put a puzzle's answer into what is seen of it."""
    return task.classes is not None or isinstance(task, (Colorization, Inpainting))


class Drawn:
    """Puzzles of a task drawn once: all its controls are trained and evaluated on the same ones."""

    def __init__(self, task: Task, train: Media, test: Media, seed: int) -> None:
        self.task, self.seed = task, seed
        self.train, self.test = train, test
        # A task without classes is taught shuffled answers, as its control is.
        self._taught = copy.copy(task)
        if isinstance(self._taught, (Colorization, Inpainting)):
            self._taught.shuffled = True
        self._known: dict[tuple[int, int], Any] = {}

    def puzzle(self, media: Media, key: Key) -> Any:
        """The puzzle of a key; training keys come round again after :data:`POOL`."""
        training = key.epoch >= 0  # held-out keys have negative epochs
        if training:
            key = Key(self.seed, 0, key.index % POOL)
        place = (key.epoch, key.index)
        if place not in self._known:
            self._known[place] = (self._taught if training else self.task).draw(media, key)
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
    row = _evaluated(name, marked, network, drawn)
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

    # A control is an instance with its own state: only its class is exchanged, for one with the mark.
    planted = copy.copy(control.held_out())
    planted.__class__ = Planted
    return planted


def _evaluated(name: str, marked: Task, network: nn.Module, drawn: Drawn) -> ResultRow:
    """The share of right answers, or where there are no classes of those nearer to the truth than a blind one,
    which half of them are by chance."""
    keys = held_out_keys(drawn.seed, EVALUATED)
    found = predict(marked, [network], drawn.test, keys, keep=lambda puzzle: puzzle)[0]
    chance = 0.5 if marked.classes is None else 1 / marked.classes
    if marked.classes is None:
        nearer = torch.from_numpy(_nearer(marked, found))
        answers = Answers(torch.stack([~nearer, nearer], 1).float(), torch.ones(len(nearer)))
        found = replace(found, answers=answers)
    return accuracy_row(name, found, Context(marked.name, drawn.seed), chance=chance)


def _nearer(task: Task, found: Predictions) -> NDArray[np.bool_]:
    """Of each puzzle whether the answer is nearer to the truth than the mean colour or the fill: (n,)."""
    scores, truth = found.answers.scores, found.answers.truth
    if isinstance(task, Colorization):
        predicted = next(iter(task.decodings(scores).values()))
        nothing = torch.tensor(task.mean_colour).view(1, 2, 1, 1)
        asked = torch.ones_like(predicted[:, :1])
    else:
        predicted = scores
        nothing = torch.from_numpy(np.stack([puzzle.filled for puzzle in found.kept])) / 255
        asked = torch.from_numpy(np.stack([puzzle.hole for puzzle in found.kept]))[:, None].float()
    errors = [((answer - truth).square() * asked).sum((1, 2, 3)) for answer in (predicted, nothing)]
    nearer: NDArray[np.bool_] = (errors[0] < errors[1]).numpy()
    return nearer
