"""The index: every file looked at once, and the verdicts kept on disk until the file changes."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import time
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from functools import cache
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from avssl.errors import NothingUsable, UserError
from avssl.media.facts import Facts, Rejected
from avssl.media.indexing.inspect import Inspection
from avssl.media.indexing.inspect_many import Target, inspect_many
from avssl.media.indexing.item_table import FORMAT, DamagedTable, Span, Table, TableWriter
from avssl.media.indexing.listing import Entry, Listing, times_of
from avssl.media.indexing.reasons import grouped, is_transient
from avssl.media.selection import digest_of
from avssl.system.console import ShowProgress, counting
from avssl.system.files import cache_folder, locked, whole_folder
from avssl.version import __version__

KEPT_SECONDS = 7 * 24 * 3600
"""Indexes of earlier states of the data that were not opened for this long are removed."""

LOOK = 3
"""Raised whenever a look at the same file may find something else; files are then looked at anew."""

CHANGING = "changed while it was looked at; index again once it is complete"

FOUND = ("kind", "duration_seconds", "width", "height", "frame_count", "frame_rate", "audio_rate", "audio_channels",
         "audio_start_seconds", "audio_end_seconds", "flags")  # fmt: skip
"""Those of ``Facts`` that come from looking into the file."""


def index_home(listing: Listing, folder: str | os.PathLike[str] | None) -> Path:
    """The folder that holds the indexes of this data: this one if given, else in the cache."""
    if folder is not None:
        return Path(folder).expanduser().absolute()
    return cache_folder() / "index" / f"{Path(listing.root).name or 'root'}-{digest_of(listing.root)[:12]}"


def indexed(
    listing: Listing, home: Path, workers: int | None, progress: ShowProgress, *, again: bool = False
) -> tuple[Table, int]:
    """The index of a listing: opened if it is there, else made; only files that are new or changed are looked at.

    A file whose trouble may pass (no right to read it, a time-out, a disk that is away) is looked at anew each time.
    An index that is damaged is made again.

    Args:
        again: look at every file anew, whatever is known.

    Returns:
        The table, and how many files had to be looked at.

    Raises:
        NothingUsable: with the reason of each file.
        UserError: the index cannot be written.
    """
    name = digest_of(f"{FORMAT} {LOOK}", listing.digest())
    # Of several processes that open the same data at the same time, one looks and the others wait for it.
    with locked(home):
        existing = None if again else _existing(home, name)
        verdicts = _Verdicts(listing)
        if existing is not None:
            with suppress(OSError):  # the index of another user, or on a read-only disk
                os.utime(existing.folder)
            if not verdicts.recheck(existing, workers, progress):
                return existing, verdicts.inspected
        if not again:
            for table in _newest(home):
                verdicts.take_over(table)
        # A new name each time: a worker may have an earlier index of the same files open, and opens it by its name.
        folder = home / f"{name}-{_next_number(home, name)}"
        with whole_folder(folder) as partial, TableWriter(partial) as writer:
            verdicts.complete(writer, workers, progress)
            _write(listing, verdicts, writer)
        _remove_old(home, folder)
    return Table(folder), verdicts.inspected


# --- verdicts -------------------------------------------------------------------------------------------

_File = tuple[str, int, int, int, int]


@dataclass(slots=True)
class _Usable:
    found: dict[str, Any]
    """Facts of the whole file and its clock's numbers, as JSON says them."""
    times: Span
    keys: Span


