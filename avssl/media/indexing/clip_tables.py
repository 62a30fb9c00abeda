"""Tables of clips as a listing: each row's file found, and the stretch of it that the row means."""

from __future__ import annotations

import os
import unicodedata
from collections.abc import Sequence
from pathlib import Path

from avssl.errors import UserError
from avssl.media.facts import Rejected
from avssl.media.indexing.clip_table_formats import (
    COLUMNS,
    TABLE_SUFFIXES,
    Files,
    Row,
    as_windows_wrote,
    file_of,
    is_cut_name,
    is_foreign,
    is_table,
    read_table,
)
from avssl.media.indexing.listing import SPLITS, Listing, add_file, walk

NO_MEDIA = (*TABLE_SUFFIXES, ".txt", ".md", ".json", ".yaml", ".yml", ".py", ".html", ".pdf")
"""Files that lie beside media and are not meant to be any."""


def list_table(table: Path, source_column: str | None = None) -> Listing:
    """A row an item: see :mod:`avssl.media.indexing.clip_table_formats`; paths are relative to the table.

    Raises:
        UserError: it is no table, or lacks the columns wanted.
    """
    read = read_table(table)
    if source_column is not None and source_column.lower() not in read.columns:
        raise UserError(f"{table}: has no column {source_column!r}; its columns: {', '.join(read.columns)}")
    listing = Listing(str(table.parent))
    inner = _inner_folder(table, [] if read.by_video else [row.get("path") for row in read.rows[:20]])
    files = None
    if read.by_video:
        files = Files(table.parent / name for name, stat in walk(str(table.parent), "") if not isinstance(stat, str))
    for row in read.rows:
        named = row.get("video" if read.by_video else "path")
        if row.too_many:
            reason = f"line {row.line} has more cells than the {len(read.columns)} columns; quote cells with commas"
            listing.rejected.append(Rejected(str(table.parent / (named or f"{table.name}:{row.line}")), reason))
            continue
        if not named:
            listing.rejected.append(Rejected(f"{table}:{row.line}", "the row names no file"))
            continue
        if files is not None:
            path, is_cut, missed = file_of(row, files)
            path = path or table.parent / missed
        else:
            path = _named_file(inner, row, read.columns)
            is_cut = is_cut_name(path.stem, row)
        try:
            start, duration = _stretch(row)
        except ValueError as error:
            listing.rejected.append(Rejected(str(path), f"{error} (row {row.line})"))
            continue
        split = _clean(row.get("split"))
        source = row.get("source") if source_column is None else row.cells.get(source_column.lower(), "").strip()
        add_file(
            listing,
            _relative(path, table.parent),
            label=_clean(row.get("label")) or None,
            split=_TABLE_SPLITS.get(split.lower(), split) if split else None,
            source=_clean(source) or (row.get("video") if read.by_video else None) or None,
            start_seconds=None if is_cut else start,
            duration_seconds=None if is_cut else duration,
        )
    return listing


_TABLE_SPLITS = {**SPLITS, "validate": "validation", "training": "train", "testing": "test"}


def _named_file(folder: Path, row: Row, columns: Sequence[str]) -> Path:
    """The file that a row names: as the cell is, else without spaces around it, else as Windows wrote it."""
    column = next(name for name in COLUMNS["path"] if name in columns and row.cells.get(name, "").strip())
    cell = row.cells[column]
    plain = as_windows_wrote(cell.strip()) if is_foreign(cell) else cell.strip()
    names = [cell, cell.strip(), plain, *(unicodedata.normalize(form, plain) for form in ("NFC", "NFD"))]
    return next((folder / name for name in names if os.path.lexists(folder / name)), folder / plain)


def _stretch(row: Row) -> tuple[float | None, float | None]:
    """Start and duration of a row in its file.

    Raises:
        ValueError: they are no times, or the end lies before the start, or contradicts the duration.
    """
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
    return as_windows_wrote(text) if is_foreign(text) else text


def _inner_folder(table: Path, names: Sequence[str]) -> Path:
    """The folder that paths are relative to: the table's; or the one beside it of the same name, if they are there."""
    inner = table.with_suffix("")
    here = any((table.parent / name).exists() for name in names if name)
    there = any((inner / name).exists() for name in names if name)
    return inner if there and not here else table.parent


def _relative(path: Path, root: Path) -> str:
    normal = Path(os.path.normpath(path))
    return (normal.relative_to(root) if normal.is_relative_to(root) else normal).as_posix()


def _seconds(row: Row, column: str) -> float | None:
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
    """A line about each table in a folder that lists its files: one may want to open that instead."""
    tables = [path for path in sorted(folder.iterdir()) if path.is_file() and is_table(path)]
    if not tables:
        return []
    there = {name for name, stat in walk(str(folder), "") if not name.lower().endswith(NO_MEDIA)}
    lines = []
    for table in tables:
        try:
            listing, columns = list_table(table.absolute()), read_table(table).columns
        except UserError:
            continue
        listed = {entry.name for entry in listing.entries} & there
        if len(listed) * 2 >= len(there) > 0:
            lines.append(
                f"{table} lists {len(listed)} of its {len(there)} files (columns {','.join(columns)}); "
                f"use it with --data {table}"
            )
    return lines
