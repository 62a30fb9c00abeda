"""Traces of a collection, measured once and kept until a file changes."""

from __future__ import annotations

import hashlib
import sqlite3
import zipfile
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, suppress
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from avssl.errors import MediaError
from avssl.media.facts import Facts, Media
from avssl.media.selection import digest_of
from avssl.media.sources.both import Both
from avssl.media.sources.traces import FORMAT, SOUND_SECONDS, Trace, measure
from avssl.media.sources.view import underlying
from avssl.system.console import ShowProgress, counting
from avssl.system.database import cached_database
from avssl.system.process_pool import Lost, each

NOTHING = Trace(
    np.zeros((0, 24, 24), np.uint8),
    np.zeros((0, 6, 6, 3), np.uint8),
    np.zeros(0, np.float32),
    np.zeros(0, np.uint32),
    np.zeros(0, np.uint16),
    np.zeros(0, np.float32),
)
"""Of what cannot be read."""

_ITEMS_A_JOB = 16
_WORTH_PROCESSES = 64
"""Fewer items are measured here: starting processes would take longer."""
_CHECK = 8


def traces_of(media: Media, workers: int | None, progress: ShowProgress) -> list[Trace]:
    """The trace of each item, from the cache where it is known; of what cannot be read an empty one."""
    keys = [_key(media, i) for i in range(len(media))]
    found: dict[int, Trace] = {}
    with _cache() as cache:
        for i, key in enumerate(keys):
            known = _known(cache, key)
            if known is not None:
                found[i] = known
        missing = [i for i in range(len(media)) if i not in found]
        for items, traces in _measured(media, missing, workers, progress):
            fresh = []
            for i, trace in zip(items, traces, strict=True):
                found[i] = trace or NOTHING
                if trace is not None:  # trouble that may pass is not remembered
                    data = trace.to_bytes()
                    fresh.append((keys[i], _check(data) + data))
            if cache is not None and fresh:
                with suppress(sqlite3.Error), cache:
                    cache.executemany("INSERT OR REPLACE INTO traces VALUES (?, ?)", fresh)
    return [found[i] for i in range(len(media))]


# --- measuring --------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class _Job:
    media: Media
    items: tuple[int, ...]


def _measured(
    media: Media, items: Sequence[int], workers: int | None, progress: ShowProgress
) -> Iterator[tuple[tuple[int, ...], list[Trace | None]]]:
    if not items:
        return
    jobs = [_Job(media, tuple(items[at : at + _ITEMS_A_JOB])) for at in range(0, len(items), _ITEMS_A_JOB)]
    with counting("looking for shared sources", len(items), "items", progress) as done:
        for place, answer in each(_measure, jobs, workers if len(items) >= _WORTH_PROCESSES else 0, _patience):
            job = jobs[place]
            # A job whose process was lost is no reason to end a run: whoever reads those files will hear of it.
            yield job.items, [None] * len(job.items) if isinstance(answer, Lost) else answer
            done(len(job.items))


def _measure(job: _Job) -> list[Trace | None]:
    found: list[Trace | None] = []
    for i in job.items:
        try:
            found.append(measure(job.media, i))
        except MediaError:
            found.append(None)
    return found


def _patience(job: _Job) -> float:
    return 120.0 + 2 * SOUND_SECONDS * len(job.items)


# --- the cache --------------------------------------------------------------------------------------------


def _key(media: Media, i: int) -> bytes:
    """What an item's trace is kept under: the file with its size and time, else the collection and the number."""
    while isinstance(base := underlying(media, i)[0], Both):
        media, i = base.part(underlying(media, i)[1])
    base, number = underlying(media, i)
    facts = base.facts(number)
    return digest_of(str(FORMAT), _state(base, facts), _shape(facts)).encode()


def _state(base: Media, facts: Facts) -> str:
    from avssl.media.collection import Collection

    if isinstance(base, Collection):
        with suppress(OSError):  # a member of a tar is no file
            stat = Path(facts.path).stat()
            return f"{facts.path}\0{stat.st_size}\0{stat.st_mtime_ns}"
    return f"{base.fingerprint}\0{getattr(base, 'stamp', '')}\0{facts.path}"


def _shape(facts: Facts) -> str:
    """Tells stretches of one file apart."""
    numbers = (facts.duration_seconds, facts.audio_start_seconds, facts.audio_end_seconds)
    return repr((*(round(number, 6) for number in numbers), facts.frame_count, facts.width, facts.height))


def _cache() -> AbstractContextManager[sqlite3.Connection | None]:
    """The traces known from before, or None where there is no cache to be had."""
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
