"""Measurements of an item to find its source: five frames and at most the first twenty seconds of its sound.

Measured once, and cached until the file changes.
"""

from __future__ import annotations

import hashlib
import io
import sqlite3
import zipfile
from contextlib import AbstractContextManager, suppress
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from avssl.media.facts import Facts, Media
from avssl.media.measuring import measured
from avssl.media.selection import Concatenated, digest_of, stamp_of, underlying
from avssl.media.sources.audio_landmarks import RATE, landmarks, steady_tones
from avssl.media.sources.borders import border_of
from avssl.media.sources.image_similarity import thumbnail
from avssl.system.console import ShowProgress
from avssl.system.database import cached_database

FRAMES = 5
SOUND_SECONDS = 20.0
FORMAT = 4  # to be raised whenever the same item would be measured differently


def _empty(kind: type, *shape: int) -> Any:
    return field(default_factory=lambda: np.zeros((0, *shape), kind))


@dataclass(frozen=True)
class Trace:
    grey: NDArray[np.uint8] = _empty(np.uint8, 24, 24)  # thumbnails, (k, 24, 24); k is 5, 1 of an image, 0 of a sound
    colour: NDArray[np.uint8] = _empty(np.uint8, 6, 6, 3)  # coarse thumbnails of the same frames, (k, 6, 6, 3)
    # The colour of a constant border and its widths (left, top, right, bottom) as shares of the shorter side, (7,);
    # empty without one.
    border: NDArray[np.float32] = _empty(np.float32)
    peaks: NDArray[np.uint32] = _empty(np.uint32)  # hashes of the landmarks of the sound, (n,)
    times: NDArray[np.uint16] = _empty(np.uint16)  # of the landmarks, in hops, (n,)
    tones: NDArray[np.float32] = _empty(np.float32)  # frequencies of steady tones in Hz, strongest first, (m,)

    def to_bytes(self) -> bytes:
        buffer = io.BytesIO()
        np.savez(buffer, **{one.name: getattr(self, one.name) for one in fields(self)})
        return buffer.getvalue()

    @staticmethod
    def from_bytes(data: bytes) -> Trace:
        with np.load(io.BytesIO(data), allow_pickle=False) as arrays:
            return Trace(**{one.name: arrays[one.name] for one in fields(Trace)})


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


def frame_times(facts: Facts) -> list[float]:
    """The times of the frames that are measured, in the middle of equal parts."""
    if facts.kind != "video":
        return [0.0]
    return [facts.duration_seconds * (k + 0.5) / FRAMES for k in range(FRAMES)]


def measure(media: Media, i: int) -> Trace:
    """Measure an item; raises MediaError where it cannot be read."""
    facts = media.facts(i)
    found: dict[str, NDArray[Any]] = {}
    if facts.kind != "sound":
        frames = media.frames(i, frame_times(facts))
        found["grey"], found["colour"] = map(np.stack, zip(*map(thumbnail, frames), strict=True))
        if facts.kind == "video":
            found["border"] = border_of(frames)
    if facts.has_sound:
        wave = sound_of(media, i)
        found["peaks"], found["times"] = landmarks(wave)
        found["tones"] = steady_tones(wave)
    return Trace(**found)


def sound_of(media: Media, i: int) -> NDArray[np.float32]:
    """The sound that is measured, at 8 kHz. (n,)"""
    facts = media.facts(i)
    start, end = facts.audio_start_seconds, facts.audio_end_seconds
    if facts.has_video:
        start, end = max(start, 0.0), min(end, facts.duration_seconds)
    return media.audio(i, start, max(min(end - start, SOUND_SECONDS), 0.0), RATE)


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
    with suppress(sqlite3.Error, ValueError, KeyError, zipfile.BadZipFile):  # a damaged cache, or of another version
        row = cache.execute("SELECT trace FROM traces WHERE item = ?", (key,)).fetchone()
        stored = row[0] if row is not None and isinstance(row[0], bytes) else b""
        if stored and stored[:_CHECK] == _check(stored[_CHECK:]):
            return Trace.from_bytes(stored[_CHECK:])
    return None


def _check(data: bytes) -> bytes:
    return hashlib.blake2b(data, digest_size=_CHECK).digest()
