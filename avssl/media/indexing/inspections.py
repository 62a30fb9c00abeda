"""Inspecting every file once, in parallel; verdicts are on disk within a second."""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import cache
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from avssl.media.indexing.inspect import Inspection
from avssl.media.indexing.inspect_many import Target, inspect_many
from avssl.media.indexing.item_table import Salvaged, Table, TableWriter
from avssl.media.indexing.listing import Listing, state_of
from avssl.media.indexing.reasons import is_transient
from avssl.system.console import ShowProgress, counting
from avssl.system.files import whole_folder
from avssl.system.parts import WHOLE, Part
from avssl.version import __version__

INSPECTION = 3  # to be raised whenever the same file may get another verdict: files are then inspected anew
FLUSH_SECONDS = 1.0  # at most this much work is lost with a process that is killed
FILES_AT_ONCE = 1 << 16  # handed to the pool together: targets for all of many millions would take gigabytes

CHANGING = "changed while it was inspected; index again once it is complete"

# The fields of Facts that inspection finds; the others come from the listing.
FOUND = ("kind", "duration_seconds", "width", "height", "frame_count", "frame_rate", "audio_rate", "audio_channels",
         "audio_start_seconds", "audio_end_seconds", "flags")  # fmt: skip

# What identifies the bytes of a file, in the order of Entry.file.
File = tuple[str, int, int, int, int]
_STATE = ("name", "offset", "size", "modified_ns", "changed_ns")

Known = tuple[dict[str, Any], NDArray[np.float64], NDArray[np.float64]]  # a line as JSON, frame times, key times

_NO_TIMES = np.zeros(0)


class Inspections:
    """What is known of each file of a listing: its facts, or why it cannot be used. Stored in tables on disk."""

    def __init__(self, listing: Listing, workers: int | None, progress: ShowProgress) -> None:
        self.listing = listing
        self.inspected = 0
        self._workers = workers
        self._progress = progress
        self._fresh: dict[File, Inspection] = {}
        self._tables: list[Salvaged] = []
        # Of each file that is known its table and its number in that.
        self._places: dict[File, tuple[int, int]] = {}
        self._files: dict[File, None] = {}

    @property
    def files(self) -> Mapping[File, None]:
        """All files of the listing, each once, in order."""
        if not self._files:
            self._files = dict.fromkeys(entry.file for entry in self.listing.entries)
        return self._files

    @property
    def readers(self) -> str:
        return readers()

    def recheck(self, table: Table) -> bool:
        """Inspect again what this index refused for a temporary reason; returns whether any verdict has changed."""
        # Other versions of the decoders may read what was refused, whatever the reason.
        other_readers = table.header["readers"] != readers()
        uncertain = [table.item(number) for number in table.header["refused" if other_readers else "passing"]]
        before = {_file_of(item): item["reason"] for item in uncertain}
        self._fresh = dict(self._inspect(list(before)))
        changed = any(inspection.reason != before[file] for file, inspection in self._fresh.items())
        return changed or (other_readers and bool(before))

    def recall(self, folders: Iterable[Path], *, with_passing: bool = False) -> None:
        """Take over what these tables know of unchanged files; temporary errors only ``with_passing``."""
        for folder in folders:
            table = Salvaged(folder)
            for number, item in enumerate(table):
                file = _file_of(item)
                is_kept = with_passing or not item.get("passing")
                # Each line has its own version: a table may take over lines of another.
                is_ours = item.get("look", table.header.get("look")) == INSPECTION
                is_ours &= item.get("readers") in (None, readers())
                if is_kept and is_ours and file in self.files and file not in self._fresh:
                    self._places.setdefault(file, (len(self._tables), number))
            self._tables.append(table)

    def inspect(self, place: Path, part: Part = WHOLE) -> None:
        """Inspect every file of a part that is not known yet, and write the verdicts into a table at ``place``."""
        files = list(self.files)
        mine = [files[number] for number in part.range(len(files))]
        unknown = [file for file in mine if file not in self._places and file not in self._fresh]
        flushed = time.monotonic()
        with whole_folder(place, kept_on=KeyboardInterrupt) as partial, TableWriter(partial) as writer:
            for file, inspection in self._fresh.items():
                _write_down(file, inspection, writer)
            # What was recalled as well: the machine that merges may not have the earlier indexes of this one.
            for file in mine if part != WHOLE else ():
                if file in self._places:
                    item, times, keys = self.known(file)
                    writer.add_item(item, writer.add_times(times), writer.add_times(keys))
            writer.flush()
            for file, inspection in self._inspect(unknown):
                _write_down(file, inspection, writer)
                if time.monotonic() - flushed > FLUSH_SECONDS:
                    writer.flush()
                    flushed = time.monotonic()
            writer.finish({"look": INSPECTION})
        self._fresh = {}
        self.recall([place], with_passing=True)

    def known(self, file: File) -> Known:
        table, number = self._places[file]
        found = self._tables[table].read(number)
        assert found is not None  # it was whole when it was recalled
        item, times, keys = found
        return _line(file, item["found"], item.get("reason"), bool(item.get("passing"))), times, keys

    def _inspect(self, files: Sequence[File]) -> Iterator[tuple[File, Inspection]]:
        self.inspected += len(files)
        with counting("inspecting files", len(files), "file", self._progress) as done:
            for first in range(0, len(files), FILES_AT_ONCE):
                some = files[first : first + FILES_AT_ONCE]
                targets = [self._target(file) for file in some]
                for place, inspection in inspect_many(targets, self._workers, done):
                    file, target = some[place], targets[place]
                    same = file[3:] == state_of(target.tar or target.path)[2:]
                    yield file, inspection if same or inspection.passing else Inspection(CHANGING, passing=True)

    def _target(self, file: File) -> Target:
        name, offset, size, *_ = file
        return Target(self.listing.path_of(name), size, offset, self.listing.root if offset >= 0 else "")


def _write_down(file: File, inspection: Inspection, writer: TableWriter) -> None:
    if inspection.reason is not None:
        passing = inspection.passing or is_transient(inspection.reason)
        none = writer.add_times(_NO_TIMES)
        writer.add_item(_line(file, None, inspection.reason, passing), none, none)
        return
    found: dict[str, Any] = {name: getattr(inspection, name) for name in FOUND}
    found["clock"] = inspection.clock.numbers()
    times = np.zeros(1) if inspection.kind == "image" else inspection.clock.frame_times
    line = _line(file, found, None, False)
    writer.add_item(line, writer.add_times(times), writer.add_times(inspection.clock.key_times))


def _line(file: File, found: Mapping[str, Any] | None, reason: str | None, passing: bool) -> dict[str, Any]:
    line = {**dict(zip(_STATE, file, strict=True)), "look": INSPECTION, "found": found}
    if reason is None:
        return line
    return {**line, "reason": reason, "passing": passing, "readers": readers()}


def _file_of(item: Mapping[str, Any]) -> File:
    name, offset, size, modified_ns, changed_ns = (item[state] for state in _STATE)
    return (name, offset, size, modified_ns, changed_ns)


@cache
def readers() -> str:
    """The versions of what reads files; a later one may read what was refused."""
    return f"avssl {__version__}, av {version('av')}, Pillow {version('pillow')}"
