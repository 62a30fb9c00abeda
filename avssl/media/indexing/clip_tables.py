"""Tables of clips as a listing: the file of each row, and the segment of it that the row means."""

from __future__ import annotations

import os
import unicodedata
from collections.abc import Iterable, Sequence
from functools import partial
from pathlib import Path
from typing import NamedTuple

import numpy as np

from avssl.errors import UserError
from avssl.media.facts import Rejected
from avssl.media.indexing import clip_table_formats as formats
from avssl.media.indexing.listing import ASKED, SPLITS, FileState, Listing, add_file, state_of, walk
from avssl.media.selection import digest_of
from avssl.system.console import counted
from avssl.system.files import write_whole

# Files that lie beside media and are not counted as media themselves.
NO_MEDIA = (*formats.TABLE_SUFFIXES, ".txt", ".md", ".json", ".yaml", ".yml", ".py", ".html", ".pdf")


def list_table(table: Path, source_column: str | None = None) -> Listing:
    """The rows of a table as items, with paths relative to it; errors are raised when the entries are read."""
    data = formats.table_bytes(table)
    asked = _Asked(table, data, source_column)
    return Listing(str(table.parent), asked, partial(_fill_from_table, table, data, source_column, asked))


def _fill_from_table(table: Path, data: bytes, source_column: str | None, asked: _Asked, listing: Listing) -> None:
    read = formats.read_table(table, data)
    if source_column is not None and source_column.lower() not in read.columns:
        raise UserError(f"{table}: has no column {source_column!r}; its columns: {', '.join(read.columns)}")
    inner = _inner_folder(table, [] if read.by_video else [row.get("path") for row in read.rows[:20]], asked)
    files = formats.Files(asked.all_files()) if read.by_video else None
    named: dict[str, _Named] = {}
    for row in read.rows:
        name = row.unstripped("video" if read.by_video else "path")
        if row.too_many:
            columns = counted(len(read.columns), "column")
            reason = f"line {row.line} has more cells than the {columns}; quote cells with commas"
            listing.rejected.append(Rejected(str(table.parent / (name.strip() or f"{table.name}:{row.line}")), reason))
            continue
        if not name:
            listing.rejected.append(Rejected(f"{table}:{row.line}", "the row names no file"))
            continue
        if files is not None:
            path, is_cut, missed = formats.file_of(row, files)
            found = _Named.of(str(path or table.parent / missed), table.parent, asked)
        else:
            if name not in named:
                named[name] = _Named.of(_named_file(inner, name, asked), table.parent, asked)
            found = named[name]
            is_cut = formats.is_cut_name(found.stem, row)
        try:
            start, duration = _segment(row)
        except ValueError as error:
            listing.rejected.append(Rejected(found.path, f"{error} (row {row.line})"))
            continue
        split = _clean(row.get("split"))
        source = row.get("source") if source_column is None else row.named(source_column.lower())
        add_file(
            listing,
            found.name,
            found.state,
            label=_clean(row.get("label")) or None,
            split=_TABLE_SPLITS.get(split.lower(), split) if split else None,
            source=_clean(source) or (row.get("video") if read.by_video else None) or None,
            start_seconds=None if is_cut else start,
            duration_seconds=None if is_cut else duration,
        )


class _Named(NamedTuple):
    """A file that rows name, looked up once for all of them."""

    path: str
    name: str  # relative to the table's folder
    stem: str
    state: FileState

    @staticmethod
    def of(path: str, root: Path, asked: _Asked) -> _Named:
        normal = Path(os.path.normpath(path))
        name = (normal.relative_to(root) if normal.is_relative_to(root) else normal).as_posix()
        return _Named(path, name, Path(path).stem, asked.state(path))


