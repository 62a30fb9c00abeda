"""A table of items on disk that opens in constant time: one JSON line per item, arrays beside it.

    table.json    what holds for all: format, fingerprint, root, rejected files, …; sizes and checksums of the others
    items.jsonl   one JSON object an item
    rows.i64      for each item: where its parts lie, and their checksums (``_ROW`` numbers)
    times.f64     frame times and key times of all items, one after the other, in seconds
    jpegs.i64     in a prepared set: for each frame time, where its JPEG begins in the shard, and its bytes
    checks.u32    in a prepared set: for each item, checksums of its JPEGs and of its blocks of sound
    clips.bin …   the facts of all items as columns (:mod:`avssl.media.indexing.columns`), where they were added

The table of an index has a line for each file; the items, of which several may be segments of one file, are in its
columns. In a prepared set each item has its line.

All numbers are little-endian and mapped into memory, so that a million items cost nothing until one is read.
Checksums are CRC-32, which takes a hundredth of the time of decoding what it guards. The header, rows, columns and all
sizes are checked when a table is opened, the other files too unless they are very large; and each item when it is read.
"""

from __future__ import annotations

import hashlib
import json
import os
import zlib
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import IO, Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from avssl.errors import UserError
from avssl.media.facts import Facts
from avssl.media.indexing.columns import COLUMN_FILES, Columns, ColumnWriter
from avssl.system.files import read_json

# Raised whenever an older table would be read wrongly, or its verdicts are no longer true; indexes in the cache are
# then made again. Prepared sets of format 1 (without checksums) are still read.
FORMAT = 2
READ_FORMATS = (1, 2)

# Files together no larger than this are checked whole when a table is opened, which takes 0.15 s; see verify.
CHECKED_AT_ONCE_BYTES = 512 * 2**20

_ROW = 13
_ROW_WITHOUT_CHECKSUMS = 6
# Columns of rows.i64: start and length of four things; then checksums of line, times, keys, jpegs, checks.
_LINE, _TIMES, _KEYS, _CHECKS, _CRC = 0, 2, 4, 6, 8

_FILES = {"items.jsonl": "u1", "rows.i64": "<i8", "times.f64": "<f8", "jpegs.i64": "<i8", "checks.u32": "<u4",
          **COLUMN_FILES}  # fmt: skip
_FILES_OF_FORMAT_1 = ("items.jsonl", "rows.i64", "times.f64", "jpegs.i64")
_PIECE_BYTES = 1 << 24


class DamagedTable(UserError):
    """A table whose files are not as they were written; ``what`` is wrong, in a few words."""

    def __init__(self, folder: Path, what: str) -> None:
        super().__init__(f"{folder}: the index is damaged ({what}); avssl index DATA --again rebuilds it")
        self.folder = folder
        self.what = what

    def __reduce__(self) -> tuple[type[DamagedTable], tuple[Path, str]]:  # by default __init__ would get the message
        return (type(self), (self.folder, self.what))


class Span(NamedTuple):
    """Places in ``times.f64`` (and, in a prepared set, in ``jpegs.i64``)."""

    start: int
    length: int
    crc: int = 0


NOTHING = Span(0, 0)
_NO_JPEGS = np.zeros((0, 2), np.int64)
_NO_CHECKS = np.zeros(0, np.uint32)


class _CheckedFile:
    """A file being written, with its size and checksum so far."""

    def __init__(self, path: Path) -> None:
        self._file: IO[bytes] = path.open("w+b")
        self.size = 0
        self.crc = 0

    def write(self, data: bytes | memoryview) -> int:
        """Append, and return the checksum of these bytes alone."""
        self._file.write(data)
        self.size += len(data) if isinstance(data, bytes) else data.nbytes
        self.crc = zlib.crc32(data, self.crc)
        return zlib.crc32(data)

    def flush(self) -> None:
        self._file.flush()

    def read(self, start: int, size: int) -> bytes:
        self._file.flush()
        self._file.seek(start)
        data = self._file.read(size)
        self._file.seek(0, os.SEEK_END)
        return data

    def close(self) -> None:
        self._file.close()


