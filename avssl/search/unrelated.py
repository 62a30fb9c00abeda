"""The meaning of a score: its rank among the cosines of unrelated pairs.

A cosine of 0.4 says nothing by itself: in one space it is what any frame and any sound have, in another what none has
but those of one event. Pairs of different sources are drawn when an index is written, and their cosines kept.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from avssl.samplers.keys import generator
from avssl.search.rows import Kind

PAIRS = 50_000
"""Unrelated pairs of each sort: a share of 1 % has a standard error of 0.04 %."""

SORTS: tuple[tuple[Kind, Kind], ...] = (("image", "audio"), ("image", "image"), ("audio", "audio"))
"""The rows of ``unrelated.npy``."""

_AT_ONCE = 4096

Vectors = NDArray[np.float32]


def unrelated_cosines(
    vectors: dict[Kind, Vectors], having: dict[Kind, NDArray[np.bool_]], sources: NDArray[np.int64]
) -> NDArray[np.float32]:
    """Cosines of :data:`PAIRS` pairs of each sort, ascending; NaN where there are no two sources. (3, PAIRS)

    Args:
        vectors: unit vectors (rows, dimensions) of each kind.
        having: which rows have them, (rows,).
        sources: a number a row, the same for one source, (rows,).
    """
    return np.stack([_cosines(vectors, having, sources, sort) for sort in SORTS])


def share_below(unrelated: NDArray[np.float32], one: Kind, other: Kind, scores: NDArray[np.float32]) -> Vectors:
    """The share of unrelated pairs of these two kinds with a smaller cosine; NaN where it is not known. (n,)"""
    sort = (one, other) if (one, other) in SORTS else (other, one)
    cosines = unrelated[SORTS.index(sort)]  # ascending, as searchsorted needs them
    if np.isnan(cosines[0]):
        return np.full(len(scores), np.nan, np.float32)
    return (np.searchsorted(cosines, scores) / len(cosines)).astype(np.float32)


def _cosines(
    vectors: dict[Kind, Vectors],
    having: dict[Kind, NDArray[np.bool_]],
    sources: NDArray[np.int64],
    sort: tuple[Kind, Kind],
) -> NDArray[np.float32]:
    first, second = (np.flatnonzero(having[kind]) for kind in sort)
    nothing = np.full(PAIRS, np.nan, np.float32)
    if not len(first) or not len(second) or len(np.union1d(sources[first], sources[second])) < 2:
        return nothing
    # A fixed seed: the same collection gives the same meaning to a score.
    rng = generator(0, "unrelated", *sort)
    ours, theirs = np.zeros(0, np.int64), np.zeros(0, np.int64)
    for _ in range(1000):  # of two sources, one of them a thousand times the larger, a pair in 500 is unrelated
        a, b = rng.choice(first, PAIRS), rng.choice(second, PAIRS)
        apart = sources[a] != sources[b]
        ours, theirs = np.concatenate([ours, a[apart]]), np.concatenate([theirs, b[apart]])
        if len(ours) >= PAIRS:
            break
    else:
        return nothing
    found = [
        np.einsum("nd,nd->n", vectors[sort[0]][ours[k : k + _AT_ONCE]], vectors[sort[1]][theirs[k : k + _AT_ONCE]])
        for k in range(0, PAIRS, _AT_ONCE)
    ]
    return np.sort(np.concatenate(found)[:PAIRS].astype(np.float32))