class _Asked:
    """The seal of a table's listing: its bytes, and the stat of every path that listing it asked for.

    With the same answers the listing is the same, so that a million rows need not be parsed again to know that nothing
    has changed. Each path is asked for once.
    """

    def __init__(self, table: Path, data: bytes, source_column: str | None) -> None:
        self._root = str(table.parent)
        self._key = digest_of(str(table), source_column or "", data)
        self._states: dict[str, FileState] = {}
        self._walked = ""

    def state(self, path: str) -> FileState:
        found = self._states.get(path)
        if found is None:
            found = self._states[path] = state_of(path)
        return found

    def all_files(self) -> list[Path]:
        found = list(walk(self._root, ""))
        self._walked = _walk_digest(found)
        return [Path(self._root, name) for name, state in found if not isinstance(state, str)]

    def recalled(self, memory: Path | None) -> str | None:
        if memory is None:
            return None
        try:
            check, _, asked = self._place(memory).read_bytes().partition(b"\n")
        except OSError:
            return None
        if check.decode("ascii", "replace") != digest_of(asked):  # half written, or damaged
            return None
        walked, *paths = asked.decode("utf-8", "surrogateescape").split("\0")
        walk_now = _walk_digest(list(walk(self._root, ""))) if walked else ""
        return self._text(walk_now, (state_of(path) for path in paths))

    def fresh(self, memory: Path | None) -> str:
        if memory is not None:
            asked = "\0".join(["walked" if self._walked else "", *self._states]).encode("utf-8", "surrogateescape")
            write_whole(self._place(memory), digest_of(asked).encode() + b"\n" + asked)
        return self._text(self._walked, self._states.values())

    def _place(self, memory: Path) -> Path:
        return memory / f"{self._key}{ASKED}"

    def _text(self, walked: str, states: Iterable[FileState]) -> str:
        numbers = np.fromiter((number for state in states for number in state), np.int64)
        return digest_of(self._key, walked, numbers.tobytes())


def _walk_digest(found: Sequence[tuple[str, os.stat_result | str]]) -> str:
    answers = [(name, state if isinstance(state, str) else (state.st_size, state.st_ctime_ns)) for name, state in found]
    return digest_of(repr(answers))


_TABLE_SPLITS = {**SPLITS, "validate": "validation", "training": "train", "testing": "test"}


def _named_file(folder: Path, cell: str, asked: _Asked) -> str:
    """The file that a cell names, as some program may have spelled it."""
    # Tried in this order: as it is, without spaces, from Windows-1252, and in both Unicode forms: macOS writes names
    # decomposed (NFD), most others composed (NFC).
    plain = formats.as_windows_wrote(cell.strip()) if formats.is_foreign(cell) else cell.strip()
    names = [cell, cell.strip(), plain, *(unicodedata.normalize(form, plain) for form in ("NFC", "NFD"))]
    paths = dict.fromkeys(str(folder / name) for name in names)
    # Of most cells all these are equal: then the disk need not be asked.
    found = plain if len(paths) == 1 else next((path for path in paths if asked.state(path).is_there), plain)
    return str(folder / found)


def _segment(row: formats.Row) -> tuple[float | None, float | None]:
    """Start and duration of a row in its file; raises ValueError where they are no times or contradict each other."""
    start, duration, end = (_seconds(row, name) for name in ("start", "duration", "end"))
    if end is None:
        return start, duration
    length = end - (start or 0.0)
    if length <= 0:
        raise ValueError(f"end ({end:g}) must come after start ({start or 0:g})")
    if duration is not None and abs(duration - length) > 0.01:
        raise ValueError(f"end ({end:g}) and duration ({duration:g}) contradict each other")
    return (0.0 if start is None else start), length


def _clean(text: str) -> str:
    return formats.as_windows_wrote(text) if formats.is_foreign(text) else text


def _inner_folder(table: Path, names: Sequence[str], asked: _Asked) -> Path:
    """The folder that paths are relative to: the table's, or the one beside it of the same name, if they are there."""
    inner = table.with_suffix("")
    here = any(asked.state(str(table.parent / name)).mode >= 0 for name in names if name)
    there = any(asked.state(str(inner / name)).mode >= 0 for name in names if name)
    return inner if there and not here else table.parent


def _seconds(row: formats.Row, column: str) -> float | None:
    text = row.get(column)
    if not text:
        return None
    try:
        seconds = float(text)
    except ValueError:
        raise ValueError(f"{column} is not a number of seconds: {text!r}") from None
    if not 0 <= seconds < float("inf") or (column == "duration" and seconds == 0):
        raise ValueError(f"{column} is not a time in a file: {text}")
    return seconds


def offered_tables(folder: Path) -> list[str]:
    """A hint for each table in a folder that lists its files: one may want to open that instead."""
    tables = [path for path in sorted(folder.iterdir()) if path.is_file() and formats.is_table(path)]
    if not tables:
        return []
    there = {name for name, stat in walk(str(folder), "") if not name.lower().endswith(NO_MEDIA)}
    lines = []
    for table in tables:
        try:
            listing, columns = list_table(table.absolute()), formats.read_table(table).columns
        except UserError:
            continue
        listed = {entry.name for entry in listing.entries} & there
        if len(listed) * 2 >= len(there) > 0:  # a table of half of the files is more than a stray list
            lines.append(
                f"{table} lists {len(listed)} of its {counted(len(there), 'file')} (columns {','.join(columns)}); "
                f"use it with --data {table}"
            )
    return lines
