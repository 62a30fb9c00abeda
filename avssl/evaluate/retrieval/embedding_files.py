"""Embeddings on disk, written as they are computed: NumPy's .npz, or Parquet. Files appear complete or not at all."""

from __future__ import annotations

import itertools
import tempfile
import zipfile
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

import numpy as np

from avssl.errors import UserError
from avssl.installation import install_hint
from avssl.networks.config import EMBEDDING
from avssl.system.files import whole_file

if TYPE_CHECKING:
    from avssl.evaluate.retrieval.embedding import Block, Rows

# Rows of a row group of Parquet: about 4 MB
ROW_GROUP = 4096

_PIECE = 2**20


def write_embeddings(blocks: Iterable[Block], path: Path, about: Mapping[str, str]) -> int:
    """Write all blocks; the format is that of the suffix. Returns the number of rows.

    ``.npz``: "path", "seconds", "image" and "audio" by row, NaN where an item has no pictures or no sound; and a text
    for each of ``about``. ``.parquet``: columns of the same names, the embeddings as lists of 128 float32, null where
    there are none; ``about`` in the metadata of the schema.

    Raises:
        UserError: another suffix, pyarrow is missing, or the disk is full.
    """
    return writer_of(path)(blocks, path, about)


def writer_of(path: Path) -> Callable[[Iterable[Block], Path, Mapping[str, str]], int]:
    """What writes a file of this suffix.

    Raises:
        UserError: another suffix than .npz and .parquet, or pyarrow is missing.
    """
    suffix = path.suffix.lower()
    if suffix == ".npz":
        return _npz
    if suffix != ".parquet":
        raise UserError(f"{path}: embeddings are written as .npz or as .parquet; name the file so")
    try:
        import pyarrow.parquet  # noqa: F401
    except ImportError:
        raise UserError(f"to write Parquet the package pyarrow is missing: {install_hint('parquet')}") from None
    return _parquet


def read_embeddings(path: Path) -> Iterator[Block]:
    """The blocks of an ``.npz``: rows of one item that have both, or the same of, picture and sound."""
    from avssl.evaluate.retrieval.embedding import Block  # loads torch: not for errors that need none

    with np.load(path, allow_pickle=False) as arrays:
        paths, seconds, image, audio = (arrays[name] for name in ("path", "seconds", "image", "audio"))
    seen, heard = (~np.isnan(rows).all(axis=1) for rows in (image, audio))
    ends = np.flatnonzero((paths[1:] != paths[:-1]) | (seen[1:] != seen[:-1]) | (heard[1:] != heard[:-1])) + 1
    for first, end in itertools.pairwise([0, *ends.tolist(), len(paths)]):
        if first < end:
            some = slice(first, end)
            pictures, sounds = image[some] if seen[first] else None, audio[some] if heard[first] else None
            yield Block(str(paths[first]), seconds[some].tolist(), pictures, sounds)


def _npz(blocks: Iterable[Block], path: Path, about: Mapping[str, str]) -> int:
    """Columns go to unnamed files beside the target first: their length is known only at the end."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with (
        whole_file(path) as file,
        tempfile.TemporaryFile(dir=path.parent) as seconds,
        tempfile.TemporaryFile(dir=path.parent) as image,
        tempfile.TemporaryFile(dir=path.parent) as audio,
    ):
        counts: list[tuple[str, int]] = []
        for block in blocks:
            n = len(block.seconds)
            before = counts.pop()[1] if counts and counts[-1][0] == block.path else 0
            counts.append((block.path, before + n))
            seconds.write(np.asarray(block.seconds, "<f8").tobytes())
            image.write(_filled(block.image, n).tobytes())
            audio.write(_filled(block.audio, n).tobytes())
        rows = sum(count for _, count in counts)
        with zipfile.ZipFile(file, "w") as archive:
            width = max((len(name) for name, _ in counts), default=1)
            _member(archive, "path", f"<U{width}", (rows,), _repeated(counts, width))
            _member(archive, "seconds", "<f8", (rows,), _pieces(seconds))
            _member(archive, "image", "<f4", (rows, EMBEDDING), _pieces(image))
            _member(archive, "audio", "<f4", (rows, EMBEDDING), _pieces(audio))
            for key, value in about.items():
                array = np.array(value)
                _member(archive, key, array.dtype.str, (), [array.tobytes()])
    return rows


def _parquet(blocks: Iterable[Block], path: Path, about: Mapping[str, str]) -> int:
    import pyarrow as pa
    import pyarrow.parquet as pq

    vector = pa.list_(pa.float32())
    columns = [("path", pa.string()), ("seconds", pa.float64()), ("image", vector), ("audio", vector)]
    schema = pa.schema(columns, metadata=dict(about))
    rows = 0
    with whole_file(path) as file, pq.ParquetWriter(file, schema) as writer:
        for group in _groups(blocks, ROW_GROUP):
            paths = [block.path for block in group for _ in block.seconds]
            seconds = [float(time) for block in group for time in block.seconds]
            image = _lists([(block.image, len(block.seconds)) for block in group])
            audio = _lists([(block.audio, len(block.seconds)) for block in group])
            writer.write_table(pa.table([paths, seconds, image, audio], schema=schema))
            rows += len(paths)
    return rows


def _filled(rows: Rows | None, count: int) -> Rows:
    return np.full((count, EMBEDDING), np.nan, "<f4") if rows is None else np.ascontiguousarray(rows, "<f4")


def _member(archive: zipfile.ZipFile, name: str, kind: str, shape: tuple[int, ...], pieces: Iterable[bytes]) -> None:
    """An array of the archive, as ``np.savez`` writes it, from its bytes."""
    # How long it becomes is not known when it begins, and may be more than 4 GB.
    with archive.open(f"{name}.npy", "w", force_zip64=True) as member:
        about = {"descr": kind, "fortran_order": False, "shape": shape}
        np.lib.format.write_array_header_1_0(member, about)
        for piece in pieces:
            member.write(piece)


def _pieces(file: IO[bytes]) -> Iterator[bytes]:
    file.seek(0)
    while piece := file.read(_PIECE):
        yield piece


def _repeated(counts: Sequence[tuple[str, int]], width: int) -> Iterator[bytes]:
    for name, count in counts:
        one = np.array([name], f"<U{width}").tobytes()
        for first in range(0, count, 1024):
            yield one * min(1024, count - first)


def _groups(blocks: Iterable[Block], rows: int) -> Iterator[list[Block]]:
    """Blocks in groups of so many rows, cut where one goes on in the next group."""
    group: list[Block] = []
    room = rows
    for whole in blocks:
        first, count = 0, len(whole.seconds)
        while first < count:
            group.append(whole.rows(first, first + room))
            step = len(group[-1].seconds)
            first, room = first + step, room - step
            if not room:
                yield group
                group, room = [], rows
    if group:
        yield group


def _lists(parts: list[tuple[Rows | None, int]]) -> Any:
    """A list a row, null where there is none. Not lists of fixed size: pyarrow 17 and others cannot read null ones."""
    import pyarrow as pa

    lengths = np.concatenate([np.full(n, 0 if rows is None else EMBEDDING) for rows, n in parts])
    flat = np.concatenate([np.zeros(0, np.float32), *(rows.reshape(-1) for rows, _ in parts if rows is not None)])
    offsets = np.concatenate([[0], np.cumsum(lengths)]).astype(np.int32)
    return pa.ListArray.from_arrays(pa.array(offsets), pa.array(flat), mask=pa.array(lengths == 0))
