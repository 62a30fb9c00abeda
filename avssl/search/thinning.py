"""Results that are not ten neighbouring moments of one file."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable

import numpy as np

from avssl.search.nearest import Nearest
from avssl.search.rows import Rows

MORE = 4
"""So many times as many rows are looked at as before, until enough of different files are among them."""


def thinned(nearest: Callable[[int], Nearest], rows: Rows, k: int, per_file: int) -> Nearest:
    """The k nearest rows of which at most so many are of one file; more where there are too few files.

    Args:
        nearest: the nearest rows of one query, as many as it is called with, or fewer if there are no more.
        rows: the moments of the index.
        k: how many.
        per_file: how many of one file.

    Returns:
        (1, k), or fewer columns where there are fewer rows.
    """
    asked, limit = k, per_file
    path_of: dict[int, str] = {}
    while True:
        asked *= MORE
        found = nearest(asked)
        items = rows.moments["item"][found.rows[0]].tolist()
        path_of.update((item, rows.columns.facts(item).path) for item in set(items) - path_of.keys())
        paths = [path_of[item] for item in items]
        places = _first_of_each(paths, limit)
        if len(places) >= k or len(paths) < asked:
            break
    while len(places) < min(k, len(paths)):  # all rows are here, of too few files: one more of each
        limit += 1
        places = _first_of_each(paths, limit)
    chosen = np.array(places[:k], np.int64)
    return Nearest(found.rows[:, chosen], found.scores[:, chosen])


def _first_of_each(paths: list[str], limit: int) -> list[int]:
    """The places of the first ``limit`` of each path, in order."""
    counts: Counter[str] = Counter()
    places = []
    for place, path in enumerate(paths):
        if counts[path] < limit:
            counts[path] += 1
            places.append(place)
    return places
