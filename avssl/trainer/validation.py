"""Held-out puzzles: the same at every validation, in every run."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn
from torch.utils.data import Dataset

from avssl.errors import UserError
from avssl.media.facts import Media
from avssl.samplers.keys import Key
from avssl.system.console import counted
from avssl.system.intervals import wilson_share
from avssl.tasks.base import Batch, Task
from avssl.trainer.auto import count_of
from avssl.trainer.devices import Precision, moved
from avssl.trainer.distributed import World
from avssl.trainer.feature_figures import MOST_ROWS, Features, Healths, Origin, Watch, origin_of
from avssl.trainer.loader import OnBadFile, Source, load
from avssl.trainer.options import TrainOptions
from avssl.trainer.plan import run_on_keys
from avssl.trainer.seeds import HELD_OUT_SEED, seed_torch
from avssl.trainer.shared_memory import tensor_bytes
from avssl.trainer.transfer import to_host

# Held-out batches are drawn once and kept in memory up to this size (512 MB); larger sets are drawn each time.
KEPT_BYTES = 1 << 29


class HeldOut(NamedTuple):
    """This rank's puzzles of a batch: how many they are, as tensors, and where they come from."""

    size: int
    batch: Batch
    origins: list[Origin]


class Validation:
    """The held-out puzzles of one task.

    Args:
        task: its :meth:`~avssl.tasks.base.Task.held_out` copy.
        media: what they are drawn from.
        options: their number (over all ranks, rounded down to a multiple of these), and how to load them.
    """

    def __init__(self, task: Task, media: Media, options: TrainOptions, world: World) -> None:
        length = task.length(media)
        if length < 1:
            raise UserError(f"{task.name} has no held-out items; give more data, or --test")
        count = max(options.validation_puzzles // world.size, 1) * world.size
        keys = run_on_keys(HELD_OUT_SEED, 0, count, length)
        self._task, self._world, self._workers = task, world, count_of(options)
        source = Source(task, media, length)
        self._data = _HeldOut(source, keys, options.batch_size, options.on_bad_file, world.rank, world.size)
        self._kept: list[HeldOut] | None = None
        self._watch, self._healths = Watch(), Healths(media)

    def measure(self, network: nn.Module, precision: Precision, channels_last: bool) -> dict[str, float]:
        """Loss, measures, accuracy (with its interval) and the health of features in eval mode; ends in train mode.

        Returns:
            {"loss", …measures, "n"}, for puzzles with classes {"accuracy", "low", "high"}, and what
            :class:`~avssl.trainer.feature_figures.Healths` finds.
        """
        found: list[tuple[int, dict[str, Tensor], dict[str, Tensor], Tensor | None]] = []
        all_origins: list[list[Origin]] = []
        answered = watched = 0
        network.eval()
        seed_torch(HELD_OUT_SEED, precision.device)  # for tasks whose loss draws at random
        with self._world.together():
            drawn = self._batches()
        with torch.no_grad(), precision.autocast(), self._watch.on(self._task.features(network)):
            for count, batch, origins in drawn:
                on_device = moved(batch, precision.device, channels_last)
                losses = self._task.loss(network, on_device)
                figures = {**losses.measures, "loss": losses.loss}
                answers = self._task.answers(network, on_device)
                if self._task.classes and answers.scores.ndim == 2 and answers.truth.ndim == 1:
                    figures[_RIGHT] = (answers.scores.argmax(1) == answers.truth).sum()
                    answered += len(answers.truth)
                rows = self._watch.take(count) if count and watched < MOST_ROWS else {}
                watched += count
                positive = self._task.positives(network, on_device) if rows else None
                found.append((count, figures, rows, positive))
                all_origins.append(origins)
        network.train()
        # They come from the device together: asking for one at a time would wait for the GPU as often.
        here, wait = to_host(found)
        wait()
        sums = _summed(here) | ({_ANSWERED: answered} if answered else {})
        means = _means(dict(zip(sums, self._world.total(list(sums.values())), strict=True)))
        features = [
            Features(rows, positive, origins)
            for (_, _, rows, positive), origins in zip(here, all_origins, strict=True)
            if rows
        ]
        return means | self._healths.of(self._world.gathered(features))

    def _batches(self) -> Iterable[HeldOut]:
        if self._kept is not None:
            return self._kept
        if tensor_bytes(self._data[0][1]) * len(self._data) > KEPT_BYTES:
            return self._draw()
        self._kept = list(self._draw())
        return self._kept

    def _draw(self) -> Iterator[HeldOut]:
        return load(self._data, range(len(self._data)), workers=min(self._workers, len(self._data)), pin=False)


@dataclass(frozen=True)
class _HeldOut(Dataset[HeldOut]):
    """Number of a batch → this rank's puzzles of it, and how many they are."""

    source: Source
    keys: list[Key]
    batch_size: int
    on_bad_file: OnBadFile
    rank: int
    size: int

    def __len__(self) -> int:
        return math.ceil(len(self.keys) / self.batch_size)

    def __getitem__(self, number: int) -> HeldOut:
        keys = self.keys[number * self.batch_size : (number + 1) * self.batch_size]
        mine = len(keys) // self.size
        keys = keys[self.rank * mine : (self.rank + 1) * mine]
        task = self.source.task
        puzzles = [self.source.draw(key, self.on_bad_file, []) for key in keys]
        return HeldOut(len(keys), task.collate(puzzles), [origin_of(task, puzzle) for puzzle in puzzles])


def at_chance(task: Task, line: dict[str, Any]) -> str | None:
    """A plain sentence, if this validation does not differ from chance.

    By the accuracy's interval where the puzzle has classes (a network that learned and then overfits may well
    have a loss above chance), else by the loss.
    """
    if task.classes and "accuracy" in line:
        chance = 1 / task.classes
        if not line["low"] <= chance <= line["high"]:
            return None
        seen = f"accuracy {line['accuracy']:.3f} ({line['low']:.3f} to {line['high']:.3f}, chance {chance:.3f})"
    else:
        chance_loss = task.chance_loss()
        if chance_loss is None or line["loss"] < chance_loss - 0.01:
            return None
        seen = f"loss {line['loss']:.4f} (chance {chance_loss:.4f})"
    return (
        f"{task.name} is still at chance after {counted(line['step'], 'step')}: {seen} on {line['n']} held-out puzzles"
    )


_RIGHT, _ANSWERED = "right", "answered"


def _summed(found: Sequence[tuple[int, dict[str, Tensor], Any, Any]]) -> dict[str, float]:
    """Of batches with their number of puzzles the sums of all figures over puzzles, with "n"."""
    sums: Counter[str] = Counter()
    for count, figures, *_ in found:
        sums["n"] += count
        for name, value in figures.items():
            sums[name] += float(value) * (1 if name == _RIGHT else count)  # type: ignore[assignment]
    return dict(sums)


def _means(sums: dict[str, float]) -> dict[str, float]:
    count, right, answered = int(sums.pop("n")), sums.pop(_RIGHT, 0.0), int(sums.pop(_ANSWERED, 0))
    means = {name: value / count for name, value in sums.items()}
    if answered:
        low, high = wilson_share(right / answered, answered)
        means |= {"accuracy": right / answered, "low": low, "high": high}
    return {"loss": means.pop("loss"), **means, "n": count}