class _Verdicts:
    """What is known of each file of a listing: its facts, or why it cannot be used."""

    def __init__(self, listing: Listing) -> None:
        self.listing = listing
        self.usable: dict[_File, _Usable] = {}
        self.refused: dict[_File, str] = {}
        self.passing: set[_File] = set()
        """Those of ``refused`` whose trouble may pass."""
        self.inspected = 0
        self._wanted = {entry.file: entry for entry in listing.entries}
        self._earlier: list[tuple[_File, dict[str, Any], NDArray[np.float64], NDArray[np.float64]]] = []
        self._fresh: dict[_File, Inspection] = {}

    def recheck(self, table: Table, workers: int | None, progress: ShowProgress) -> bool:
        """Look at the files whose trouble may have passed since this index; whether anything is otherwise now."""
        other_readers = table.header["readers"] != _readers()
        uncertain = [*table.header["passing"], *(table.header["refused"] if other_readers else ())]
        before = {tuple(file): reason for *file, reason in uncertain}
        files = [file for file in self._wanted if file in before]
        for file, inspection in self._inspect(files, workers, progress):
            self._fresh[file] = inspection
        changed = any(inspection.reason != before[file] for file, inspection in self._fresh.items())
        return changed or (other_readers and bool(files))

    def take_over(self, table: Table) -> None:
        """Keep what an earlier index says of files that have not changed since, and are not known already."""
        if table.header.get("look") != LOOK:
            return
        for *state, reason in table.header["refused"] if table.header["readers"] == _readers() else ():
            if (file := tuple(state)) in self._wanted:
                del self._wanted[file]
                self.refused[file] = reason
        with suppress(DamagedTable):  # what was read before that stands
            for i in range(len(table)):
                item = table.item(i)
                file = (item["name"], item["offset"], item["size"], item["modified_ns"], item["changed_ns"])
                if file in self._wanted:
                    times, keys = table.times(i), table.keys(i)
                    del self._wanted[file]
                    self._earlier.append((file, item["found"], times, keys))

    def complete(self, writer: TableWriter, workers: int | None, progress: ShowProgress) -> None:
        """Look at every file that is not known yet."""
        for file, found, times, keys in self._earlier:
            self.usable[file] = _Usable(found, writer.add_times(times), writer.add_times(keys))
        for file, inspection in self._fresh.items():
            self._keep(file, inspection, writer)
        unknown = [file for file in self._wanted if file not in self._fresh]
        for file, inspection in self._inspect(unknown, workers, progress):
            self._keep(file, inspection, writer)

    def _inspect(
        self, files: list[_File], workers: int | None, progress: ShowProgress
    ) -> Iterator[tuple[_File, Inspection]]:
        self.inspected += len(files)
        targets = []
        for file in files:
            entry = self._wanted[file]
            tar = self.listing.root if entry.offset >= 0 else ""
            targets.append(Target(self.listing.path(entry), entry.size, entry.offset, tar))
        with counting("looking at files", len(files), "files", progress) as done:
            for place, inspection in inspect_many(targets, workers, done):
                file, target = files[place], targets[place]
                same = file[3:] == times_of(target.tar or target.path)
                yield file, inspection if same or inspection.passing else Inspection(CHANGING, passing=True)

    def _keep(self, file: _File, inspection: Inspection, writer: TableWriter) -> None:
        if inspection.reason is None:
            self.usable[file] = _usable(inspection, writer)
            return
        self.refused[file] = inspection.reason
        if inspection.passing or is_transient(inspection.reason):
            self.passing.add(file)


@cache
def _readers() -> str:
    """The versions of what reads files; a later one may read what was refused."""
    return f"avssl {__version__}, av {version('av')}, Pillow {version('pillow')}"


def _usable(inspection: Inspection, writer: TableWriter) -> _Usable:
    found: dict[str, Any] = {name: getattr(inspection, name) for name in FOUND}
    found["clock"] = inspection.clock.numbers()
    times = np.zeros(1) if inspection.kind == "image" else inspection.clock.frame_times
    return _Usable(found, writer.add_times(times), writer.add_times(inspection.clock.key_times))


_OF_FINGERPRINT = ("name", "size", "modified_ns", "label", "split", "source", "start_seconds", "duration_seconds",
                   "offset")  # fmt: skip
_CLOCK_OF_FINGERPRINT = ("origin_seconds", "video_stream", "width", "height", "video_seekable", "frames_are_counted",
                         "audio_stream", "audio_rate", "audio_start_seconds", "audio_end_seconds",
                         "audio_tick_seconds", "audio_seekable", "audio_frame_samples",
                         "audio_anchor_seconds")  # fmt: skip


# --- writing --------------------------------------------------------------------------------------------