class TableWriter:
    """Writes a table into a folder that exists; use as a context, then the files are closed."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._files = {name: _CheckedFile(folder / name) for name in _FILES}
        self._columns = ColumnWriter(self._files["clips.bin"].write)

    def __enter__(self) -> TableWriter:
        return self

    def __exit__(self, *error: object) -> None:
        for file in self._files.values():
            file.close()

    def add_times(self, times: NDArray[np.float64]) -> Span:
        """Append times; several items may refer to the same span."""
        file = self._files["times.f64"]
        start = file.size // 8
        return Span(start, len(times), file.write(_raw(times, "<f8")))

    def add_item(
        self,
        item: Mapping[str, Any],
        times: Span,
        keys: Span = NOTHING,
        jpegs: NDArray[np.int64] = _NO_JPEGS,
        checks: NDArray[np.uint32] = _NO_CHECKS,
    ) -> None:
        """Append an item.

        Args:
            jpegs: in a prepared set, (n, 2) places and sizes of JPEGs, one for each of ``times``, which must be those
                added last: both are found by the same span.
            checks: in a prepared set, the checksums of its parts.
        """
        line = json.dumps(item, separators=(",", ":")).encode() + b"\n"
        files = self._files
        lines, guards = files["items.jsonl"], files["checks.u32"]
        places = [lines.size, len(line), *times[:2], *keys[:2], guards.size // 4, len(checks)]
        sums = [lines.write(line), times.crc, keys.crc]
        sums += [files["jpegs.i64"].write(_raw(jpegs, "<i8")), guards.write(_raw(checks, "<u4"))]
        files["rows.i64"].write(_raw(np.array([*places, *sums]), "<i8"))

    def add_facts(self, facts: Facts, path: str, **place: Any) -> None:
        """Append an item to the columns; see :meth:`avssl.media.indexing.columns.ColumnWriter.add`."""
        self._columns.add(facts, path, **place)

    def flush(self) -> None:
        """Hand over to the system what was added: :class:`Salvaged` reads it even if this process is killed."""
        for name in ("times.f64", "items.jsonl", "rows.i64"):  # rows last: they point into the other two
            self._files[name].flush()

    def item(self, number: int) -> tuple[dict[str, Any], NDArray[np.float64]]:
        row = np.frombuffer(self._files["rows.i64"].read(number * _ROW * 8, _ROW * 8), "<i8").tolist()
        line = self._files["items.jsonl"].read(*row[_LINE : _LINE + 2])
        times = self._files["times.f64"].read(8 * row[_TIMES], 8 * row[_TIMES + 1])
        return json.loads(line), np.frombuffer(times, "<f8")

    def finish(self, header: Mapping[str, Any]) -> None:
        """Write ``table.json``; a folder without it is no table."""
        texts, ends = self._columns.texts()
        self._files["texts.bin"].write(texts)
        self._files["texts.i64"].write(_raw(ends, "<i8"))
        files = {name: [file.size, file.crc] for name, file in self._files.items()}
        # Through JSON and back, so that it is sealed as it will be read: tuples become lists.
        whole = json.loads(json.dumps({"format": FORMAT, **header, "files": files}))
        text = json.dumps({**whole, "seal": seal_of(whole)}, ensure_ascii=True, indent=1)
        (self._folder / "table.json").write_text(text + "\n", encoding="utf-8")


class Table:
    """A table opened for reading. Pickles as the name of its folder, and is opened again on first use.

    Raises:
        DamagedTable: a file of it is missing, or is not as it was written.
        UserError: it was made by another version of avssl.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._opened = False
        self._header: dict[str, Any] = {}
        self._open()
        if self.has_checksums and sum(size for size, _ in self._header["files"].values()) <= CHECKED_AT_ONCE_BYTES:
            self.verify()

    def __getstate__(self) -> Path:
        return self.folder

    def __setstate__(self, folder: Path) -> None:
        self.folder = folder
        self._opened = False
        self._header = {}

    def __len__(self) -> int:
        self._open()
        return len(self._rows)

    @property
    def header(self) -> dict[str, Any]:
        self._open()
        return self._header

    @property
    def has_checksums(self) -> bool:
        """False for prepared sets of format 1."""
        return bool(self._header.get("format", FORMAT) > 1)

    def columns(self, root: str = "") -> Columns | None:
        """The facts of all items as columns, with paths relative to ``root``; None in a table that has none."""
        self._open()
        clips, texts, ends = (self._arrays[name] for name in COLUMN_FILES)
        return Columns(clips, texts, ends, root) if len(clips) else None

    def verify(self) -> None:
        """Read all files and compare their checksums; raises DamagedTable where one differs."""
        if not self.has_checksums:
            return
        for name, (_, crc) in self.header["files"].items():
            if file_crc(self.folder / name) != crc:
                raise self._damaged(f"{name} has changed")

    def item(self, i: int) -> dict[str, Any]:
        self._open()
        start, count = self._rows[i, _LINE : _LINE + 2].tolist()
        line = self._arrays["items.jsonl"][start : start + count].tobytes()
        if self.has_checksums and zlib.crc32(line) != int(self._rows[i, _CRC]):
            raise self._damaged("items.jsonl has changed")
        try:
            item = json.loads(line)
        except ValueError:
            item = None
        if not isinstance(item, dict):
            raise self._damaged(f"line {i + 1} of items.jsonl is not an item")
        return item

    def times(self, i: int) -> NDArray[np.float64]:
        """Frame times of item ``i``, a read-only view. (n,)"""
        return self._part(i, "times.f64", _TIMES, 1)

    def keys(self, i: int) -> NDArray[np.float64]:
        """Key times of item ``i``, a read-only view. (k,)"""
        return self._part(i, "times.f64", _KEYS, 2)

    def jpegs(self, i: int) -> NDArray[np.int64]:
        """Places and sizes of all JPEGs of item ``i``. (n, 2)"""
        return self._part(i, "jpegs.i64", _TIMES, 3)

    def checks(self, i: int) -> NDArray[np.uint32]:
        """Checksums of what item ``i`` consists of; none in a table of format 1."""
        self._open()
        return self._part(i, "checks.u32", _CHECKS, 4) if self.has_checksums else _NO_CHECKS

    def _part(self, i: int, name: str, column: int, number: int) -> NDArray[Any]:
        """The part of item ``i`` in a file; on first use compared with its checksum, the ``number``-th of its row."""
        self._open()
        start, count = self._rows[i, column : column + 2].tolist()
        part = self._arrays[name][start : start + count]
        if self.has_checksums and not self._seen[i, number - 1]:
            if zlib.crc32(_raw(part, part.dtype.str)) != int(self._rows[i, _CRC + number]):
                raise self._damaged(f"{name} has changed")
            self._seen[i, number - 1] = True
        return part

    def _open(self) -> None:
        if self._opened:
            return
        header = read_json(self.folder / "table.json")
        if header is None or not isinstance(header.get("format"), int):
            raise self._damaged("table.json is missing or damaged")
        if header["format"] not in READ_FORMATS:
            raise UserError(f"{self.folder}: made by another version of avssl; remove it, then it is made again")
        self._header = header
        if self.has_checksums and not is_sealed(header):
            raise self._damaged("table.json has changed")
        arrays = {name: self._array(name, np.dtype(dtype)) for name, dtype in _FILES.items()}
        columns = _ROW if self.has_checksums else _ROW_WITHOUT_CHECKSUMS
        if len(arrays["rows.i64"]) % columns or len(arrays["jpegs.i64"]) % 2:
            raise self._damaged("rows.i64 or jpegs.i64 is truncated")
        self._rows: NDArray[np.int64] = arrays["rows.i64"].reshape(-1, columns)
        self._arrays = {**arrays, "jpegs.i64": arrays["jpegs.i64"].reshape(-1, 2)}
        self._seen = np.zeros((len(self._rows), 4), bool)
        if not self.has_checksums:
            self._rows_must_fit()
        for name in ("rows.i64", *COLUMN_FILES) if self.has_checksums else ():
            if name in header["files"] and zlib.crc32(_raw(arrays[name], _FILES[name])) != header["files"][name][1]:
                raise self._damaged(f"{name} has changed")
        self._opened = True

    def _array(self, name: str, dtype: np.dtype[Any]) -> NDArray[Any]:
        if name not in self._header.get("files", _FILES_OF_FORMAT_1):  # a table of a version that had no such file
            return np.zeros(0, dtype)
        path = self.folder / name
        if not path.is_file():
            raise self._damaged(f"{name} is missing")
        size = path.stat().st_size
        if size % dtype.itemsize or (self.has_checksums and size != self._header["files"][name][0]):
            raise self._damaged(f"{name} is truncated, or belongs to another table")
        return _mapped(path, dtype)

    def _rows_must_fit(self) -> None:
        """What can be checked without checksums: no row points out of a file, and no line is left over."""
        rows, sizes = self._rows, {name: len(array) for name, array in self._arrays.items()}
        if not len(rows):
            raise self._damaged("rows.i64 is empty")
        for column, name in ((_LINE, "items.jsonl"), (_TIMES, "times.f64"), (_KEYS, "times.f64")):
            start, count = rows[:, column], rows[:, column + 1]
            if min(start.min(), count.min()) < 0 or max(start.max(), (start + count).max()) > sizes[name]:
                raise self._damaged("rows.i64 points outside the other files")
        if int(rows[:, _LINE + 1].sum()) != sizes["items.jsonl"] or sizes["jpegs.i64"] != sizes["times.f64"]:
            raise self._damaged("its files do not match")

    def _damaged(self, what: str) -> DamagedTable:
        return DamagedTable(self.folder, what)


