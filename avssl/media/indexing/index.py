"""The index: every file looked at once, and the verdicts kept on disk until the file changes."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import time
from collections.abc import Container, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from functools import cache, lru_cache
from importlib.metadata import version
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from avssl.errors import NothingUsable, UserError
from avssl.media.facts import Facts, Rejected
from avssl.media.indexing.inspect import Inspection
from avssl.media.indexing.inspect_many import Target, inspect_many
from avssl.media.indexing.item_table import Table, TableWriter, salvaged
from avssl.media.indexing.listing import ASKED, Entry, Listing, state_of
from avssl.media.indexing.reasons import grouped, is_transient
from avssl.media.segment import segment_facts, segment_of
from avssl.media.selection import digest_of
from avssl.system.console import ShowProgress, counting
from avssl.system.files import cache_folder, locked, read_json, whole_folder
from avssl.version import __version__

KEPT_SECONDS = 7 * 24 * 3600
"""Indexes of earlier states of the data that were not opened for this long are removed."""

LOOK = 3
"""Raised whenever a look at the same file may find something else; files are then looked at anew."""

INDEX_FORMAT = 3
"""Raised whenever an earlier index would be read wrongly. What it says of files is taken over all the same."""

FLUSH_SECONDS = 1.0
"""At most so much work of looking at files is lost with a process that is killed."""

FILES_AT_ONCE = 1 << 16
"""So many files are handed to the processes that look at them before the next are."""

FILES_AT_HAND = 1 << 12
"""Files whose facts are kept at hand while items are written: rows of a table name a file again and again."""

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
    An index that is damaged is made again. What was looked at is kept, also where the process is killed.

    Args:
        again: look at every file anew, whatever is known.

    Returns:
        The table, and how many files had to be looked at.

    Raises:
        NothingUsable: with the reason of each file.
        UserError: the index cannot be written.
    """
    # Of several processes that open the same data at the same time, one looks and the others wait for it.
    with locked(home):
        name = digest_of(f"{INDEX_FORMAT} {LOOK}", listing.digest(home))
        existing = None if again else _existing(home, name)
        looks = _Looks(listing, workers, progress)
        if existing is not None:
            with suppress(OSError):  # the index of another user, or on a read-only disk
                os.utime(existing.folder)
            if not looks.recheck(existing):
                return existing, looks.inspected
        # A new name each time: a worker may have an earlier index of the same files open, and opens it by its name.
        folder = home / f"{name}-{_next_number(home, name)}"
        with whole_folder(folder, kept_on=KeyboardInterrupt) as partial, TableWriter(partial) as writer:
            looks.complete(writer, [] if again else _earlier(home, partial))
            _write(listing, looks, writer)
        _remove_old(home, folder)
    return Table(folder), looks.inspected


# --- files ----------------------------------------------------------------------------------------------

_File = tuple[str, int, int, int, int]
_STATE = ("name", "offset", "size", "modified_ns", "changed_ns")
"""What names a file and its bytes, in the order of :attr:`Entry.file`."""


