"""Predictions of networks on held-out puzzles."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor, nn

from avssl.evaluate.core.rows import Context, ResultRow
from avssl.media.facts import Media
from avssl.samplers.keys import Key
from avssl.system.console import counting
from avssl.tasks.base import Answers, Task

# Held-out puzzles have an epoch of their own, so that no training key names the same puzzle.
HELD_OUT_EPOCH = -2


@dataclass(slots=True)
class Predictions:
    """What a network answers to ``n`` puzzles."""

    answers: Answers  # scores and truth of all puzzles, on the CPU
    clusters: list[tuple[str, ...]] = field(default_factory=list)  # the sources of each puzzle
    kept: list[Any] = field(default_factory=list)  # what ``keep`` returned for each puzzle

    @property
    def correct(self) -> Tensor:
        """(n,) whether the highest score is the true class."""
        return self.answers.scores.argmax(1) == self.answers.truth


@dataclass(frozen=True)
class HeldOut:
    """The held-out puzzles that networks are evaluated on."""

    media: Media  # that they are drawn from
    puzzles: int  # how many
    seed: int = 0  # of the draw
    device: torch.device | str = "cpu"
    command: str = ""  # what repeats it, for the rows

    def context(self, protocol: str) -> Context:
        """What the rows share."""
        return Context(protocol, self.seed, self.command)

    def keys(self, count: int | None = None) -> list[Key]:
        """The keys of so many puzzles; of all if None."""
        return held_out_keys(self.seed, self.puzzles if count is None else count)

    def predictions(
        self, task: Task, networks: Mapping[str, nn.Module], *, times: int = 1, keep: Callable[[Any], Any] | None = None
    ) -> list[Predictions]:
        """See :func:`predict`, on ``times`` as many puzzles of the task as it is held out."""
        keys = self.keys(self.puzzles * times)
        return predict(task.held_out(), list(networks.values()), self.media, keys, device=self.device, keep=keep)


def held_out_keys(seed: int, count: int) -> list[Key]:
    """The keys of ``count`` held-out puzzles."""
    return [Key(seed, HELD_OUT_EPOCH, index) for index in range(count)]


def distinct(task: Task, puzzles: Sequence[Any]) -> list[Any]:
    """The puzzles, each once: of few still pictures, held-out ones may come round again exactly alike."""
    found: dict[tuple[bytes, ...], Any] = {}
    for puzzle in puzzles:
        values = [value for _, value in sorted(task.collate([puzzle]).items()) if isinstance(value, Tensor)]
        found.setdefault(tuple(value.contiguous().numpy().tobytes() for value in values), puzzle)
    return list(found.values())


@torch.no_grad()
def predict(
    task: Task,
    networks: Sequence[nn.Module],
    media: Media,
    keys: Sequence[Key],
    *,
    device: torch.device | str = "cpu",
    batch_size: int = 64,
    keep: Callable[[Any], Any] | None = None,
) -> list[Predictions]:
    """The predictions of each network on the same puzzles of a ``held_out()`` task, drawn once.

    What ``keep`` returns of each puzzle is kept for later grouping.
    """
    scores: list[list[Tensor]] = [[] for _ in networks]
    truth: list[Tensor] = []
    clusters: list[tuple[str, ...]] = []
    kept: list[Any] = []
    with counting("evaluating", len(keys), "puzzle") as done:
        for puzzles, batch in batches(task, networks, media, keys, device=device, size=batch_size):
            clusters += [task.clusters(puzzle) for puzzle in puzzles]
            if keep is not None:
                kept += [keep(puzzle) for puzzle in puzzles]
            for network, mine in zip(networks, scores, strict=True):
                answers = task.answers(network, batch)
                mine.append(answers.scores.float().cpu())
            truth.append(answers.truth.cpu())
            done(len(puzzles))
    together = torch.cat(truth)
    return [Predictions(Answers(torch.cat(mine), together), clusters, kept) for mine in scores]


def batches(
    task: Task,
    networks: Sequence[nn.Module],
    media: Media,
    keys: Sequence[Key],
    *,
    device: torch.device | str,
    size: int = 64,
) -> Iterator[tuple[list[Any], dict[str, Any]]]:
    """Puzzles in groups with their batch on the device; the networks are there too, and in eval mode until the end."""
    modes = [network.training for network in networks]
    for network in networks:
        network.to(device).eval()
    for first in range(0, len(keys), size):
        puzzles = [task.draw(media, key) for key in keys[first : first + size]]
        batch = task.collate(puzzles)
        yield puzzles, {name: x.to(device) if isinstance(x, Tensor) else x for name, x in batch.items()}
    # The caller may go on training them.
    for network, mode in zip(networks, modes, strict=True):
        network.train(mode)


def accuracy_row(
    name: str,
    predictions: Predictions,
    context: Context,
    *,
    metric: str = "accuracy",
    chance: float,
    chosen: Sequence[int] | None = None,
    note: str = "",
) -> ResultRow:
    """The share of right answers to the chosen puzzles, with an interval that knows which of them share a source."""
    indices = range(len(predictions.clusters)) if chosen is None else chosen
    clusters = [predictions.clusters[i] for i in indices]
    correct = predictions.correct.numpy()[list(indices)]
    about = {"chance": chance, "note": note, "listed": len(predictions.clusters)}
    return context.share_row(name, metric, correct, clusters, **about)
