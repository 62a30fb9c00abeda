"""Prepared sets in the cache: made once for whatever training asks, and found again."""

from __future__ import annotations

import shutil
from functools import partial
from pathlib import Path

from avssl.errors import UserError
from avssl.media.collection import Collection
from avssl.media.facts import Media
from avssl.media.indexing.summary import common_root
from avssl.media.prepared.estimate import estimated_bytes
from avssl.media.prepared.read import Prepared, is_prepared, is_unfinished, was_prepared
from avssl.media.prepared.shard import Settings
from avssl.media.prepared.write import PrepareWork, from_files, held
from avssl.media.selection import Subset, digest_of, stamp_of
from avssl.system.console import Log, ShowProgress, size
from avssl.system.files import cache_folder


def ensure_prepared(
    media: Media,
    side: int | None,
    rate: int | None,
    budget_bytes: int,
    log: Log,
    *,
    fps: float | None = None,
    workers: int | None = None,
    progress: ShowProgress = None,
) -> Media:
    """The same media prepared in the cache, if that is worth it and fits; else ``media`` itself. Says which.

    An earlier preparation is used again as long as no file has changed. Of several processes that ask at
    once, one prepares and the others wait for it and use it. What cannot be decoded to its end is missing from the
    answer (and in its ``rejected``), so divide it into parts afterwards, not before.

    Args:
        side, rate, fps, workers, progress: as in :func:`prepare`.
        budget_bytes: the most that the preparation may take on disk.
        log: takes one line of text.

    Raises:
        UserError: the cache cannot be written.
    """
    settings = Settings(side, fps, rate)
    if not isinstance(media, (Collection, Subset)) or not from_files(media) or not _is_worth_it(media, settings):
        return media
    home = _home(media, settings)
    existing = _existing(home)
    if existing is not None:
        log(f"reading {len(media)} items as prepared before, in {home}")
        return existing
    needed, free = estimated_bytes(media, settings), _free_bytes(home)
    if needed > budget_bytes:
        log(f"not prepared: that would take about {size(needed)}, and {size(budget_bytes)} are allowed")
        return media
    if needed > 0.9 * free:
        log(f"not prepared: that would take about {size(needed)}, and {size(free)} are free in {home.parent}")
        return media
    waiting = partial(log, f"another process is preparing these items in {home}; waiting for it")
    work = PrepareWork(media, home, settings)
    with held(work, waiting):
        if not is_prepared(home):
            log(f"preparing {len(media)} items once, about {size(needed)}, in {home}")
            work.finish(workers, progress)
    return Prepared(home)


def prepared_already(
    media: Media, side: int | None, rate: int | None, budget_bytes: int, *, fps: float | None = None
) -> tuple[Media, int]:
    """What :func:`ensure_prepared` has prepared before, else ``media``; and about how many bytes it would write."""
    settings = Settings(side, fps, rate)
    if not isinstance(media, (Collection, Subset)) or not from_files(media) or not _is_worth_it(media, settings):
        return media, 0
    home = _home(media, settings)
    existing = _existing(home)
    if existing is not None:
        return existing, 0
    needed = estimated_bytes(media, settings)
    return media, needed if needed <= min(budget_bytes, 0.9 * _free_bytes(home)) else 0


def _existing(home: Path) -> Prepared | None:
    """A preparation in the cache; a damaged one is removed, and made again like any that is missing."""
    if not is_prepared(home):
        if was_prepared(home) and not is_unfinished(home):
            shutil.rmtree(home, ignore_errors=True)
        return None
    try:
        return Prepared(home)
    except UserError:
        shutil.rmtree(home, ignore_errors=True)
        return None


def _key(media: Media, settings: Settings) -> str:
    return digest_of(media.fingerprint, stamp_of(media), repr(settings))


def _home(media: Collection | Subset, settings: Settings) -> Path:
    """Where in the cache these media are prepared."""
    return cache_folder() / "prepared" / f"{Path(common_root(media)).stem or 'root'}-{_key(media, settings)[:16]}"


def _is_worth_it(media: Media, settings: Settings) -> bool:
    """Whether reading the files at random costs more than reading them prepared: not for small images."""
    for i in range(0, len(media), max(len(media) // 256, 1)):
        facts = media.facts(i)
        if facts.kind != "image":
            return True
        if settings.side is not None and min(facts.width, facts.height) > 1.5 * settings.side:
            return True
    return False


def _free_bytes(folder: Path) -> int:
    while not folder.exists():
        folder = folder.parent
    return shutil.disk_usage(folder).free