class _Looks:
    """What is known of each file of a listing: its facts, or why it cannot be used. Kept in the table, not here."""

    def __init__(self, listing: Listing, workers: int | None, progress: ShowProgress) -> None:
        self.listing = listing
        self.inspected = 0
        self.numbers: dict[_File, int] = {}
        """Of each file its number in the table."""
        self.refused: dict[int, str] = {}
        self.passing: list[int] = []
        """Those of ``refused`` whose trouble may pass."""
        self._workers = workers
        self._progress = progress
        self._fresh: dict[_File, Inspection] = {}
        self._flushed = time.monotonic()

    def recheck(self, table: Table) -> bool:
        """Look at the files whose trouble may have passed since this index; whether anything is otherwise now."""
        other_readers = table.header["readers"] != _readers()
        uncertain = [table.item(number) for number in table.header["refused" if other_readers else "passing"]]
        before = {_file_of(item): item["reason"] for item in uncertain}
        self._fresh = dict(self._inspect(list(before)))
        changed = any(inspection.reason != before[file] for file, inspection in self._fresh.items())
        return changed or (other_readers and bool(before))

    def complete(self, writer: TableWriter, earlier: Iterable[Path]) -> None:
        """Fill a table: from earlier ones where a file is as it was, else by a look at it."""
        wanted = dict.fromkeys(entry.file for entry in self.listing.entries)
        for file, inspection in self._fresh.items():
            self._keep(file, inspection, writer)
        for folder in earlier:
            self._take_over(folder, wanted, writer)
        writer.flush()
        unknown = [file for file in wanted if file not in self.numbers]
        for file, inspection in self._inspect(unknown):
            self._keep(file, inspection, writer)
            if time.monotonic() - self._flushed > FLUSH_SECONDS:
                writer.flush()
                self._flushed = time.monotonic()

    def _take_over(self, folder: Path, wanted: Container[_File], writer: TableWriter) -> None:
        """Keep what an earlier table says of files that have not changed since, and are not known already."""
        header = read_json(folder / "table.json") or {}
        for item, times, keys in salvaged(folder):
            file = _file_of(item)
            is_kept = not item.get("passing") and item.get("readers") in (None, _readers())
            if item.get("look", header.get("look")) == LOOK and is_kept and file in wanted and file not in self.numbers:
                self._add(file, item["found"], item.get("reason"), False, times, keys, writer)

    def _inspect(self, files: Sequence[_File]) -> Iterator[tuple[_File, Inspection]]:
        self.inspected += len(files)
        with counting("looking at files", len(files), "files", self._progress) as done:
            for first in range(0, len(files), FILES_AT_ONCE):
                some = files[first : first + FILES_AT_ONCE]
                targets = [self._target(file) for file in some]
                for place, inspection in inspect_many(targets, self._workers, done):
                    file, target = some[place], targets[place]
                    same = file[3:] == state_of(target.tar or target.path)[2:]
                    yield file, inspection if same or inspection.passing else Inspection(CHANGING, passing=True)

    def _target(self, file: _File) -> Target:
        name, offset, size, *_ = file
        return Target(self.listing.path_of(name), size, offset, self.listing.root if offset >= 0 else "")

    def _keep(self, file: _File, inspection: Inspection, writer: TableWriter) -> None:
        if inspection.reason is not None:
            passing = inspection.passing or is_transient(inspection.reason)
            self._add(file, None, inspection.reason, passing, _NO_TIMES, _NO_TIMES, writer)
            return
        found: dict[str, Any] = {name: getattr(inspection, name) for name in FOUND}
        found["clock"] = inspection.clock.numbers()
        times = np.zeros(1) if inspection.kind == "image" else inspection.clock.frame_times
        self._add(file, found, None, False, times, inspection.clock.key_times, writer)

    def _add(
        self,
        file: _File,
        found: dict[str, Any] | None,
        reason: str | None,
        passing: bool,
        times: NDArray[np.float64],
        keys: NDArray[np.float64],
        writer: TableWriter,
    ) -> None:
        number = self.numbers[file] = len(self.numbers)
        item = {**dict(zip(_STATE, file, strict=True)), "look": LOOK, "found": found}
        if reason is not None:
            self.refused[number] = reason
            item |= {"reason": reason, "passing": passing, "readers": _readers()}
        if passing:
            self.passing.append(number)
        writer.add_item(item, writer.add_times(times), writer.add_times(keys))


_NO_TIMES = np.zeros(0)


def _file_of(item: Mapping[str, Any]) -> _File:
    name, offset, size, modified_ns, changed_ns = (item[state] for state in _STATE)
    return (name, offset, size, modified_ns, changed_ns)


@cache
def _readers() -> str:
    """The versions of what reads files; a later one may read what was refused."""
    return f"avssl {__version__}, av {version('av')}, Pillow {version('pillow')}"


