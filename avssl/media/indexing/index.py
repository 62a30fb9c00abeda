"""The index: the items of a listing with their facts, kept on disk until a file changes."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import time
from contextlib import suppress
from functools import lru_cache
from pathlib import Path
from typing import Any, NamedTuple
from uuid import uuid4

import numpy as np
from numpy.typing import NDArray

from avssl.errors import NothingUsable, UserError
from avssl.media.facts import Facts, Rejected
from avssl.media.indexing.inspections import FOUND, INSPECTION, File, Inspections
from avssl.media.indexing.item_table import Salvaged, Table, TableWriter
from avssl.media.indexing.listing import ASKED, Entry, Listing
from avssl.media.indexing.reasons import grouped
from avssl.media.segment import segment_facts, segment_of
from avssl.media.selection import digest_of
from avssl.system.console import ShowProgress, counted
from avssl.system.files import cache_folder, locked, make_folder, whole_folder
from avssl.system.parts import Part, parts_there

KEPT_SECONDS = 7 * 24 * 3600  # indexes of earlier states of the data are removed if not opened for this long

# To be raised whenever an earlier index would be read wrongly; its verdicts on files are still taken over.
INDEX_FORMAT = 3

EARLIER = 4  # of the last indexes of a folder, whose verdicts on unchanged files are taken over
PARTS = "looked-"  # prefix of the folder that holds parts to be merged
FILES_AT_HAND = 1 << 12  # kept parsed while items are written: rows of a table name the same file again and again


def index_home(listing: Listing, folder: str | os.PathLike[str] | None) -> Path:
    """The folder that holds the indexes of this data: ``folder``, or one in the cache."""
    if folder is not None:
        return Path(folder).expanduser().absolute()
    return cache_folder() / "index" / f"{Path(listing.root).name or 'root'}-{digest_of(listing.root)[:12]}"


def indexed(
    listing: Listing,
    home: Path,
    workers: int | None,
    progress: ShowProgress,
    *,
    again: bool = False,
    merge: bool = False,
) -> tuple[Table, int]:
    """The index of a listing, opened or made; only files that are new or changed are inspected.

    A file with a temporary error (no permission to read, a time-out, a disk that is away) is inspected each time.
    A damaged index is rebuilt. Verdicts are kept, even those of a process that is killed.

    Args:
        again: inspect every file, whatever is known.
        merge: all parts must have been inspected (:func:`inspect_part`).

    Returns:
        The table, and how many files had to be inspected.

    Raises:
        NothingUsable: with the reason of each file.
        UserError: the index cannot be written, or parts are missing.
    """
    # Of several processes that open the same data at the same time, one inspects and the others wait for it.
    with locked(home):
        name = _name(listing, home)
        parts = home / f"{PARTS}{name}"
        existing = None if again or (merge and parts.is_dir()) else _existing(home, name)
        inspections = Inspections(listing, workers, progress)
        if existing is not None:
            with suppress(OSError):  # the index of another user, or on a read-only disk
                os.utime(existing.folder)
            if not inspections.recheck(existing):
                return existing, inspections.inspected
        if merge and existing is None:
            inspections.recall(parts_there(parts.glob("*"), f"the index of {listing.root}"), with_passing=True)
        if not again:
            inspections.recall(_earlier(home))
        inspections.inspect(home / f".{PARTS}{uuid4().hex[:8]}")
        # A new name each time: a worker may have an earlier index of these files open, and opens it by its name.
        folder = home / f"{name}-{_next_number(home, name)}"
        with whole_folder(folder) as partial, TableWriter(partial) as writer:
            _write(listing, inspections, writer)
        shutil.rmtree(parts, ignore_errors=True)
        _remove_old(home, folder)
    return Table(folder), inspections.inspected


def inspect_part(
    listing: Listing, home: Path, part: Part, workers: int | None, progress: ShowProgress, *, again: bool = False
) -> None:
    """Inspect a part of the files, for an index that is merged from all parts later."""
    name = _name(listing, home)
    place = home / f"{PARTS}{name}" / part.name
    if place.is_dir() or (not again and _existing(home, name) is not None):
        return
    inspections = Inspections(listing, workers, progress)
    if not again:
        inspections.recall(_earlier(home))
    inspections.inspect(place, part)


def inspected_in_parts(listing: Listing, home: Path) -> int:
    """How many files of a listing were inspected by parts that are not merged yet."""
    return sum(len(Salvaged(part)) for part in (home / f"{PARTS}{_name(listing, home)}").glob("*"))


def _name(listing: Listing, home: Path) -> str:
    make_folder(home)
    return digest_of(f"{INDEX_FORMAT} {INSPECTION}", listing.digest(home))


# Spelled out, not taken from the dataclasses: a new field must not change the fingerprints of earlier data.
_OF_FINGERPRINT = ("name", "size", "modified_ns", "label", "split", "source", "start_seconds", "duration_seconds",
                   "offset")  # fmt: skip
_CLOCK_OF_FINGERPRINT = ("origin_seconds", "video_stream", "width", "height", "video_seekable", "frames_are_counted",
                         "audio_stream", "audio_rate", "audio_start_seconds", "audio_end_seconds",
                         "audio_tick_seconds", "audio_seekable", "audio_frame_samples",
                         "audio_anchor_seconds")  # fmt: skip


def _write(listing: Listing, inspections: Inspections, writer: TableWriter) -> None:
    """Write files and items in the order of the listing, whoever inspected them when, and the header."""
    numbers: dict[File, int] = {}
    refused: dict[int, str] = {}
    passing: list[int] = []
    for number, file in enumerate(inspections.files):
        item, times, keys = inspections.known(file)
        numbers[file] = number
        if item.get("reason") is not None:
            refused[number] = item["reason"]
            if item["passing"]:
                passing.append(number)
        writer.add_item(item, writer.add_times(times), writer.add_times(keys))
    rejected = list(listing.rejected)
    content, stamp = hashlib.blake2b(digest_size=16), hashlib.blake2b(digest_size=16)
    known = lru_cache(FILES_AT_HAND)(lambda number: _Known.of(*writer.item(number)))
    count = 0
    for entry in listing.entries:
        number = numbers[entry.file]
        reason = refused.get(number)
        if reason is None and entry.start_seconds is not None:
            length = known(number).found["duration_seconds"]
            if entry.start_seconds >= length:
                reason = f"starts at {entry.start_seconds:g} s, but the file ends at {length:.2f} s"
        if reason is not None:
            rejected.append(Rejected(listing.path(entry), reason))
            continue
        stamp.update(f"{entry.modified_ns}\n".encode())
        content.update(_for_fingerprint(entry, known(number)).encode())
        place = {"file": number, "start": entry.start_seconds, "seconds": entry.duration_seconds}
        writer.add_facts(_facts(entry, known(number)), entry.name, **place)
        count += 1
    if not count:
        raise NothingUsable(_all_refused(listing.root, rejected), listing.root, sorted(rejected))
    writer.finish(
        {
            "root": listing.root,
            "look": INSPECTION,
            "index": INDEX_FORMAT,
            "fingerprint": content.hexdigest(),
            "stamp": stamp.hexdigest(),
            "rejected": sorted(rejected),
            "refused": list(refused),
            "readers": inspections.readers,
            "passing": passing,
        }
    )


class _Known(NamedTuple):
    """What inspection found in a file, as the items in it need it."""

    found: dict[str, Any]
    times: NDArray[np.float64]
    fingerprint: str  # this file's part of the fingerprint

    @staticmethod
    def of(item: dict[str, Any], times: NDArray[np.float64]) -> _Known:
        found = item["found"]
        clock = {name: found["clock"][name] for name in _CLOCK_OF_FINGERPRINT}
        return _Known(found, times, json.dumps({**{name: found[name] for name in FOUND}, "clock": clock}))


def _facts(entry: Entry, file: _Known) -> Facts:
    whole = Facts(
        path=entry.name,
        label=entry.label,
        split=entry.split,
        source=entry.source,
        **{name: file.found[name] for name in FOUND[:-1]},
        flags=tuple(file.found["flags"]),
    )
    segment = segment_of(file.times, entry.start_seconds, entry.duration_seconds)
    return segment_facts(whole, segment, len(file.times[segment.first : segment.stop]))


def _for_fingerprint(entry: Entry, file: _Known) -> str:
    """Text that the fingerprint is computed from; the same in every version, so that data keep their fingerprint."""
    of_entry = {name: getattr(entry, name) for name in _OF_FINGERPRINT}
    return f'{json.dumps({**of_entry, "modified_ns": 0})[:-1]}, "found": {file.fingerprint}}}'


def _outside(entry: Entry, file: _Known) -> str | None:
    length = file.found["duration_seconds"]
    if entry.start_seconds is not None and entry.start_seconds >= length:
        return f"starts at {entry.start_seconds:g} s, but the file ends at {length:.2f} s"
    return None


def _all_refused(root: str, rejected: list[Rejected]) -> str:
    counts = grouped(reason for _, reason in rejected)
    reason, number = max(counts.items(), key=lambda item: item[1], default=("nothing found", 0))
    if len(rejected) == 1:
        return f"{rejected[0].path}: {reason}"
    return f"{root}: none of its {counted(len(rejected), 'file')} can be used, most often because: {reason} ({number})"


def _existing(home: Path, name: str) -> Table | None:
    """The latest whole index of these files; damaged ones are removed."""
    for folder in sorted(home.glob(f"{name}-*"), key=_number, reverse=True):
        table = _opened(folder)
        if table is not None:
            return table
        shutil.rmtree(folder, ignore_errors=True)
    return None


def _number(folder: Path) -> int:
    last = folder.name.rpartition("-")[2]
    return int(last) if last.isdecimal() else -1


def _next_number(home: Path, name: str) -> int:
    return 1 + max((_number(folder) for folder in home.glob(f"{name}-*")), default=-1)


def _earlier(home: Path) -> list[Path]:
    """Tables that know some of these files, the newest first: the last indexes, and unfinished or unmerged parts."""
    folders = [folder for folder in home.iterdir() if folder.is_dir() and not folder.name.startswith(PARTS)]
    newest = sorted(folders, key=lambda path: path.stat().st_mtime, reverse=True)[:EARLIER]
    return [*newest, *(part for part in home.glob(f"{PARTS}*/*") if part.is_dir())]


def _opened(folder: Path) -> Table | None:
    """The index in a folder; None if it is damaged or of another version."""
    try:
        table = Table(folder)
    except UserError:
        return None
    return table if table.header.get("index") == INDEX_FORMAT else None


def _remove_old(home: Path, kept: Path) -> None:
    for leftover in home.glob(".*/"):  # of processes that were killed; whoever holds the lock works alone
        shutil.rmtree(leftover, ignore_errors=True)
    for path in home.iterdir():
        is_ours = path.suffix == ASKED or path.name.startswith(PARTS) or (path / "table.json").is_file()
        if is_ours and path != kept and time.time() - path.stat().st_mtime > KEPT_SECONDS:
            if path.is_dir():
                shutil.rmtree(path, ignore_errors=True)
            else:
                path.unlink(missing_ok=True)
