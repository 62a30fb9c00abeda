"""A leak planted for each control, to see whether it would be caught on these data.

"No control beats chance" means something only where a control that has something to find does beat it. The puzzles
are those of the data; into what one control sees a mark is put that tells the answer, and the control is trained on
them for a moment, by the trainer and judged as in every run.
"""

from __future__ import annotations

import copy
import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor

from avssl.evaluate.pretext.predictions import accuracy_row, held_out_keys, judge
from avssl.experiment.audit.findings import Finding, Verdict
from avssl.media.facts import Media
from avssl.samplers.keys import Key
from avssl.tasks.base import Batch, Task
from avssl.trainer.loop import fit
from avssl.trainer.options import TrainOptions
from avssl.trainer.plan import TaskPlan

POOL = 256
"""Puzzles that a control is trained on, again and again."""
JUDGED = 128
STEPS = 40
_BATCH = 32

WORDS = {
    "vision-only": "a mark in the picture of pairs that belong together",
    "audio-only": "a click in the sound of pairs that belong together",
    "shuffled-labels": "labels that are not shuffled, and a mark that tells them",
    "single-frame": "a mark in the middle frame of right orders",
    "outer-frames": "a mark in the last frame of right orders",
}
"""Control → what is planted for it; another control gets a mark in whatever it sees."""

Plant = Callable[[Batch], None]
"""Changes a batch in place, by its ``label``."""


class Drawn:
    """Puzzles of a task drawn once: all its controls are taught and judged on the same ones."""

    def __init__(self, task: Task, train: Media, test: Media, seed: int) -> None:
        self.task, self.seed = task, seed
        self.train, self.test = train, test
        self._known: dict[tuple[int, int], Any] = {}

    def puzzle(self, media: Media, key: Key) -> Any:
        """The puzzle of a key; training keys come round again after :data:`POOL`."""
        if key.epoch >= 0:
            key = Key(self.seed, 0, key.index % POOL)
        place = (key.epoch, key.index)
        if place not in self._known:
            self._known[place] = self.task.draw(media, key)
        return self._known[place]

    def prepare(self, done: Callable[[int], None] = lambda count: None) -> None:
        """Draw all of them; ``done`` is told how many are."""
        for count, index in enumerate(range(POOL), 1):
            self.puzzle(self.train, Key(self.seed, 0, index))
            done(count)
        for count, key in enumerate(held_out_keys(self.seed, JUDGED), POOL + 1):
            self.puzzle(self.test, key)
            done(count)


def caught(name: str, control: Task, drawn: Drawn, *, steps: int = STEPS) -> Finding:
    """Plant a leak for one control, train it, and say whether it lies above chance on held-out puzzles.

    Args:
        name: of the control.
        control: one of ``drawn.task.controls()``; its puzzles are those of ``drawn``, whose labels are true.
        steps: optimizer steps of 32 puzzles.
    """
    assert control.classes is not None
    marked = _planted(control, drawn, plant_for(name))
    options = TrainOptions(
        steps=steps,
        batch_size=_BATCH,
        seed=drawn.seed,
        workers=0,
        device="cpu",
        precision="fp32",
        warmup_steps=steps // 6,
    )
    network = fit([TaskPlan(marked, drawn.train)], options, None, say=_nothing, progress="none").networks[control.name]
    keys = held_out_keys(drawn.seed, JUDGED)
    judgement = judge(marked, [network], drawn.test, keys)[0]
    row = accuracy_row(name, judgement, chance=1 / control.classes, seed=drawn.seed)
    chance = 1 / control.classes
    words = WORDS.get(name, "a mark in what this control sees")
    verdict: Verdict = "caught" if row.low > chance else "blind"
    if verdict == "blind" and row.value > (1 + chance) / 2:
        verdict = "too few"  # it sees the leak, and no interval over so few sources lies above chance
        words += f"; with {row.clusters} test sources no interval can show it"
    return Finding(
        f"{control.name}: {name}",
        row.value,
        row.low,
        row.high,
        chance,
        verdict,
        "planted",
        row.n,
        words,
    )


def plant_for(name: str) -> Plant:
    """What is planted for a control of this name."""
    if name == "audio-only":
        return click
    if name == "outer-frames":
        return lambda batch: mark(batch, slots=[-1])
    if name == "shuffled-labels":
        return lambda batch: mark(batch, slots=[1])
    return mark


def mark(batch: Batch, slots: Sequence[int] | None = None) -> None:
    """Stripes in a corner, whose direction and width tell the class; none for class 0.

    Args:
        slots: of pictures that are shown in a row, which are marked; None: all.
    """
    label = batch["label"]
    if "frames" in batch:
        frames = batch["frames"]
        for row, k in enumerate(label.tolist()):
            if k:
                pictures = frames[row]
                chosen = [pictures] if pictures.ndim == 3 else [pictures[slot] for slot in _of(slots, len(pictures))]
                for picture in chosen:
                    _stripe(picture, k)
    elif "patches" in batch:
        # The last place of a pair; of more places two, which tell two digits.
        for row, k in enumerate(label.tolist()):
            places = batch["chosen"][row]
            digits = [k] if len(places) == 2 else [k // 10, k % 10]
            for place, digit in zip(places.flip(0).tolist(), digits, strict=False):
                _stripe(batch["patches"][place], digit)


def click(batch: Batch) -> None:
    """20 ms of noise at the start of the sound of class 1."""
    wave = batch["waveform"]
    length = max(1, wave.shape[-1] // 50)
    noise = torch.from_numpy(np.random.default_rng(0).uniform(-0.5, 0.5, length).astype(np.float32))
    wave[batch["label"] > 0, :length] += noise


# --- how ------------------------------------------------------------------------------------------------


def _planted(control: Task, drawn: Drawn, plant: Plant) -> Task:
    """The control on drawn puzzles, with a leak: held-out ones, so that nothing hides the mark and labels are true."""
    kind = type(control)

    class Planted(kind):  # type: ignore[misc, valid-type]
        def length(self, media: Media) -> int:
            return POOL

        def fit_statistics(self, media: Media, seed: int) -> None:
            """They were learned before."""

        def draw(self, media: Media, key: Key) -> Any:
            return drawn.puzzle(media, key)

        def collate(self, puzzles: Sequence[Any]) -> Batch:
            batch: Batch = super().collate(puzzles)
            plant(batch)
            return batch

    planted = copy.copy(control.held_out())
    planted.__class__ = Planted
    return planted


def _of(slots: Sequence[int] | None, count: int) -> Sequence[int]:
    return range(count) if slots is None else [slot for slot in slots if -count <= slot < count] or [0]


def _stripe(picture: Tensor, k: int) -> None:
    """Put stripes into the upper left quarter of a picture, uint8 (3, h, w), in place."""
    side = max(4, min(picture.shape[-2:]) // 3)
    down, right = np.mgrid[:side, :side]
    angle, period = math.pi * (k % 5) / 5, 4.0 if k % 10 < 5 else 8.0
    wave = np.sin(2 * math.pi * (down * math.sin(angle) + right * math.cos(angle)) / period)
    picture[:, :side, :side] = torch.from_numpy((128 + 110 * wave).astype(np.uint8))


def _nothing(line: str) -> None:
    """The page tells what there is to tell."""
