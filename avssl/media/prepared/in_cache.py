"""Prepared sets in the cache: made once for the needs of a training, and reused."""

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
from avssl.system.console import Log, ShowProgress, counted, size
from avssl.system.files import cache_folder

FREE_SHARE = 0.9  # of the free disk that a preparation may take: its size is an estimate


def ensure_prepared(
    media: Media,
    side: int | None,
    rate: int | None,
    budget_bytes: int,
    log: Log,
    *,
    workers: int | None = None,
    progress: ShowProgress = None,
) -> Media:
    """The same media prepared in the cache, if that is worth it and fits; else ``media`` itself. Logs which.

    An earlier preparation is used again as long as no file has changed. Of several processes at once, one prepares and
    the others wait for it. Items that cannot be decoded to their end are missing from the result (and in its
    ``rejected``), so divide it into parts afterwards, not before.

    Args:
        side, rate, workers, progress: as in :func:`prepare`.
        budget_bytes: the most that the preparation may take on disk.

    Raises:
        UserError: the cache cannot be written.
    """
    work = _work(media, Settings(side, None, rate))
    if work is None:
        return media
    existing = _existing(work.folder)
    if existing is not None:
        log(f"reading {counted(len(media), 'item')} as prepared before, in {work.folder}")
        return existing
    home, needed, free = work.folder, estimated_bytes(media, work.settings), _free_bytes(work.folder)
    if needed > budget_bytes:
        log(f"not prepared: that would take about {size(needed)}, and {size(budget_bytes)} are allowed")
        return media
    if needed > FREE_SHARE * free:
        log(f"not prepared: that would take about {size(needed)}, and {size(free)} are free in {home.parent}")
        return media
    with held(work, partial(log, f"another process is preparing these items in {home}; waiting for it")):
        if not is_prepared(home):
            log(f"preparing {counted(len(media), 'item')} once, about {size(needed)}, in {home}")
            work.finish(workers, progress)
    return Prepared(home)


def prepared_already(media: Media, side: int | None, rate: int | None, budget_bytes: int) -> tuple[Media, int]:
    """What :func:`ensure_prepared` has prepared before, else ``media``; and about how many bytes it would write."""
    work = _work(media, Settings(side, None, rate))
    existing = None if work is None else _existing(work.folder)
    if work is None or existing is not None:
        return existing or media, 0
    needed = estimated_bytes(media, work.settings)
    return media, needed if needed <= min(budget_bytes, FREE_SHARE * _free_bytes(work.folder)) else 0


def _work(media: Media, settings: Settings) -> PrepareWork | None:
    """The preparation of media in the cache; None if they are prepared already, or it is not worth it."""
    if not isinstance(media, (Collection, Subset)) or not from_files(media) or not _is_worth_it(media, settings):
        return None
    key = digest_of(media.fingerprint, stamp_of(media), repr(settings))[:16]
    folder = cache_folder() / "prepared" / f"{Path(common_root(media)).stem or 'root'}-{key}"
    return PrepareWork(media, folder, settings)


def _existing(home: Path) -> Prepared | None:
    """A preparation in the cache; a damaged one is removed, as anything in the cache can be made again."""
    if not is_prepared(home):
        if was_prepared(home) and not is_unfinished(home):
            shutil.rmtree(home, ignore_errors=True)
        return None
    try:
        return Prepared(home)
    except UserError:
        shutil.rmtree(home, ignore_errors=True)
        return None


def _is_worth_it(media: Media, settings: Settings) -> bool:
    """Whether random access to the files costs more than to a prepared set: not for small images."""
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
