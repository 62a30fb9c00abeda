"""Vectors in two dimensions, for a map of them."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

_BLOCK = 1 << 16

Vectors = NDArray[np.float32]


def principal_axes(vectors: Vectors, having: NDArray[np.bool_]) -> Vectors:
    """The first two principal components of the rows that have a vector, NaN for the others. float32 (rows, 2)

    The sign of each component is such that its axis's largest entry is positive: the same map every time.
    """
    found = np.full((len(vectors), 2), np.nan, np.float32)
    count, dimensions = int(having.sum()), vectors.shape[1]
    if not count:
        return found
    # In blocks, twice: a covariance fits in a cache, a million rows need not fit in memory.
    total, products = np.zeros(dimensions), np.zeros((dimensions, dimensions))
    for first in range(0, len(vectors), _BLOCK):
        block = vectors[first : first + _BLOCK][having[first : first + _BLOCK]].astype(np.float64)
        total += block.sum(0)
        products += block.T @ block
    mean = total / count
    # eigh sorts ascending: the last two are the first two components.
    _, axes = np.linalg.eigh(products / count - np.outer(mean, mean))
    largest = axes[:, :-3:-1]
    largest *= np.sign(largest[np.abs(largest).argmax(0), range(2)])
    for first in range(0, len(vectors), _BLOCK):
        marks = having[first : first + _BLOCK]
        found[first : first + _BLOCK][marks] = (vectors[first : first + _BLOCK][marks] - mean) @ largest
    return found