_OF_FINGERPRINT = ("name", "size", "modified_ns", "label", "split", "source", "start_seconds", "duration_seconds",
                   "offset")  # fmt: skip
_CLOCK_OF_FINGERPRINT = ("origin_seconds", "video_stream", "width", "height", "video_seekable", "frames_are_counted",
                         "audio_stream", "audio_rate", "audio_start_seconds", "audio_end_seconds",
                         "audio_tick_seconds", "audio_seekable", "audio_frame_samples",
                         "audio_anchor_seconds")  # fmt: skip


# --- writing --------------------------------------------------------------------------------------------


def _write(listing: Listing, looks: _Looks, writer: TableWriter) -> None:
    """Write the items: the rows of a listing whose files can be used, and what holds for all."""
    rejected = list(listing.rejected)
    content, stamp = hashlib.blake2b(digest_size=16), hashlib.blake2b(digest_size=16)
    known = lru_cache(FILES_AT_HAND)(lambda number: _Known.of(*writer.item(number)))
    count = 0
    for entry in listing.entries:
        number = looks.numbers[entry.file]
        reason = looks.refused.get(number) or _outside(entry, known(number))
        if reason is not None:
            rejected.append(Rejected(listing.path(entry), reason))
            continue
        file = known(number)
        stamp.update(f"{entry.modified_ns}\n".encode())
        content.update(_for_fingerprint(entry, file).encode())
        place = {"file": number, "start": entry.start_seconds, "seconds": entry.duration_seconds}
        writer.add_facts(_facts(entry, file), entry.name, **place)
        count += 1
    if not count:
        raise NothingUsable(_all_refused(listing.root, rejected), listing.root, sorted(rejected))
    writer.finish(
        {
            "root": listing.root,
            "look": LOOK,
            "index": INDEX_FORMAT,
            "fingerprint": content.hexdigest(),
            "stamp": stamp.hexdigest(),
            "rejected": sorted(rejected),
            "refused": list(looks.refused),
            "readers": _readers(),
            "passing": looks.passing,
        }
    )


class _Known(NamedTuple):
    """What a look found in a file, as the items in it need it."""

    found: dict[str, Any]
    times: NDArray[np.float64]
    fingerprint: str
    """Its part of the fingerprint."""

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
    """What the fingerprint is made of: always the same text, so that data keep theirs from version to version."""
    of_entry = {name: getattr(entry, name) for name in _OF_FINGERPRINT}
    return f'{json.dumps({**of_entry, "modified_ns": 0})[:-1]}, "found": {file.fingerprint}}}'


def _outside(entry: Entry, file: _Known) -> str | None:
    """Why a stretch is no stretch of its file."""
    length = file.found["duration_seconds"]
    if entry.start_seconds is not None and entry.start_seconds >= length:
        return f"starts at {entry.start_seconds:g} s, but the file ends at {length:.2f} s"
    return None


def _all_refused(root: str, rejected: list[Rejected]) -> str:
    counts = grouped(reason for _, reason in rejected)
    reason, number = max(counts.items(), key=lambda item: item[1], default=("nothing found", 0))
    if len(rejected) == 1:
        return f"{rejected[0].path}: {reason}"
    return f"{root}: none of its {len(rejected)} files can be used, most often because: {reason} ({number})"


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


def _earlier(home: Path, being_written: Path) -> list[Path]:
    """The last few tables made of this data, the newest first; also what was killed before it was whole."""
    folders = [folder for folder in home.iterdir() if folder.is_dir() and folder != being_written]
    return sorted(folders, key=lambda path: path.stat().st_mtime, reverse=True)[:4]


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
        is_index = path != kept and (path / "table.json").is_file()
        if (is_index or path.suffix == ASKED) and time.time() - path.stat().st_mtime > KEPT_SECONDS:
            if is_index:
                shutil.rmtree(path, ignore_errors=True)
            else:
                path.unlink(missing_ok=True)
