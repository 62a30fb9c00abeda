"""Traces of a collection, measured once and kept until a file changes."""

from __future__ import annotations

import hashlib
import sqlite3
import zipfile
from contextlib import AbstractContextManager, suppress
from pathlib import Path

from avssl.media.facts import Facts, Media
from avssl.media.measuring import measured
from avssl.media.selection import Concatenated, digest_of, stamp_of
from avssl.media.sources.sourced import underlying
from avssl.media.sources.traces import FORMAT, SOUND_SECONDS, Trace, measure
from avssl.system.console import ShowProgress
from avssl.system.database import cached_database

NOTHING = Trace()  # of an item that cannot be read
_CHECK = 8  # bytes of the checksum before each trace


def traces_of(media: Media, workers: int | None, progress: ShowProgress) -> list[Trace]:
    """The trace of each item, from the cache where it is known; an empty one where an item cannot be read."""
    keys = [_key(media, i) for i in range(len(media))]
    found: dict[int, Trace] = {}
    with _cache() as cache:
        for i, key in enumerate(keys):
            known = _known(cache, key)
            if known is not None:
                found[i] = known
        missing = [i for i in range(len(media)) if i not in found]
        for items, traces in measured(
            media,
            missing,
            measure,
            what="looking for shared sources",
            patience=lambda i: 2 * SOUND_SECONDS,
            workers=workers,
            progress=progress,
        ):
            fresh = []
            for i, trace in zip(items, traces, strict=True):
                found[i] = trace or NOTHING
                if trace is not None:  # an error may be temporary, and is not cached
                    data = trace.to_bytes()
                    fresh.append((keys[i], _check(data) + data))
            if cache is not None and fresh:
                with suppress(sqlite3.Error), cache:
                    cache.executemany("INSERT OR REPLACE INTO traces VALUES (?, ?)", fresh)
    return [found[i] for i in range(len(media))]


def _key(media: Media, i: int) -> bytes:
    """The key of an item's trace: the file with its size and time, else the collection and the path."""
    while isinstance(base := underlying(media, i)[0], Concatenated):
        media, i = base.origin(underlying(media, i)[1])
    base, number = underlying(media, i)
    facts = base.facts(number)
    return digest_of(str(FORMAT), _state(base, facts), _shape(facts)).encode()


def _state(base: Media, facts: Facts) -> str:
    from avssl.media.collection import Collection

    if isinstance(base, Collection):
        with suppress(OSError):  # a member of a tar is no file
            stat = Path(facts.path).stat()
            return f"{facts.path}\0{stat.st_size}\0{stat.st_mtime_ns}"
    return f"{base.fingerprint}\0{stamp_of(base)}\0{facts.path}"


def _shape(facts: Facts) -> str:
    """Distinguishes segments of one file."""
    numbers = (facts.duration_seconds, facts.audio_start_seconds, facts.audio_end_seconds)
    return repr((*(round(number, 6) for number in numbers), facts.frame_count, facts.width, facts.height))


def _cache() -> AbstractContextManager[sqlite3.Connection | None]:
    """The traces measured before, or None where the cache cannot be used."""
    return cached_database(
        "sources.sqlite",
        "CREATE TABLE IF NOT EXISTS traces (item BLOB PRIMARY KEY, trace BLOB)",
        "SELECT item, trace FROM traces LIMIT 1",
    )


def _known(cache: sqlite3.Connection | None, key: bytes) -> Trace | None:
    if cache is None:
        return None
    try:
        row = cache.execute("SELECT trace FROM traces WHERE item = ?", (key,)).fetchone()
    except sqlite3.Error:
        return None
    if row is None or not isinstance(row[0], bytes):
        return None
    check, data = row[0][:_CHECK], row[0][_CHECK:]
    if check != _check(data):
        return None
    try:
        return Trace.from_bytes(data)
    except (ValueError, KeyError, zipfile.BadZipFile):  # of another version
        return None


def _check(data: bytes) -> bytes:
    return hashlib.blake2b(data, digest_size=_CHECK).digest()
