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
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from avssl.errors import NothingUsable, UserError
from avssl.media.cache import cache_folder, locked, whole_folder
from avssl.media.examine import Target, examine
from avssl.media.facts import Facts, Rejected
from avssl.media.inspect import Inspection
from avssl.media.listing import Entry, Listing
from avssl.media.progress import Clockwork, Tell
from avssl.media.selection import digest_of
from avssl.media.table import FORMAT, Span, Table, TableWriter

KEPT_SECONDS = 7 * 24 * 3600
"""Indexes of earlier states of the data that nobody has opened for this long are removed."""

LOOK = 2
"""Raised whenever a look at the same file may find something else; files are then looked at anew."""

FOUND = ("kind", "duration_seconds", "width", "height", "frame_count", "frame_rate", "audio_rate", "audio_channels",
         "audio_start_seconds", "audio_end_seconds", "flags")  # fmt: skip
"""Those of ``Facts`` that come from looking into the file."""


def index_home(listing: Listing, told: str | os.PathLike[str] | None) -> Path:
    """The folder that holds the indexes of this data: where told, else in the cache."""
    if told is not None:
        return Path(told).expanduser().absolute()
    return cache_folder() / "index" / f"{Path(listing.root).name or 'root'}-{digest_of(listing.root)[:12]}"


def indexed(listing: Listing, home: Path, workers: int | None, tell: Tell) -> tuple[Table, int]:
    """The index of a listing: opened if it is there, else made; only files that are new or changed are looked at.

    Returns:
        The table, and how many files had to be looked at.

    Raises:
        NothingUsable: with the reason of each file.
        UserError: the index cannot be written.
    """
    folder = home / digest_of(f"{FORMAT} {LOOK}", listing.digest())
    # Of several processes that open the same data at the same time, one looks and the others wait for it.
    with locked(home):
        if (folder / "table.json").is_file():
            with suppress(OSError):  # the index of somebody else, or on a disk that is read-only
                os.utime(folder)
            return Table(folder), 0
        verdicts = _Verdicts(listing)
        for table in _newest(home):
            verdicts.take_over(table)
        with whole_folder(folder) as partial, TableWriter(partial) as writer:
            verdicts.complete(writer, workers, tell)
            _write(listing, verdicts, writer)
        _remove_old(home, folder)
    return Table(folder), verdicts.looked_at


# --- verdicts -------------------------------------------------------------------------------------------

_File = tuple[str, int, int, int]


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
        self.looked_at = 0
        self._wanted = {entry.file for entry in listing.entries}
        self._earlier: list[tuple[_File, dict[str, Any], NDArray[np.float64], NDArray[np.float64]]] = []

    def take_over(self, table: Table) -> None:
        """Keep what an earlier index says of files that have not changed since, and are not known already."""
        if table.header.get("look") != LOOK:
            return
        for name, offset, size, modified_ns, reason in table.header["refused"]:
            if (file := (name, offset, size, modified_ns)) in self._wanted:
                self._wanted.remove(file)
                self.refused[file] = reason
        for i in range(len(table)):
            item = table.item(i)
            file = (item["name"], item["offset"], item["size"], item["modified_ns"])
            if file in self._wanted:
                self._wanted.remove(file)
                self._earlier.append((file, item["found"], table.times(i), table.keys(i)))

    def complete(self, writer: TableWriter, workers: int | None, tell: Tell) -> None:
        """Look at every file that is not known yet."""
        for file, found, times, keys in self._earlier:
            self.usable[file] = _Usable(found, writer.add_times(times), writer.add_times(keys))
        unknown: dict[_File, Target] = {}
        for entry in self.listing.entries:
            if entry.file not in self.usable and entry.file not in self.refused:
                tar = self.listing.root if entry.offset >= 0 else ""
                unknown[entry.file] = Target(self.listing.path(entry), entry.size, entry.offset, tar)
        files = list(unknown)
        self.looked_at = len(files)
        clockwork = Clockwork("looking at files", len(files), tell)
        for place, inspection in examine(list(unknown.values()), workers, clockwork.step):
            if inspection.reason is not None:
                self.refused[files[place]] = inspection.reason
            else:
                self.usable[files[place]] = _usable(inspection, writer)


def _usable(inspection: Inspection, writer: TableWriter) -> _Usable:
    found: dict[str, Any] = {name: getattr(inspection, name) for name in FOUND}
    found["clock"] = inspection.clock.numbers()
    times = np.zeros(1) if inspection.kind == "image" else inspection.clock.frame_times
    return _Usable(found, writer.add_times(times), writer.add_times(inspection.clock.key_times))


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
        content.update(json.dumps({**item, "modified_ns": 0}).encode())
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
            "refused": [[*file, reason] for file, reason in verdicts.refused.items()],
        }
    )


def _item(entry: Entry, usable: _Usable) -> dict[str, Any]:
    item = {name: getattr(entry, name) for name in Entry.__slots__}
    return {**item, "found": usable.found}


def _outside(entry: Entry, usable: _Usable) -> str | None:
    """Why a stretch is no stretch of its file."""
    length = usable.found["duration_seconds"]
    if entry.start_seconds is not None and entry.start_seconds >= length:
        return f"starts at {entry.start_seconds:g} s, but the file ends at {length:.2f} s"
    return None


def _all_refused(root: str, rejected: list[Rejected]) -> str:
    counts: dict[str, int] = {}
    for _, reason in rejected:
        counts[reason] = counts.get(reason, 0) + 1
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


def _tables(home: Path) -> Iterator[Path]:
    if home.is_dir():
        yield from (folder for folder in home.iterdir() if (folder / "table.json").is_file())


def _newest(home: Path) -> Iterator[Table]:
    """The last few indexes made of this data, the newest first."""
    for folder in sorted(_tables(home), key=lambda path: path.stat().st_mtime, reverse=True)[:4]:
        with suppress(UserError):  # of another version of avssl
            yield Table(folder)


def _remove_old(home: Path, kept: Path) -> None:
    for leftover in home.glob(".*/"):  # of processes that were killed; whoever holds the lock works alone
        shutil.rmtree(leftover, ignore_errors=True)
    for folder in list(_tables(home)):
        if folder != kept and time.time() - folder.stat().st_mtime > KEPT_SECONDS:
            shutil.rmtree(folder, ignore_errors=True)
