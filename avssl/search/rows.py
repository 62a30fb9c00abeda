"""The moments of an index: file, time, and facts; a million open at once."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal, overload

import numpy as np
from numpy.typing import NDArray

from avssl.media.facts import Facts
from avssl.media.indexing.columns import Columns

Kind = Literal["image", "audio"]
"""Which half of a moment: the frame shown then, or the sound around it."""
KINDS: tuple[Kind, Kind] = ("image", "audio")

MOMENT = np.dtype([("item", "<i4"), ("has", "<i4"), ("seconds", "<f8")])
"""A row of ``moments.bin``; ``has`` is the sum of :data:`HAS` of the halves that it has."""
HAS = {"image": 1, "audio": 2}

ITEM = np.dtype(
    [("first", "<i8"), ("count", "<i8"), ("number", "<i8"), ("zero", "<f8"), ("data", "<i4"), ("key", "S32")]
)
"""A row of ``items.bin``: its moments, its number in the data it came from, where its zero lies in its file, which of
the data, and a digest that changes with its file."""


@dataclass(frozen=True, slots=True)
class Moment:
    """One moment of an index.

    Attributes:
        row: its number in the index.
        path: of the file.
        seconds: when, on the item's clock.
        file_seconds: when, on the clock of the whole file: another where the item is a segment of it.
        duration_seconds: of the item.
        label, split, source: as in :class:`avssl.media.facts.Facts`.
        media_kind: "video", "image" or "sound".
        has_image, has_audio: which halves it has.
    """

    row: int
    path: str
    seconds: float
    file_seconds: float
    duration_seconds: float
    label: str | None
    split: str | None
    source: str
    media_kind: str
    has_image: bool
    has_audio: bool


class Rows(Sequence[Moment]):
    """All moments, items one after the other, each in order of time.

    Args:
        moments: of :data:`MOMENT`.
        items: of :data:`ITEM`.
        columns: the facts of the items.
    """

    def __init__(self, moments: NDArray[Any], items: NDArray[Any], columns: Columns) -> None:
        self.moments, self.items, self.columns = moments, items, columns

    def __len__(self) -> int:
        return len(self.moments)

    @overload
    def __getitem__(self, row: int) -> Moment: ...
    @overload
    def __getitem__(self, row: slice) -> list[Moment]: ...
    def __getitem__(self, row: int | slice) -> Moment | list[Moment]:
        """A moment, or a page of them.

        Raises:
            IndexError: there is no such row.
        """
        if isinstance(row, slice):
            return [self[number] for number in range(len(self))[row]]
        number = int(row) + len(self) * (row < 0)
        if not 0 <= number < len(self):
            raise IndexError(f"rows are numbered 0 to {len(self) - 1}, not {row}")
        item, has, seconds = self.moments[number].item()
        facts = self.columns.facts(item)
        return Moment(
            row=number,
            path=facts.path,
            seconds=seconds,
            file_seconds=seconds + float(self.items[item]["zero"]),
            duration_seconds=facts.duration_seconds,
            label=facts.label,
            split=facts.split,
            source=facts.source_or_path,
            media_kind=facts.kind,
            has_image=bool(has & HAS["image"]),
            has_audio=bool(has & HAS["audio"]),
        )

    def facts(self, row: int) -> Facts:
        """Of the item that a moment is of."""
        return self.columns.facts(int(self.moments["item"][row]))

    def column(self, name: str) -> NDArray[Any]:
        """One of the facts of every row's item ("label", "path", "source", …), or its "seconds". (rows,)"""
        if name == "seconds":
            return np.array(self.moments["seconds"])
        column: NDArray[Any] = self.columns.column(name)[self.moments["item"]]
        return column

    def having(self, kind: Kind) -> NDArray[np.bool_]:
        """Which rows have this half. (rows,)"""
        return np.asarray(self.moments["has"] & HAS[kind], bool)

    @property
    def sources(self) -> NDArray[np.int64]:
        """A number for each row, the same for rows of one source. (rows,)"""
        # Of items, not of moments: a hundred times fewer texts to sort.
        _, numbers = np.unique(self.columns.column("source"), return_inverse=True)
        return np.asarray(numbers[self.moments["item"]], np.int64)

    def rows_of(self, items: NDArray[np.bool_]) -> NDArray[np.int64]:
        """The rows of the items that are marked. (n,)"""
        # Rows of an item lie beside each other, so that items say all.
        parts = [np.arange(first, first + count) for first, count in self.items[items][["first", "count"]].tolist()]
        return np.concatenate([np.zeros(0, np.int64), *parts])