class Salvaged:
    """The items of a table one by one as far as they are whole, also of a table whose writer was killed."""

    def __init__(self, folder: Path) -> None:
        self.header = read_json(folder / "table.json") or {}  # written last: empty where the writer was killed
        try:
            rows, self._lines, times = (_mapped(folder / name, np.dtype("u1")) for name in _OF_AN_ITEM)
        except OSError:
            rows = self._lines = times = np.zeros(0, np.uint8)
        self._rows: NDArray[np.int64] = rows[: len(rows) // (8 * _ROW) * 8 * _ROW].view("<i8").reshape(-1, _ROW)
        self._times: NDArray[np.float64] = times[: len(times) // 8 * 8].view("<f8")

    def __len__(self) -> int:
        return len(self._rows)

    def __iter__(self) -> Iterator[dict[str, Any]]:
        """The items up to the first that is damaged."""
        for number in range(len(self._rows)):
            found = self.read(number)
            if found is None:
                return
            yield found[0]

    def read(self, number: int) -> tuple[dict[str, Any], NDArray[np.float64], NDArray[np.float64]] | None:
        """An item with its times and key times; None where it is damaged."""
        row = self._rows[number].tolist()
        start, count, *spans = row[: _KEYS + 2]
        line = self._lines[start : start + count].tobytes()
        times, keys = (self._times[first : first + length] for first, length in (spans[:2], spans[2:]))
        sums = [zlib.crc32(line), *(zlib.crc32(_raw(part, "<f8")) for part in (times, keys))]
        return (json.loads(line), times, keys) if sums == row[_CRC : _CRC + 3] else None


_OF_AN_ITEM = ("rows.i64", "items.jsonl", "times.f64")


def file_crc(path: Path) -> int:
    """CRC-32 of all bytes of a file; raises OSError where it cannot be read."""
    crc = 0
    with path.open("rb") as file:
        while piece := file.read(_PIECE_BYTES):
            crc = zlib.crc32(piece, crc)
    return crc


def are_files_of_table(names: Iterable[str]) -> bool:
    """Whether these are the files of a table beside its header; one of an earlier version has no columns."""
    return _FILES.keys() - COLUMN_FILES.keys() <= set(names) <= _FILES.keys()


def is_sealed(header: Mapping[str, Any]) -> bool:
    """Whether the header of a table is as it was written; a table of format 1 has no seal."""
    rest = {name: value for name, value in header.items() if name != "seal"}
    return header.get("seal") == seal_of(rest)


def seal_of(header: Mapping[str, Any]) -> str:
    """The digest that a header carries of the rest of itself."""
    return hashlib.blake2b(json.dumps(header, sort_keys=True).encode(), digest_size=16).hexdigest()


def _raw(array: NDArray[Any], dtype: str) -> memoryview:
    flat = np.ascontiguousarray(array, dtype).reshape(-1).view(np.uint8)
    return flat.data


def _mapped(path: Path, dtype: np.dtype[Any]) -> NDArray[Any]:
    if path.stat().st_size == 0:  # an empty file cannot be mapped
        return np.zeros(0, dtype)
    # As a plain array: slices of np.memmap carry a costly wrapper, and every read makes some.
    return np.asarray(np.memmap(path, dtype=dtype, mode="r"))
