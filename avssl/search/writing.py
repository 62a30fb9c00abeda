"""The files of an index from its entries: moments, items, vectors, unrelated pairs, graphs."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from avssl.installation import install_hint
from avssl.media.facts import Facts
from avssl.media.indexing.columns import Columns, ColumnWriter
from avssl.search.files import IndexFiles
from avssl.search.nearest import EXACT_ROWS, build_graph, has_usearch, sample_queries
from avssl.search.pieces import Piece, read_pieces
from avssl.search.places import Place
from avssl.search.rows import HAS, ITEM, KINDS, MOMENT, Kind, Rows
from avssl.search.unrelated import unrelated_cosines
from avssl.system.console import ShowProgress, log, progress

Vectors = NDArray[np.float32]


@dataclass(frozen=True)
class Entry:
    """An item of the index to write, with where its vectors are.

    Attributes:
        facts: of the item.
        number, zero_seconds, data, key: see :data:`avssl.search.rows.ITEM`.
        old: its number in the index of before, or -1.
        piece: else the file of pieces that it is in.
    """

    facts: Facts
    number: int
    zero_seconds: float
    data: int
    key: str
    old: int = -1
    piece: Path | None = None

    @staticmethod
    def of_item(facts: Facts, place: Place, data: int, old: int = -1, piece: Path | None = None) -> Entry:
        """An item of the collection that is opened."""
        # Names relative to two folders may be the same; what is merely the file's name is its path from here on.
        source = facts.path if facts.path.replace("\\", "/").endswith(facts.source) else facts.source
        return Entry(replace(facts, source=source), place.number, place.zero_seconds, data, place.key, old, piece)

    @staticmethod
    def of_old(index: IndexFiles, n: int) -> Entry:
        """An item that stays as it is."""
        row = index.rows.items[n]
        place = int(row["number"]), float(row["zero"]), int(row["data"]), str(row["key"], "ascii")
        return Entry(index.rows.columns.facts(n), *place, old=n)


def write_files(folder: Path, entries: Sequence[Entry], old: IndexFiles | None, shown: ShowProgress) -> dict[str, Any]:
    """Write all files of an index into a folder; returns what its header says of them."""
    items = np.zeros(len(entries), ITEM)
    with (folder / "clips.bin").open("wb") as clips:
        columns = ColumnWriter(clips.write)
        for n, entry in enumerate(entries):
            columns.add(entry.facts, entry.facts.path)
            items[n] = (0, 0, entry.number, entry.zero_seconds, entry.data, entry.key.encode())
    texts, ends = columns.texts()
    (folder / "texts.bin").write_bytes(texts)
    ends.astype("<i8").tofile(folder / "texts.i64")
    _write_vectors(folder, entries, old, items)
    items.tofile(folder / "items.bin")
    vectors: dict[Kind, Vectors] = {kind: np.load(folder / f"{kind}.npy", mmap_mode="r") for kind in KINDS}
    facts = Columns(np.fromfile(folder / "clips.bin", np.uint8), np.frombuffer(texts, np.uint8), ends)
    rows = Rows(np.fromfile(folder / "moments.bin", MOMENT), items, facts)
    having = {kind: rows.having(kind) for kind in KINDS}
    sources = rows.sources
    np.save(folder / "unrelated.npy", unrelated_cosines(vectors, having, sources))
    return {
        "rows": len(rows),
        "dimensions": vectors["image"].shape[1],
        "sources": len(np.unique(sources)),
        "with": {kind: int(having[kind].sum()) for kind in KINDS},
        "graphs": _write_graphs(folder, vectors, having, shown),
    }


def _write_vectors(folder: Path, entries: Sequence[Entry], old: IndexFiles | None, items: NDArray[Any]) -> None:
    """Moments and vectors one item after the other; ``items`` learns where each one's begin."""
    count, dimensions = 0, 0
    # Once to count and once to write: what is to be written may not fit in memory.
    for n, (seconds, vectors) in enumerate(_vectors_of(entries, old)):
        items[n]["first"], items[n]["count"] = count, len(seconds)
        count += len(seconds)
        dimensions = max([dimensions, *(one.shape[1] for one in vectors.values())])
    rows = np.zeros(count, MOMENT)
    with ExitStack() as stack:
        # Written, not mapped: where the disk is full, a write fails and a map ends the process.
        files = {kind: stack.enter_context((folder / f"{kind}.npy").open("wb")) for kind in KINDS}
        for file in files.values():
            header = {"descr": "<f4", "fortran_order": False, "shape": (count, dimensions)}
            np.lib.format.write_array_header_1_0(file, header)
        for n, (seconds, vectors) in enumerate(_vectors_of(entries, old)):
            span = slice(int(items[n]["first"]), int(items[n]["first"]) + len(seconds))
            rows["item"][span], rows["seconds"][span] = n, seconds
            rows["has"][span] = sum(HAS[kind] for kind in vectors)
            nothing = np.zeros((len(seconds), dimensions), "<f4")
            for kind, file in files.items():
                file.write(np.ascontiguousarray(vectors.get(kind, nothing), "<f4").tobytes())
    rows.tofile(folder / "moments.bin")


def _vectors_of(
    entries: Sequence[Entry], old: IndexFiles | None
) -> Iterator[tuple[NDArray[np.float64], dict[Kind, Vectors]]]:
    """Times and vectors of each entry, in order."""
    path: Path | None = None
    pieces: dict[str, Piece] = {}
    for entry in entries:
        if entry.piece is None:
            assert old is not None
            item = old.rows.items[entry.old]
            span = slice(int(item["first"]), int(item["first"] + item["count"]))
            rows = old.rows.moments[span]
            has = int(rows["has"][0])
            yield rows["seconds"], {kind: old.vectors(kind)[span] for kind in KINDS if has & HAS[kind]}
            continue
        if entry.piece != path:  # entries of one file of pieces mostly follow each other
            path, pieces = entry.piece, {piece.key: piece for piece in read_pieces(entry.piece)}
        piece = pieces[entry.key]
        yield piece.seconds, dict(piece.vectors)


def _write_graphs(
    folder: Path, vectors: dict[Kind, Vectors], having: dict[Kind, NDArray[np.bool_]], shown: ShowProgress
) -> dict[str, Any]:
    """Graphs of the kinds of which there are very many; what is known of them by kind."""
    large = [kind for kind in KINDS if having[kind].sum() > EXACT_ROWS]
    if large and not has_usearch():
        log(f"more than {EXACT_ROWS:,} moments: a search compares all of them, unless you {install_hint('search')}")
        return {}
    queries = sample_queries(vectors, having) if large else None
    found: dict[str, Any] = {}
    for kind in large:
        assert queries is not None
        with progress(f"graph of {kind} vectors", "row", shown) as on_progress:
            path = folder / f"{kind}.usearch"
            found[kind] = build_graph(vectors[kind], having[kind], queries, path, on_progress)
    return found
