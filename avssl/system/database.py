"""A small database in the cache, for what can be computed again: rebuilt if damaged, optional if unavailable."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from pathlib import Path

from avssl.system.files import cache_folder

# How long a process waits for another that writes.
WAIT_SECONDS = 5.0


@contextmanager
def cached_database(name: str, create: str, probe: str) -> Iterator[sqlite3.Connection | None]:
    """The database ``name`` of the cache folder, or None where there can be none.

    Args:
        create: makes its table where it is not there yet.
        probe: a query that only a database of this kind answers.
    """
    place = cache_folder() / name
    cache = _connected(place, create, probe)
    if cache is None and place.is_file():  # damaged: made again
        with suppress(OSError):
            place.unlink()
        cache = _connected(place, create, probe)
    if cache is None:
        yield None
        return
    with closing(cache):
        yield cache


def _connected(place: Path, create: str, probe: str) -> sqlite3.Connection | None:
    try:
        place.parent.mkdir(parents=True, exist_ok=True)
        cache = sqlite3.connect(place, timeout=WAIT_SECONDS)
    except (OSError, sqlite3.Error):
        return None
    try:
        with cache:
            cache.execute(create)
            cache.execute(probe).fetchone()  # a file of another table or a torn page is noticed here, not at its use
    except sqlite3.Error:
        cache.close()
        return None
    return cache