def _write(listing: Listing, verdicts: _Verdicts, writer: TableWriter) -> None:
    rejected = list(listing.rejected)
    content, stamp = hashlib.blake2b(digest_size=16), hashlib.blake2b(digest_size=16)
    count = 0
    for entry in listing.entries:
        reason = verdicts.refused.get(entry.file) or _outside(entry, verdicts.usable[entry.file])
        if reason is not None:
            rejected.append(Rejected(listing.path(entry), reason))
            continue
        usable = verdicts.usable[entry.file]
        item = _item(entry, usable)
        stamp.update(f"{item['modified_ns']}\n".encode())
        content.update(json.dumps(_of_fingerprint(item)).encode())
        writer.add_item(item, usable.times, usable.keys)
        count += 1
    if not count:
        raise NothingUsable(_all_refused(listing.root, rejected), listing.root, sorted(rejected))
    writer.finish(
        {
            "root": listing.root,
            "look": LOOK,
            "fingerprint": content.hexdigest(),
            "stamp": stamp.hexdigest(),
            "rejected": sorted(rejected),
            "refused": [[*file, reason] for file, reason in verdicts.refused.items() if file not in verdicts.passing],
            "readers": _readers(),
            "passing": [[*file, verdicts.refused[file]] for file in sorted(verdicts.passing)],
        }
    )


def _item(entry: Entry, usable: _Usable) -> dict[str, Any]:
    item = {name: getattr(entry, name) for name in Entry.__slots__}
    return {**item, "found": usable.found}


def _of_fingerprint(item: dict[str, Any]) -> dict[str, Any]:
    """What the fingerprint is made of: always the same things, so that data keep theirs from version to version."""
    clock = {name: item["found"]["clock"][name] for name in _CLOCK_OF_FINGERPRINT}
    found = {**{name: item["found"][name] for name in FOUND}, "clock": clock}
    return {**{name: item[name] for name in _OF_FINGERPRINT}, "modified_ns": 0, "found": found}


def _outside(entry: Entry, usable: _Usable) -> str | None:
    """Why a stretch is no stretch of its file."""
    length = usable.found["duration_seconds"]
    if entry.start_seconds is not None and entry.start_seconds >= length:
        return f"starts at {entry.start_seconds:g} s, but the file ends at {length:.2f} s"
    return None


def _all_refused(root: str, rejected: list[Rejected]) -> str:
    counts = grouped(reason for _, reason in rejected)
    reason, number = max(counts.items(), key=lambda item: item[1], default=("nothing found", 0))
    if len(rejected) == 1:
        return f"{rejected[0].path}: {reason}"
    return f"{root}: none of its {len(rejected)} files can be used, most often because: {reason} ({number})"


def facts_of(item: dict[str, Any], path: str) -> Facts:
    """The facts of the whole file that an item of a table lies in."""
    found = item["found"]
    return Facts(
        path=path,
        label=item["label"],
        split=item["split"],
        source=item["source"],
        **{name: found[name] for name in FOUND[:-1]},
        flags=tuple(found["flags"]),
    )


# --- earlier indexes ------------------------------------------------------------------------------------


def _existing(home: Path, name: str) -> Table | None:
    """The latest index of these very files that is whole; damaged ones are removed."""
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


def _newest(home: Path) -> Iterator[Table]:
    """The last few indexes made of this data, the newest first."""
    folders = [folder for folder in home.iterdir() if folder.is_dir() and not folder.name.startswith(".")]
    for folder in sorted(folders, key=lambda path: path.stat().st_mtime, reverse=True)[:4]:
        table = _opened(folder)
        if table is not None:
            yield table


def _opened(folder: Path) -> Table | None:
    """The index in a folder; None if it is damaged or of another version."""
    try:
        table = Table(folder)
    except UserError:
        return None
    return table if table.header["format"] == FORMAT and "passing" in table.header else None


def _remove_old(home: Path, kept: Path) -> None:
    for leftover in home.glob(".*/"):  # of processes that were killed; whoever holds the lock works alone
        shutil.rmtree(leftover, ignore_errors=True)
    for folder in home.iterdir():
        is_index = folder != kept and (folder / "table.json").is_file()
        if is_index and time.time() - folder.stat().st_mtime > KEPT_SECONDS:
            shutil.rmtree(folder, ignore_errors=True)
