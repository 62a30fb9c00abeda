"""Linear probes: logistic regression on frozen features, softmax for single-label items, sigmoids for several labels.

Features are standardised by the training part (a batch norm without scale and shift, as RotNet and the FAIR benchmark
put before the classifier) and divided by √features, so that one range of penalties suits every stage. The problem is
convex and solved by L-BFGS, so there is neither learning rate nor schedule nor a best epoch to choose; the L2 penalty
is chosen on held-out training data. Items of several frames or windows train on each and average their predictions.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from avssl.evaluate.choices import LinearChoices
from avssl.evaluate.core.optimize import minimize_convex
from avssl.evaluate.core.scores import Scores, metric_value
from avssl.evaluate.data.labelled import Indices
from avssl.evaluate.probes.probing import Array, Prediction, TrainingSet


@dataclass(frozen=True)
class Linear(LinearChoices):
    """The protocol as a probe; ``device`` is where it is computed."""

    device: torch.device | str = "cpu"

    def __call__(self, training: TrainingSet, queries: Array, query_items: Indices) -> Prediction:
        fit, choose = training.split()
        single = training.data.single
        figures: dict[float, float] = {}
        scale = Scale.of(fit.features)
        rows, truth = scale(fit.features, self.device), self._truth(fit)
        weights = None
        # From the strongest on: each solution is the start of the next, and is near it.
        for penalty in sorted(self.penalties, reverse=True):
            weights = fit_logistic(rows, truth, penalty, single, start=weights, iterations=self.iterations)
            predicted = self._predict(weights, scale, choose.features, single)
            figures[penalty] = metric_value(predicted, choose.targets, single)
        # Scaled features of a large stage may fill gigabytes, and those of all items come next.
        del rows
        best = max(figures, key=lambda penalty: figures[penalty])
        scale = Scale.of(training.features)
        rows, truth = scale(training.features, self.device), self._truth(training)
        weights = fit_logistic(rows, truth, best, single, start=weights, iterations=2 * self.iterations)
        return Prediction(self._predict(weights, scale, queries, single), figures[best], f"penalty {best:g}")

    def _truth(self, training: TrainingSet) -> Tensor:
        """The truth of each view of each item."""
        views = training.features.shape[1]
        return torch.from_numpy(np.repeat(training.targets, views, axis=0)).to(self.device)

    @torch.no_grad()
    def _predict(self, weights: Weights, scale: Scale, features: Array, single: bool) -> Scores:
        logits = weights(scale(features, self.device))
        shares = logits.softmax(1) if single else logits.sigmoid()
        return np.asarray(shares.view(features.shape[0], features.shape[1], -1).mean(1).cpu().numpy(), np.float32)


@dataclass(frozen=True)
class Scale:
    """Brings features to mean 0, variance 1 / features."""

    mean: NDArray[np.float32]
    factor: NDArray[np.float32]

    @staticmethod
    def of(features: Array) -> Scale:
        """Of the training part; features that never change become 0."""
        mean = features.mean((0, 1), dtype=np.float64)
        deviation = features.std((0, 1), dtype=np.float64)
        # A feature that never changes has the rounding of its mean for a deviation.
        factor = np.where(deviation > 1e-7 * (1 + np.abs(mean)), 1 / np.maximum(deviation, 1e-30), 0.0)
        return Scale(mean.astype(np.float32), (factor / math.sqrt(features.shape[2])).astype(np.float32))

    def __call__(self, features: Array, device: torch.device | str = "cpu") -> Tensor:
        """(items, views, features) to (items · views, features)."""
        rows = torch.from_numpy(features.reshape(-1, features.shape[2])).to(device)
        factor = torch.from_numpy(self.factor).to(device)
        return (rows - torch.from_numpy(self.mean).to(device)).mul_(factor)


@dataclass(frozen=True)
class Weights:
    """A linear classifier: ``weight`` (classes, features), ``bias`` (classes,)."""

    weight: Tensor
    bias: Tensor

    def __call__(self, rows: Tensor) -> Tensor:
        return rows @ self.weight.T + self.bias


def fit_logistic(
    rows: Tensor,
    targets: Tensor,
    penalty: float,
    single: bool,
    *,
    start: Weights | None = None,
    iterations: int = LinearChoices.iterations,
) -> Weights:
    """The classifier that minimises the mean cross entropy plus penalty · |weight|² / 2; the bias is free.

    scikit-learn's ``LogisticRegression(C=1 / (n · penalty))`` solves the same problem.

    Args:
        rows: (n, features).
        targets: (n, classes) of 1, 0, and −1 for what must not count.
        single: one label a row (softmax), or several (a sigmoid a class).
        start: where to begin; zeros if None.
    """
    classes = targets.shape[1]
    weight = torch.zeros(classes, rows.shape[1], device=rows.device) if start is None else start.weight.clone()
    bias = torch.zeros(classes, device=rows.device) if start is None else start.bias.clone()
    weight.requires_grad_(True)
    bias.requires_grad_(True)
    labels = targets.argmax(1)
    truth, known = (targets > 0).float(), (targets >= 0).float()

    def loss() -> Tensor:
        logits = rows @ weight.T + bias
        if single:
            mean = nn.functional.cross_entropy(logits, labels)
        else:
            each = nn.functional.binary_cross_entropy_with_logits(logits, truth, reduction="none")
            # Over rows: each class is its own problem, to which an item that must not count adds 0
            mean = (each * known).sum() / len(rows)
        return mean + penalty / 2 * weight.square().sum()

    minimize_convex([weight, bias], loss, iterations=iterations, tolerance=1e-6)
    return Weights(weight.detach(), bias.detach())
