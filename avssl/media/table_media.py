"""Items of a table on disk: what collections of files and prepared sets have in common."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, Generic, Protocol, TypeVar

from numpy.typing import NDArray

from avssl.media.facts import Facts, Items, Rejected
from avssl.media.indexing.columns import Columns
from avssl.media.indexing.item_table import Table
from avssl.media.selection import Selectable


class _HasFacts(Protocol):
    @property
    def facts(self) -> Facts: ...


K = TypeVar("K", bound=_HasFacts)


class TableMedia(Selectable, Generic[K]):
    """Items of a table. The last few are kept parsed, as a puzzle asks several things of one item."""

    remembered = 64

    def __init__(self, table: Table) -> None:
        self._table = table
        self._known: dict[int, K] = {}
        self._opened_columns: Columns | None = None
        self._length: int | None = None

    def __getstate__(self) -> dict[str, Any]:
        return {**vars(self), "_known": {}, "_opened_columns": None}

    def __len__(self) -> int:
        if self._length is None:  # asked several times for each puzzle
            self._length = len(self._table if self._columns is None else self._columns)
        return self._length

    @property
    def _columns(self) -> Columns | None:
        """The facts of all items as columns; None in a table of an early version."""
        if self._opened_columns is None:
            self._opened_columns = self._table.columns(self.root)
        return self._opened_columns

    @property
    def root(self) -> str:
        """What the paths in the table are relative to; "" where they are absolute."""
        return ""

    @property
    def rejected(self) -> Sequence[Rejected]:
        return [Rejected(*pair) for pair in self._table.header["rejected"]]

    @property
    def fingerprint(self) -> str:
        return str(self._table.header["fingerprint"])

    def facts(self, i: int) -> Facts:
        return self._item(i).facts

    def each_facts(self, items: Items | None = None, sources: Sequence[str] | None = None) -> Iterator[Facts]:
        columns = self._columns
        return super().each_facts(items, sources) if columns is None else columns.each(items, sources)

    def column(self, name: str) -> NDArray[Any]:
        columns = self._columns
        return super().column(name) if columns is None else columns.column(name)

    def _item(self, i: int) -> K:
        known = self._known.get(i)
        if known is None:
            if not 0 <= i < len(self):
                raise IndexError(f"items are numbered 0 to {len(self) - 1}, not {i}")
            if len(self._known) >= self.remembered:
                self._known.clear()
            known = self._known[i] = self._read_item(i)
        return known

    def _read_item(self, i: int) -> K:
        raise NotImplementedError
