"""Whether features still tell inputs apart: effective rank, uniformity, alignment, spread, nearest neighbours.

Functions of arrays (N, D): a row is the features of one input.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

Floats = NDArray[np.float64]


def effective_rank(features: ArrayLike) -> float:
    """RankMe (Garrido et al., ICML 2023): the exponential of the entropy of the singular values' shares.

    exp(−Σ p log p) with p = σ / Σσ + 1e-7 for the min(N, D) singular values σ of the features as they are, neither
    centred nor scaled. From 1 (all rows are multiples of one) to min(N, D); 0 of features that are all zero.
    """
    rows = _rows(features)
    # Of the smaller of the two products with itself: a tenth of the time of singular values of the features.
    square = rows @ rows.T if len(rows) < rows.shape[1] else rows.T @ rows
    values = np.sqrt(np.linalg.eigvalsh(square).clip(min=0))
    if not values.any():
        return 0.0
    shares = values / values.sum() + 1e-7
    return float(np.exp(-(shares * np.log(shares)).sum()))


def uniformity(features: ArrayLike, t: float = 2.0) -> float:
    """Uniformity (Wang & Isola, ICML 2020): log of the mean of exp(−t |x − y|²) over pairs of rows of unit length.

    0 where all rows point the same way; with t = 2 towards −4 the more evenly they cover the sphere.
    """
    rows = unit(features)
    above = np.triu_indices(len(rows), 1)
    squared = (2 - 2 * (rows @ rows.T)[above]).clip(min=0)
    return float(np.log(np.exp(-t * squared).mean()))


def alignment(first: ArrayLike, second: ArrayLike, alpha: float = 2.0) -> float:
    """Alignment (Wang & Isola, ICML 2020): the mean of |x − y|^α over positive pairs, row by row, of unit length.

    0 where the two of a pair point the same way, with α = 2 on average 2 where they have nothing to do with each other.
    """
    distances = np.linalg.norm(unit(first) - unit(second), axis=1)
    return float((distances**alpha).mean())


def feature_std(features: ArrayLike) -> float:
    """Standard deviation of rows of unit length, over all dimensions together: the root of the sum of variances.

    0 where all rows point the same way, 1 where they point evenly in all directions, whatever D: √D times the
    deviation per dimension by which Chen & He (SimSiam, CVPR 2021) show a collapse.
    """
    return float(np.sqrt(unit(features).var(axis=0).sum()))


class Neighbours(NamedTuple):
    """Accuracy of nearest neighbours, the share of the commonest class (which is chance), and how many were asked."""

    accuracy: float
    chance: float
    n: int


def knn_accuracy(
    features: ArrayLike, labels: Sequence[str | None], sources: Sequence[str], k: int = 5
) -> Neighbours | None:
    """Leave-one-out accuracy of the class that most of the ``k`` rows nearest by cosine have; of a tie the nearer one.

    Args:
        features: (N, D).
        labels: of each row; rows without one (None) are left out.
        sources: what each row comes from: rows of one source are never neighbours.

    Returns:
        None where there are no two classes, or no rows of two sources.
    """
    known = [row for row, label in enumerate(labels) if label is not None]
    names, classes = np.unique([str(labels[row]) for row in known], return_inverse=True)
    if len(names) < 2:
        return None
    rows = unit(features)[known]
    of = np.unique([sources[row] for row in known], return_inverse=True)[1]
    similarities = np.where(of[:, None] == of, -np.inf, rows @ rows.T)
    asked = np.isfinite(similarities).any(axis=1)
    if not asked.any():
        return None
    nearest = np.argsort(-similarities, axis=1, kind="stable")[:, :k]
    near = np.take_along_axis(similarities, nearest, axis=1)
    # A vote counts one, and less than 1 / k more the nearer it is: that decides ties, and nothing else.
    votes = np.where(np.isfinite(near), 1 + (near + 1) / (2 * k + 2), 0)
    ballots = np.zeros((len(rows), len(names)))
    np.add.at(ballots, (np.arange(len(rows))[:, None], classes[nearest]), votes)
    right = (ballots.argmax(axis=1) == classes)[asked]
    chance = np.bincount(classes[asked]).max() / asked.sum()
    return Neighbours(float(right.mean()), float(chance), int(asked.sum()))


def unit(features: ArrayLike) -> Floats:
    """Rows scaled to unit length; a row of zeros stays."""
    rows = _rows(features)
    lengths: Floats = np.linalg.norm(rows, axis=1, keepdims=True)
    return np.asarray(rows / lengths.clip(min=1e-12))


def _rows(features: ArrayLike) -> Floats:
    rows = np.asarray(features, np.float64)
    if rows.ndim != 2 or len(rows) < 2:
        raise ValueError(f"features are (N, D) with N of at least 2, not {rows.shape}")
    return rows
