"""Put held-out puzzles to a network and keep what it said."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor, nn

from avssl.evaluate.core.rows import ResultRow
from avssl.evaluate.core.statistics import accuracy_interval
from avssl.media.facts import Media
from avssl.samplers.keys import Key
from avssl.tasks.base import Answers, Task

# Held-out puzzles have an epoch of their own, so that no training key names the same puzzle.
HELD_OUT_EPOCH = -2


@dataclass(slots=True)
class Judgement:
    """What a network said to ``n`` puzzles.

    Attributes:
        answers: scores and truth of all puzzles, on the CPU.
        clusters: the sources of each puzzle.
        kept: what ``keep`` returned for each puzzle.
    """

    answers: Answers
    clusters: list[tuple[str, ...]] = field(default_factory=list)
    kept: list[Any] = field(default_factory=list)

    @property
    def correct(self) -> torch.Tensor:
        """(n,) whether the highest score is the true class."""
        return self.answers.scores.argmax(1) == self.answers.truth


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
def judge(
    task: Task,
    networks: Sequence[nn.Module],
    media: Media,
    keys: Sequence[Key],
    *,
    device: torch.device | str = "cpu",
    batch_size: int = 64,
    keep: Callable[[Any], Any] | None = None,
) -> list[Judgement]:
    """The judgement of each network on the same puzzles, drawn once.

    Args:
        task: a ``held_out()`` copy.
        keep: called with each puzzle; what it returns is kept for later grouping.
    """
    modes = [network.training for network in networks]
    for network in networks:
        network.to(device).eval()
    scores: list[list[torch.Tensor]] = [[] for _ in networks]
    truth: list[torch.Tensor] = []
    clusters: list[tuple[str, ...]] = []
    kept: list[Any] = []
    for first in range(0, len(keys), batch_size):
        puzzles = [task.draw(media, key) for key in keys[first : first + batch_size]]
        clusters += [task.clusters(puzzle) for puzzle in puzzles]
        if keep is not None:
            kept += [keep(puzzle) for puzzle in puzzles]
        batch = {
            name: value.to(device) if isinstance(value, torch.Tensor) else value
            for name, value in task.collate(puzzles).items()
        }
        for network, said in zip(networks, scores, strict=True):
            answers = task.answers(network, batch)
            said.append(answers.scores.float().cpu())
        truth.append(answers.truth.cpu())
    for network, mode in zip(networks, modes, strict=True):
        network.train(mode)
    together = torch.cat(truth)
    return [Judgement(Answers(torch.cat(said), together), clusters, kept) for said in scores]


def accuracy_row(
    name: str,
    judgement: Judgement,
    *,
    metric: str = "accuracy",
    chance: float,
    seed: int,
    chosen: Sequence[int] | None = None,
    note: str = "",
    command: str = "",
    protocol: str = "",
) -> ResultRow:
    """The share of right answers, with an interval that knows which puzzles share a source.

    Args:
        chosen: indices of the puzzles to count; all if None.
    """
    indices = range(len(judgement.clusters)) if chosen is None else chosen
    right = judgement.correct.numpy()
    correct = [float(right[i]) for i in indices]
    clusters = [judgement.clusters[i] for i in indices]
    low, high = accuracy_interval(correct, clusters)
    return ResultRow(
        name=name,
        metric=metric,
        value=sum(correct) / len(correct) if correct else float("nan"),
        low=low,
        high=high,
        n=len(correct),
        chance=chance,
        split="test",
        seed=seed,
        note=note,
        command=command,
        protocol=protocol,
        unit="source",
        clusters=len({name for cluster in clusters for name in cluster}),
        method="wilson",
        n_listed=len(judgement.clusters),
        n_used=len(correct),
    )
