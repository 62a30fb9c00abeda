"""Embeddings that are not yet part of an index, so that a killed process loses only seconds of work."""

from __future__ import annotations

import zipfile
import zlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from avssl.search.rows import KINDS, Kind
from avssl.system.files import whole_file

Vectors = NDArray[np.float32]


@dataclass(frozen=True)
class Piece:
    """Moments of one item.

    Attributes:
        key: of the item, see :data:`avssl.search.rows.ITEM`.
        seconds: the moments, (n,).
        vectors: unit vectors (n, dimensions) of each kind that there is.
    """

    key: str
    seconds: NDArray[np.float64]
    vectors: Mapping[Kind, Vectors]


def write_pieces(path: Path, pieces: list[Piece]) -> None:
    """Write some items, whole or not at all.

    Raises:
        UserError: no space, no right to write, or a read-only disk.
    """
    arrays: dict[str, Any] = {
        "key": np.array([piece.key for piece in pieces]),
        "count": np.array([len(p.seconds) for p in pieces]),
    }
    arrays["seconds"] = np.concatenate([piece.seconds for piece in pieces])
    for kind in KINDS:
        there = [piece.vectors[kind] for piece in pieces if kind in piece.vectors]
        arrays[f"has_{kind}"] = np.array([kind in piece.vectors for piece in pieces])
        arrays[kind] = np.concatenate(there) if there else np.zeros((0, 0), np.float32)
    # Items without a half have no rows of it at all: zeros would be a third of a collection of sounds.
    with whole_file(path) as file:
        np.savez(file, **arrays)


def read_pieces(path: Path) -> Iterator[Piece]:
    """The items of a file; none of one that is damaged, which is embedded again."""
    try:
        with np.load(path, allow_pickle=False) as file:
            arrays = dict(file)
    # Whatever numpy and zip raise at a file that a power cut left: it is only work to be done again.
    except (OSError, ValueError, EOFError, KeyError, zipfile.BadZipFile, zlib.error):
        return
    at, row = dict.fromkeys(KINDS, 0), 0
    for number, (key, count) in enumerate(zip(arrays["key"].tolist(), arrays["count"].tolist(), strict=True)):
        vectors: dict[Kind, Vectors] = {}
        for kind in KINDS:
            if arrays[f"has_{kind}"][number]:
                vectors[kind] = arrays[kind][at[kind] : at[kind] + count]
                at[kind] += count
        yield Piece(key, arrays["seconds"][row : row + count], vectors)
        row += count
