"""Average precision in its three definitions."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

from avssl.evaluate.core.statistics import DRAWS, SHARE, cluster_ids, interval_of_draws, resample

Kind = Literal["envelope", "step", "eleven-point"]
"""envelope: area under the monotone curve (VOC from 2010 on; the FAIR benchmark's SVM); step: mean precision at the
positives (scikit-learn's); eleven-point: mean of the envelope at recalls 0, 0.1, …, 1 (VOC07 detection)."""


def average_precision(
    scores: ArrayLike, truth: ArrayLike, kind: Kind = "envelope", weights: ArrayLike | None = None
) -> float:
    """Average precision of a ranking; equal scores are one threshold. NaN without a positive.

    Args:
        scores: (n,) higher for what is predicted to be positive.
        truth: (n,) 1 or 0.
        kind: which of the three.
        weights: (n,) how often each item counts; once if None.
    """
    return _AREAS[kind](*_curve(np.asarray(scores, np.float64), np.asarray(truth), weights))


def class_precisions(scores: NDArray[np.floating], targets: NDArray[np.int8], kind: Kind = "envelope") -> list[float]:
    """The AP of each class; items marked −1 for it are left out. NaN for a class without a positive.

    Args:
        scores: (n, classes).
        targets: (n, classes) of 1, 0 and −1.
    """
    found: list[float] = []
    for column, truth in zip(scores.T, targets.T, strict=True):
        known = truth >= 0
        found.append(average_precision(column[known], truth[known], kind))
    return found


def mean_average_precision(scores: NDArray[np.floating], targets: NDArray[np.int8], kind: Kind = "envelope") -> float:
    """The mean over the classes that have a positive, see :func:`class_precisions`."""
    values = np.array(class_precisions(scores, targets, kind))
    return float(np.nanmean(values)) if not np.isnan(values).all() else float("nan")


def map_interval(
    scores: NDArray[np.floating],
    targets: NDArray[np.int8],
    clusters: Sequence[object],
    kind: Kind = "envelope",
    *,
    draws: int = DRAWS,
    seed: int = 0,
) -> tuple[float, float]:
    """95 % interval of mAP: clusters resampled, each class's AP computed again (see ``interval_of_draws``).

    A class that has no positive in a draw is left out of that draw's mean.
    """
    member, groups = cluster_ids(clusters)
    counts = resample(groups, draws, seed)
    values = np.full((draws, targets.shape[1]), np.nan)
    for k in range(targets.shape[1]):
        known = np.flatnonzero(targets[:, k] >= 0)
        order = known[np.argsort(-scores[known, k], kind="stable")]
        ranked, truth, belongs = scores[order, k], targets[order, k], member[order]
        for draw in range(draws):
            values[draw, k] = _AREAS[kind](*_sorted_curve(ranked, truth, counts[draw, belongs]))
    # A draw may hold no positive of any class.
    figures = np.nanmean(values[~np.isnan(values).all(1)], axis=1)
    return interval_of_draws(mean_average_precision(scores, targets, kind), figures, groups, SHARE)


Curve = tuple[NDArray[np.float64], NDArray[np.float64]]
"""Recall and precision at each threshold, from the highest score on."""


def _curve(scores: NDArray[np.float64], truth: NDArray[np.int_], weights: ArrayLike | None) -> Curve:
    order = np.argsort(-scores, kind="stable")
    counted = np.ones(len(scores)) if weights is None else np.asarray(weights, np.float64)
    return _sorted_curve(scores[order], truth[order], counted[order])


def _sorted_curve(scores: NDArray[np.floating], truth: NDArray[np.int_], weights: NDArray[np.number]) -> Curve:
    hits = np.cumsum(weights * (truth > 0))
    total = np.cumsum(weights)
    # The last place of equal scores: they are one threshold. What no draw has taken so far is none.
    last = np.flatnonzero(np.append(scores[1:] != scores[:-1], len(scores) > 0) & (total > 0))
    if not len(last) or hits[-1] == 0:
        return np.zeros(0), np.zeros(0)
    return hits[last] / hits[-1], hits[last] / total[last]


def _step(recall: NDArray[np.float64], precision: NDArray[np.float64]) -> float:
    return float((np.diff(recall, prepend=0.0) * precision).sum()) if len(recall) else float("nan")


def _envelope(recall: NDArray[np.float64], precision: NDArray[np.float64]) -> float:
    return _step(recall, np.maximum.accumulate(precision[::-1])[::-1])


def _eleven(recall: NDArray[np.float64], precision: NDArray[np.float64]) -> float:
    if not len(recall):
        return float("nan")
    highest = np.append(np.maximum.accumulate(precision[::-1])[::-1], 0.0)
    # Tenths as integers: 0.1 · 3 lies above the decimal 0.3 and would miss a recall of exactly that.
    return float(np.mean([highest[np.searchsorted(recall, tenth / 10 - 1e-12)] for tenth in range(11)]))


_AREAS: dict[Kind, Callable[[NDArray[np.float64], NDArray[np.float64]], float]] = {
    "step": _step,
    "envelope": _envelope,
    "eleven-point": _eleven,
}
