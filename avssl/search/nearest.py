"""Nearest neighbours of a vector: exact by multiplication, or for very many rows by a usearch graph.

The graph (HNSW, Malkov & Yashunin 2018) only proposes rows; their scores and order are always the exact ones.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from avssl.samplers.keys import generator
from avssl.search.rows import Kind
from avssl.system.process_pool import spare_cores

EXACT_ROWS = 100_000
"""Up to so many rows all are compared: 0.01 s on one core, which a graph hardly betters."""

BLOCK = 1 << 16
"""Rows that are compared at a time, 32 MB."""

CONNECTIVITY, EXPANSION_ADD = 16, 128
"""Neighbours of a node, and how many candidates its place is chosen from: usearch's defaults."""

EXPANSIONS = (64, 128, 256, 512, 1024)
WANTED_RECALL, RECALL_AT, RECALL_QUERIES = 0.99, 10, 200
"""The first of the expansions of a search is taken whose recall@10 over 200 queries is high enough, else the last."""

PROPOSED = 4
"""For each row that is wanted the graph proposes so many, of which the best are taken."""

ADDED_AT_ONCE = 1 << 13

MOST_LEFT_OUT = 1000
"""So many rows that must not be found are simply asked for more; with more of them the search is exact."""

Vectors = NDArray[np.float32]


class Nearest(NamedTuple):
    """Rows from the most similar on, and their cosines; (queries, k), or fewer columns where there are fewer rows."""

    rows: NDArray[np.int64]
    scores: NDArray[np.float32]


def exact(vectors: Vectors, queries: Vectors, k: int, allowed: NDArray[np.bool_]) -> Nearest:
    """The k nearest of the allowed rows.

    Args:
        vectors: (rows, dimensions).
        queries: (queries, dimensions).
        allowed: (rows,), which may be found.
    """
    k = min(k, int(allowed.sum()))
    best = Nearest(np.zeros((len(queries), 0), np.int64), np.zeros((len(queries), 0), np.float32))
    for first in range(0, len(vectors), BLOCK):
        block = queries @ vectors[first : first + BLOCK].T
        block[:, ~allowed[first : first + BLOCK]] = -np.inf
        count = min(k, block.shape[1])
        # Of each block its best, then the best of all: sorting a million scores takes longer than multiplying.
        some = np.argpartition(-block, count - 1, axis=1)[:, :count] if count else np.zeros((len(block), 0), np.int64)
        rows = np.concatenate([best.rows, some + first], axis=1)
        scores = np.concatenate([best.scores, np.take_along_axis(block, some, 1)], axis=1)
        best = _best(rows, scores, k)
    return best


def _best(rows: NDArray[np.int64], scores: Vectors, k: int) -> Nearest:
    """The k best in order; equal scores in the order of rows."""
    order = np.lexsort((rows, -scores), axis=1)[:, :k]
    return Nearest(np.take_along_axis(rows, order, 1), np.take_along_axis(scores, order, 1))


class Graph:
    """Approximate search in the vectors of one kind. Threads may share it.

    Args:
        index: usearch's.
        vectors: (rows, dimensions), those of the graph among them.
        expansion: candidates of a search.
    """

    def __init__(self, index: Any, vectors: Vectors, expansion: int) -> None:
        self._index, self._vectors = index, vectors
        self._data: NDArray[np.uint8] | None = None
        self._index.expansion_search = expansion
        self._lock = threading.Lock()  # a search takes less than a millisecond

    @staticmethod
    def open(data: NDArray[np.uint8], vectors: Vectors, expansion: int) -> Graph:
        """The graph of a file that is mapped, and stays so."""
        from usearch.index import Index

        index = Index.restore(data.data, view=True)
        assert index is not None  # its checksum has been compared
        graph = Graph(index, vectors, expansion)
        graph._data = data
        return graph

    def nearest(self, queries: Vectors, k: int, left_out: NDArray[np.int64]) -> Nearest | None:
        """The k nearest, as :func:`exact` gives them, or nearly; None where it does not find so many.

        Args:
            left_out: rows that must not be found, :data:`MOST_LEFT_OUT` at most.
        """
        wanted = min(PROPOSED * k + len(left_out), len(self._index))
        with self._lock:
            rows = np.asarray(self._index.search(queries, wanted).keys, np.int64).reshape(len(queries), -1)
        # The graph's own distances are of vectors rounded to bytes.
        scores = np.einsum("qd,qkd->qk", queries, self._vectors[rows])
        scores[np.isin(rows, left_out)] = -np.inf
        best = _best(rows, scores, k)
        return best if best.scores.shape[1] == k and np.isfinite(best.scores).all() else None


def build_graph(
    vectors: Vectors,
    having: NDArray[np.bool_],
    queries: Vectors,
    path: Path,
    on_progress: Callable[[int, int], None] | None = None,
) -> dict[str, Any]:
    """Write the graph of the rows that have a vector; returns how well it finds the nearest of some queries.

    Args:
        having: (rows,), which of them have one.
        queries: vectors that are looked for, to choose the expansion by, (n, dimensions).
    """
    import usearch
    from usearch.index import Index

    # In bytes the graph takes a quarter of the room and time, and is fast on every processor, which halves are not.
    index = Index(
        ndim=vectors.shape[1], metric="cos", dtype="i8", connectivity=CONNECTIVITY, expansion_add=EXPANSION_ADD
    )
    rows = np.flatnonzero(having)
    for first in range(0, len(rows), ADDED_AT_ONCE):
        some = rows[first : first + ADDED_AT_ONCE]
        index.add(some, vectors[some], threads=spare_cores())
        if on_progress is not None:
            on_progress(min(first + ADDED_AT_ONCE, len(rows)), len(rows))
    index.save(path)
    truth = exact(vectors, queries, RECALL_AT, having)
    recall, expansion = 0.0, EXPANSIONS[-1]
    # Measured on this very collection: what recall an expansion gives depends on how its vectors cluster.
    for expansion in EXPANSIONS:
        recall = _recall(truth, Graph(index, vectors, expansion).nearest(queries, RECALL_AT, np.zeros(0, np.int64)))
        if recall >= WANTED_RECALL:
            break
    return {
        "library": f"usearch {usearch.__version__}",
        "expansion": expansion,
        f"recall@{RECALL_AT}": recall,
        "queries": len(queries),
        "rows": len(rows),
    }


def _recall(truth: Nearest, found: Nearest | None) -> float:
    if found is None:
        return 0.0
    return float(np.mean([np.isin(right, rows).mean() for right, rows in zip(truth.rows, found.rows, strict=True)]))


def sample_queries(vectors: dict[Kind, Vectors], having: dict[Kind, NDArray[np.bool_]]) -> Vectors:
    """Vectors of both kinds, half of each where both are there: what people search with. (200, dimensions)"""
    there = [kind for kind in vectors if having[kind].any()]
    rng = generator(0, "recall")
    drawn = [rng.choice(np.flatnonzero(having[kind]), RECALL_QUERIES // len(there)) for kind in there]
    return np.concatenate([vectors[kind][np.sort(rows)] for kind, rows in zip(there, drawn, strict=True)])


def has_usearch() -> bool:
    """Whether the package is installed."""
    from importlib.util import find_spec

    return find_spec("usearch") is not None
