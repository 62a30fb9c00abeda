"""An index on disk: a header, and the folder of arrays that it names; readers of an older one are not disturbed.

    INDEX/index.json         what holds for all: run, digest of its weights, spacing, counts; sizes and checksums
    INDEX/0001/moments.bin   a row a moment (:data:`avssl.search.rows.MOMENT`)
               items.bin     a row an item (:data:`avssl.search.rows.ITEM`)
               clips.bin …   facts of the items (:mod:`avssl.media.indexing.columns`)
               image.npy     unit vectors (rows, dimensions) float32, zeros where a moment has no picture
               audio.npy     the same of the sounds
               unrelated.npy cosines of unrelated pairs (:mod:`avssl.search.unrelated`)
               image.usearch, audio.usearch   graphs for approximate search of very many rows

Vectors are float32: that is what a processor multiplies without converting, figures computed from an index are those of
the network's own outputs, and a million moments of picture and sound are 1 GB, mapped.
A change writes a new folder and then, by rename, the header. The header, moments and items are checked when an index is
opened, each other file when it is first used.
"""

from __future__ import annotations

import io
import json
import shutil
import threading
import zlib
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from avssl.errors import UserError
from avssl.media.indexing.columns import Columns
from avssl.media.indexing.item_table import file_crc, is_sealed, seal_of
from avssl.search.rows import ITEM, MOMENT, Kind, Rows
from avssl.system.files import read_json, whole_folder, write_json

FORMAT = 1
HEADER = "index.json"
WORK = ".work"
"""Folder of what is embedded and not yet part of the index."""

_NPY_HEADER_BYTES = 4096
"""More than the header of an array takes."""

_AT_ONCE = ("moments.bin", "items.bin", "clips.bin", "texts.bin", "texts.i64")


class DamagedIndex(UserError):
    """An index whose files are not as they were written.

    Args:
        folder: the index.
        what: what is wrong, in a few words.
    """

    def __init__(self, folder: Path, what: str) -> None:
        super().__init__(
            f"{folder}: this search index is damaged ({what}); remove it and make it again with: avssl embed … --index"
        )


class IndexFiles:
    """The files of an index, opened for reading. Threads may share it.

    Attributes:
        folder: INDEX.
        header: what holds for all.
        rows: the moments.

    Raises:
        DamagedIndex: a file is missing, or not as it was written.
        UserError: there is no index, or it is of another version.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        if not is_index(folder):
            raise UserError(_no_index(folder))
        header = read_json(folder / HEADER)
        if header is None or not is_sealed(header):
            raise DamagedIndex(folder, f"{HEADER} has changed")
        if header["format"] != FORMAT:
            raise UserError(f"{folder}: a search index of another version of avssl; make it again in another folder")
        self.header = header
        # All at once, so that a change of the index on disk takes none of them away.
        self._mapped = {name: self._map(folder / str(header["files_in"]) / name) for name in header["files"]}
        self._checked: set[str] = set()
        self._finite: set[Kind] = set()
        self._lock = threading.Lock()
        moments, items, clips, texts, ends = (self.bytes_of(name) for name in _AT_ONCE)
        columns = Columns(clips, texts, ends.view("<i8"))
        self.rows = Rows(moments.view(MOMENT), items.view(ITEM), columns)
        if len(self.rows) != header["rows"] or len(columns) != len(self.rows.items):
            raise DamagedIndex(folder, "its files do not match")

    @property
    def unrelated(self) -> NDArray[np.float32]:
        """Cosines of unrelated pairs, each row ascending; see :mod:`avssl.search.unrelated`."""
        return self._array("unrelated.npy")

    def vectors(self, kind: Kind) -> NDArray[np.float32]:
        """Unit vectors (rows, dimensions), read-only, mapped.

        Raises:
            DamagedIndex: they are not as they were written.
            UserError: some are not finite.
        """
        vectors = self._array(f"{kind}.npy")
        if kind not in self._finite:
            # A sum is finite if all its terms are, as they are at most 1; and it needs no memory.
            if not np.isfinite(vectors.sum(dtype=np.float64)):
                row = int(np.flatnonzero(~np.isfinite(vectors).all(axis=1))[0])
                raise UserError(
                    f"{self.folder}: vectors in {kind}.npy are NaN or infinite (first {self.rows[row].path}), as a "
                    "network gives them whose training diverged; make a new index with another run"
                )
            self._finite.add(kind)
        return vectors

    def bytes_of(self, name: str) -> NDArray[np.uint8]:
        """A file, mapped; its checksum is compared the first time.

        Raises:
            DamagedIndex: it is not as it was written.
        """
        data = self._mapped[name]
        with self._lock:
            if name not in self._checked and zlib.crc32(data.data) != self.header["files"][name][1]:
                raise DamagedIndex(self.folder, f"{name} has changed")
            self._checked.add(name)
        return data

    def _array(self, name: str) -> NDArray[np.float32]:
        data = self.bytes_of(name)
        file = io.BytesIO(data[:_NPY_HEADER_BYTES].tobytes())
        np.lib.format.read_magic(file)
        shape, _, dtype = np.lib.format.read_array_header_1_0(file)
        return data[file.tell() :].view(dtype).reshape(shape)

    def _map(self, path: Path) -> NDArray[np.uint8]:
        if not path.is_file():
            raise DamagedIndex(self.folder, f"{path.name} is missing")
        if path.stat().st_size != self.header["files"][path.name][0]:
            raise DamagedIndex(self.folder, f"{path.name} is truncated, or belongs to another index")
        if not path.stat().st_size:  # an empty file cannot be mapped
            return np.zeros(0, np.uint8)
        return np.asarray(np.memmap(path, np.uint8, mode="r"))


def is_index(folder: Path) -> bool:
    """Whether a folder is an index, or was one."""
    return (folder / HEADER).is_file()


def _no_index(folder: Path) -> str:
    if (folder / WORK).is_dir():
        return f"{folder}: this search index is not finished; run the same avssl embed again, which goes on with it"
    return f"{folder} is no search index; make one with: avssl embed DATA --run RUN --index {folder}"


def write_index(folder: Path, header: Mapping[str, Any], write: Callable[[Path], Mapping[str, Any]]) -> None:
    """Write a new state of an index; it counts once its header is there.

    Args:
        folder: INDEX.
        header: what holds for all.
        write: writes the files into a folder, and returns more of the header.

    Raises:
        UserError: it cannot be written.
    """
    number = 1 + max((int(path.name) for path in folder.glob("[0-9]*") if path.name.isdecimal()), default=0)
    place = folder / f"{number:04d}"
    with whole_folder(place) as partial:
        more = write(partial)
        files = {path.name: [path.stat().st_size, file_crc(path)] for path in sorted(partial.iterdir())}
    # Through JSON and back, so that it is sealed as it will be read: tuples have become lists.
    whole = json.loads(json.dumps({"format": FORMAT, **header, **more, "files_in": place.name, "files": files}))
    write_json(folder / HEADER, {**whole, "seal": seal_of(whole)})
    for old in folder.iterdir():
        if old.is_dir() and old != place:  # also what killed writers left; an open file outlives its name
            shutil.rmtree(old, ignore_errors=True)
