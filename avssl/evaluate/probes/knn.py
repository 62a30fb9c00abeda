"""Weighted nearest neighbours on frozen features (Wu et al. 2018, as DINO's ``eval_knn.py`` does it).

Features are L2-normalised; each of the k nearest by scalar product votes for its classes with exp(similarity / 0.07),
so that near neighbours can be outvoted only by several that are nearly as near. k is chosen on held-out training data.
Items of one source are never each other's neighbours.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from avssl.evaluate.choices import KNNChoices
from avssl.evaluate.core.scores import Scores, metric_value
from avssl.evaluate.data.labelled import Indices
from avssl.evaluate.probes.probing import Array, Prediction, TrainingSet

TEMPERATURE = 0.07  # Wu et al. 2018
# Queries whose similarities to everything are held at once
CHUNK = 1024


@dataclass(frozen=True)
class KNN(KNNChoices):
    """The protocol as a probe."""

    temperature: float = TEMPERATURE  # of the votes
    device: torch.device | str = "cpu"

    def __call__(self, training: TrainingSet, queries: Array, query_items: Indices) -> Prediction:
        fit, choose = training.split()
        data = training.data
        tried = self._votes(fit, choose.features, choose.items)
        figures = {k: metric_value(scores, choose.targets, data.single) for k, scores in tried.items()}
        best = max(figures, key=lambda k: figures[k])  # the smallest of equals
        scores = self._votes(training, queries, query_items, (best,))
        return Prediction(scores[best], figures[best], f"k = {best}")

    def _votes(
        self, known: TrainingSet, queries: Array, items: Indices, neighbours: Sequence[int] | None = None
    ) -> dict[int, Scores]:
        names = {name: k for k, name in enumerate(known.data.sources)}
        group = np.array([names[name] for name in known.data.sources])
        return votes(
            vectors(known.features),
            (known.targets > 0).astype(np.float32),
            vectors(queries),
            tuple(sorted(neighbours or self.k)),
            temperature=self.temperature,
            groups=(group[known.items], group[items]),
            device=self.device,
        )


def vectors(features: Array) -> NDArray[np.float32]:
    """Features (items, views, features) to unit vectors (items, features): the mean over views, normalised."""
    mean = features.mean(1) if features.shape[1] > 1 else features[:, 0]
    length = np.linalg.norm(mean, axis=1, keepdims=True)
    return np.asarray(mean / np.maximum(length, 1e-12), np.float32)


@torch.no_grad()
def votes(
    known: NDArray[np.float32],
    targets: NDArray[np.float32],
    queries: NDArray[np.float32],
    neighbours: Sequence[int],
    *,
    temperature: float = TEMPERATURE,
    groups: tuple[NDArray[np.int64], NDArray[np.int64]] | None = None,
    device: torch.device | str = "cpu",
) -> dict[int, Scores]:
    """By number of neighbours, the votes for each class as shares: (queries, classes).

    Args:
        known: unit vectors (n, d).
        targets: (n, classes) of 1 and 0.
        queries: unit vectors (m, d).
        neighbours: numbers of them; no more are taken than there are.
        groups: of known and of queries; equal ones are no neighbours.
    """
    there = torch.from_numpy(known).to(device)
    truth = torch.from_numpy(targets).to(device)
    most = min(max(neighbours), len(known))
    found: dict[int, list[Scores]] = {k: [] for k in neighbours}
    for first in range(0, len(queries), CHUNK):
        similarity = torch.from_numpy(queries[first : first + CHUNK]).to(device) @ there.T
        if groups is not None:
            own = torch.from_numpy(groups[1][first : first + CHUNK, None] == groups[0][None]).to(device)
            # Not left out of the search: the matrix stays whole, and such items come last.
            similarity.masked_fill_(own, -torch.inf)
        near, places = similarity.topk(most, dim=1)
        # Relative to the nearest: the shares are the same and nothing overflows.
        # Without an item of another source all are −inf, and their differences NaN: no votes
        weights = ((near - near[:, :1]) / temperature).exp().nan_to_num(0.0)
        for k in neighbours:
            some = weights[:, :k]
            summed = torch.einsum("qk,qkc->qc", some, truth[places[:, :k]])
            found[k].append((summed / some.sum(1, keepdim=True).clamp_min(1e-12)).cpu().numpy())
    return {k: np.concatenate(pieces) for k, pieces in found.items()}
