"""The facts of all items as columns: a million take 110 MB on disk, shared by all processes that map them.

    clips.bin    a row an item: numbers, and places of texts in the file of texts
    texts.bin    every different text (paths, labels, splits, sources, flags, kinds) once, one after the other
    texts.i64    where each of them ends

As Python objects they would take ten times that in every worker; objects are made only for the items in use.
"""

from __future__ import annotations

import math
import os
import struct
from collections.abc import Callable, Iterator, Sequence
from dataclasses import fields
from typing import Any

import numpy as np
from numpy.typing import NDArray

from avssl.media.facts import Facts, Items

COLUMN_FILES = {"clips.bin": "u1", "texts.bin": "u1", "texts.i64": "<i8"}

_TEXTS = ("path", "label", "split", "source", "kind", "flags")
_INTEGERS = ("width", "height", "audio_rate", "audio_channels", "file")
# The last two are the segment of the file; NaN: from zero, to the end.
_TIMES = ("duration_seconds", "frame_rate", "audio_start_seconds", "audio_end_seconds", "start", "seconds")

_ROW = np.dtype(
    [(name, "<i4") for name in (*_TEXTS, *_INTEGERS)]
    + [("unused", "<i4"), ("frame_count", "<i8")]
    + [(name, "<f8") for name in _TIMES]
)
_PACK = struct.Struct("<12iq6d")  # the same layout, packed in a twelfth of the time that numpy takes for one row
_FACTS = tuple(field.name for field in fields(Facts))

_FLAGS_SEPARATOR = "\n"
_ITEMS_AT_ONCE = 1 << 16


class ColumnWriter:
    """Appends the facts of items; ``write`` takes the bytes of a row of ``clips.bin``."""

    def __init__(self, write: Callable[[bytes], object]) -> None:
        self._write = write
        self._texts: dict[str, int] = {}

    def add(
        self, facts: Facts, path: str, file: int = -1, start: float | None = None, seconds: float | None = None
    ) -> None:
        """Append an item.

        Args:
            path: as it is stored: relative to the collection's root, or absolute.
            file: the number of its file in the table; -1 where every item has its own line there.
            start, seconds: the segment of the file; None: from zero, to the end.
        """
        texts = (path, facts.label, facts.split, facts.source, facts.kind, _FLAGS_SEPARATOR.join(facts.flags))
        self._write(
            _PACK.pack(
                *(-1 if text is None else self._texts.setdefault(text, len(self._texts)) for text in texts),
                *(facts.width, facts.height, facts.audio_rate, facts.audio_channels, file, 0, facts.frame_count),
                *(facts.duration_seconds, facts.frame_rate, facts.audio_start_seconds, facts.audio_end_seconds),
                *(np.nan if value is None else value for value in (start, seconds)),
            )
        )

    def texts(self) -> tuple[bytes, NDArray[np.int64]]:
        encoded = [text.encode("utf-8", "surrogatepass") for text in self._texts]
        return b"".join(encoded), np.cumsum([len(text) for text in encoded], dtype=np.int64)


class Columns:
    """The facts of all items, from the three files; paths are relative to ``root`` ("": absolute)."""

    def __init__(
        self, clips: NDArray[np.uint8], texts: NDArray[np.uint8], ends: NDArray[np.int64], root: str = ""
    ) -> None:
        self._rows = clips.view(_ROW)
        self._texts = texts
        self._ends = ends
        self._root = root

    def __len__(self) -> int:
        return len(self._rows)

    def facts(self, i: int) -> Facts:
        known = dict(zip(_ROW.names or (), self._rows[i].item(), strict=True))
        texts = {name: self._text(known[name]) for name in _TEXTS}
        texts["path"] = self._absolute(texts["path"] or "")
        flags = _flags(texts["flags"] or "")
        whole = {**known, **texts, "flags": flags}
        return Facts(*[whole[name] for name in _FACTS])

    def place(self, i: int) -> tuple[int, float | None, float | None]:
        """The number of the item's file in the table, and its segment: start and length in seconds, or None."""
        row = self._rows[i]
        start, seconds = (None if math.isnan(row[name]) else float(row[name]) for name in ("start", "seconds"))
        return int(row["file"]), start, seconds

    def each(self, items: Items | None = None, sources: Sequence[str] | None = None) -> Iterator[Facts]:
        """The facts of some items, or of all; see :meth:`avssl.media.selection.Selectable.each_facts`."""
        chosen = range(len(self)) if items is None else items
        for first in range(0, len(chosen), _ITEMS_AT_ONCE):
            rows = self._rows[np.asarray(chosen[first : first + _ITEMS_AT_ONCE])]
            known: dict[str, Sequence[Any]] = {name: self._texts_of(rows[name], name).tolist() for name in _TEXTS}
            flags = {text: _flags(text) for text in set(known["flags"])}
            known["flags"] = [flags[text] for text in known["flags"]]
            if sources is not None:
                known["source"] = sources[first : first + _ITEMS_AT_ONCE]
            yield from map(Facts, *(known[name] if name in known else rows[name].tolist() for name in _FACTS))

    def column(self, name: str) -> NDArray[Any]:
        """One of the facts of all items: numbers; texts as objects. (items,)"""
        values = self._rows[name]
        return self._texts_of(values, name) if name in _TEXTS else np.array(values)

    def equal(self, name: str, text: str) -> NDArray[np.bool_]:
        """Which items have this text, a path as it is kept; no text of another item is decoded for it. (items,)"""
        data, blob, at = text.encode("utf-8", "surrogatepass"), self._texts.tobytes(), -1
        while data and (at := blob.find(data, at + 1)) >= 0:
            place = int(np.searchsorted(self._ends, at + len(data)))
            begin = int(self._ends[place - 1]) if place else 0
            if begin == at and int(self._ends[place]) == at + len(data):
                return np.asarray(self._rows[name] == place)
        return np.zeros(len(self), bool)

    def _texts_of(self, places: NDArray[np.int32], name: str) -> NDArray[Any]:
        """The texts at these places, None for -1: (n,) of objects. Each different text is decoded once."""
        different, which = np.unique(places, return_inverse=True)
        texts = np.array([self._text(place) for place in different.tolist()] + [None], object)[:-1]
        if name == "path":
            texts[:] = [self._absolute(text) for text in texts]
        return texts[which]

    def _text(self, place: int) -> str | None:
        if place < 0:
            return None
        begin = int(self._ends[place - 1]) if place else 0
        return self._texts[begin : int(self._ends[place])].tobytes().decode("utf-8", "surrogatepass")

    def _absolute(self, name: str) -> str:
        path = os.path.join(self._root, name)  # noqa: PTH118  Path takes three times as long, for each of a million
        return path if os.sep == "/" else path.replace("/", os.sep)


def _flags(text: str) -> tuple[str, ...]:
    return tuple(text.split(_FLAGS_SEPARATOR)) if text else ()
