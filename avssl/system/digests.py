"""Digests of file contents: files with equal digests are copies, whatever their names."""

from __future__ import annotations

import hashlib
import os
import sqlite3
from collections.abc import Iterable
from contextlib import AbstractContextManager, suppress
from functools import partial
from pathlib import Path

from avssl.system.database import cached_database

DIGEST_BYTES = 16


def content_digest(path: str | os.PathLike[str]) -> str:
    """Hex digest (BLAKE2b, 128 bits) of the bytes of a file; OSError if it cannot be read."""
    with Path(path).open("rb") as file:
        return hashlib.file_digest(file, partial(hashlib.blake2b, digest_size=DIGEST_BYTES)).hexdigest()


def content_digests(paths: Iterable[str]) -> dict[str, str]:
    """The digest of each file that can be read; kept in the cache until a file's size, time or place on disk changes.

    A file that cannot be read is missing from the answer. A cache that is damaged or closed is done without.
    """
    found: dict[str, str] = {}
    fresh: list[tuple[bytes, str, str]] = []
    with _cache() as cache:
        for path in paths:
            state = _state(path)
            if state is None:
                continue
            known = _known(cache, path, state)
            if known is None:
                try:
                    known = content_digest(path)
                except OSError:
                    continue
                if _state(path) == state:  # not written to meanwhile
                    fresh.append((os.fsencode(path), state, known))
            found[path] = known
        if cache is not None and fresh:
            with suppress(sqlite3.Error), cache:
                cache.executemany("INSERT OR REPLACE INTO digests VALUES (?, ?, ?)", fresh)
    return found


def copies(paths: Iterable[str]) -> list[list[str]]:
    """Files with the same bytes: each group of two or more, in the order given. Only files of equal size are read."""
    by_size: dict[int, list[str]] = {}
    for path in paths:
        with suppress(OSError):
            by_size.setdefault(Path(path).stat().st_size, []).append(path)
    # Files of different sizes are no copies: most of a collection need not be read at all.
    alike = [path for same in by_size.values() if len(same) > 1 for path in same]
    groups: dict[str, list[str]] = {}
    for path, digest in content_digests(alike).items():
        groups.setdefault(digest, []).append(path)
    return [group for group in groups.values() if len(group) > 1]


def _cache() -> AbstractContextManager[sqlite3.Connection | None]:
    """The digests known from before, or None where there is no cache to be had."""
    return cached_database(
        "digests.sqlite",
        "CREATE TABLE IF NOT EXISTS digests (path BLOB PRIMARY KEY, state TEXT, digest TEXT)",
        "SELECT path, state, digest FROM digests LIMIT 1",
    )


def _known(cache: sqlite3.Connection | None, path: str, state: str) -> str | None:
    if cache is None:
        return None
    try:
        row = cache.execute("SELECT state, digest FROM digests WHERE path = ?", (os.fsencode(path),)).fetchone()
    except sqlite3.Error:
        return None
    return row[1] if row is not None and row[0] == state and len(str(row[1])) == 2 * DIGEST_BYTES else None


def _state(path: str) -> str | None:
    """What changes whenever a file is written anew; None for what is no file."""
    # With the time of change, which no copy or touch can set, and the inode, which a replaced file has not.
    try:
        stat = Path(path).stat()
    except OSError:
        return None
    if not Path(path).is_file():
        return None
    return f"{stat.st_size} {stat.st_mtime_ns} {stat.st_ctime_ns} {stat.st_ino}"
