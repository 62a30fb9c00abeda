"""A table of items on disk that opens at once, however long it is: one JSON line an item, arrays beside it.

    table.json    what holds for all: format, fingerprint, root, rejected files, …
    items.jsonl   one JSON object an item
    rows.i64      for each item: where its line, its frame times and its key times lie (six numbers)
    times.f64     frame times and key times of all items, one after the other, in seconds
    jpegs.i64     in a prepared set: for each frame time, where its JPEG begins in the shard, and its bytes

All numbers are little-endian and mapped into memory, so that a million items cost nothing until one is read.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import IO, Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from avssl.errors import UserError
from avssl.media.cache import read_json

FORMAT = 1
"""Raised whenever an older table would be read wrongly; older ones are then made again."""

_ROW = 6


class Span(NamedTuple):
    """Where numbers lie in ``times.f64`` (and, in a prepared set, JPEGs in ``jpegs.i64``)."""

    start: int
    length: int


NOTHING = Span(0, 0)


class TableWriter:
    """Writes a table into a folder that exists; use as a context, then the files are closed."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._lines: IO[bytes] = (folder / "items.jsonl").open("wb")
        self._rows: IO[bytes] = (folder / "rows.i64").open("wb")
        self._times: IO[bytes] = (folder / "times.f64").open("wb")
        self._jpegs: IO[bytes] = (folder / "jpegs.i64").open("wb")

    def __enter__(self) -> TableWriter:
        return self

    def __exit__(self, *error: object) -> None:
        for file in (self._lines, self._rows, self._times, self._jpegs):
            file.close()

    def add_times(self, times: NDArray[np.float64]) -> Span:
        """Append times; several items may refer to the same."""
        start = self._times.tell() // 8
        self._times.write(np.ascontiguousarray(times, "<f8").data)
        return Span(start, len(times))

    def add_jpegs(self, places: NDArray[np.int64]) -> None:
        """Append (n, 2) places and sizes of JPEGs, in step with the times of the same frames."""
        self._jpegs.write(np.ascontiguousarray(places, "<i8").data)

    def add_item(self, item: Mapping[str, Any], times: Span, keys: Span = NOTHING) -> None:
        line = json.dumps(item, separators=(",", ":")).encode() + b"\n"
        row = np.array([self._lines.tell(), len(line), *times, *keys], "<i8")
        self._lines.write(line)
        self._rows.write(row.data)

    def finish(self, header: Mapping[str, Any]) -> None:
        """Write what holds for all. A folder without this file is no table."""
        text = json.dumps({"format": FORMAT, **header}, ensure_ascii=True, indent=1)
        (self._folder / "table.json").write_text(text + "\n")


class Table:
    """A table opened for reading. Pickles as the name of its folder and is opened again on first use."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._opened = False
        self._open()

    def __getstate__(self) -> Path:
        return self.folder

    def __setstate__(self, folder: Path) -> None:
        self.folder = folder
        self._opened = False

    def __len__(self) -> int:
        self._open()
        return len(self._rows)

    @property
    def header(self) -> dict[str, Any]:
        self._open()
        return self._header

    def item(self, i: int) -> dict[str, Any]:
        """The JSON object of item ``i``."""
        self._open()
        start, count = self._rows[i, :2].tolist()
        item: dict[str, Any] = json.loads(self._lines[start : start + count].tobytes())
        return item

    def times(self, i: int) -> NDArray[np.float64]:
        """Frame times of item ``i``, a read-only view. (n,)"""
        return self._span(i, 2)

    def keys(self, i: int) -> NDArray[np.float64]:
        """Key times of item ``i``, a read-only view. (k,)"""
        return self._span(i, 4)

    def jpeg(self, i: int, frame: int) -> tuple[int, int]:
        """Where the JPEG of a frame of item ``i`` begins in its shard, and its bytes."""
        self._open()
        start, size = self._jpegs[int(self._rows[i, 2]) + frame].tolist()
        return start, size

    def jpegs(self, i: int) -> NDArray[np.int64]:
        """Places and sizes of all JPEGs of item ``i``. (n, 2)"""
        self._open()
        start, count = self._rows[i, 2:4].tolist()
        return self._jpegs[start : start + count]

    def _span(self, i: int, column: int) -> NDArray[np.float64]:
        self._open()
        start, count = self._rows[i, column : column + 2].tolist()
        return self._times[start : start + count]

    def _open(self) -> None:
        if self._opened:
            return
        header = read_json(self.folder / "table.json")
        if header is None or header.get("format") != FORMAT:
            raise UserError(f"{self.folder}: made by another version of avssl; remove it, then it is made again")
        self._header = header
        self._lines: NDArray[np.uint8] = _mapped(self.folder / "items.jsonl", np.dtype(np.uint8))
        self._rows: NDArray[np.int64] = _mapped(self.folder / "rows.i64", np.dtype("<i8")).reshape(-1, _ROW)
        self._times: NDArray[np.float64] = _mapped(self.folder / "times.f64", np.dtype("<f8"))
        self._jpegs: NDArray[np.int64] = _mapped(self.folder / "jpegs.i64", np.dtype("<i8")).reshape(-1, 2)
        self._opened = True


def _mapped(path: Path, dtype: np.dtype[Any]) -> NDArray[Any]:
    if path.stat().st_size == 0:  # an empty file cannot be mapped
        return np.zeros(0, dtype)
    # As a plain array: views of np.memmap carry a costly wrapper, and every read makes some.
    return np.asarray(np.memmap(path, dtype=dtype, mode="r"))
