"""Items of a table on disk: what collections of files and prepared sets have in common."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Generic, Protocol, TypeVar

from avssl.media.facts import Facts, Rejected
from avssl.media.indexing.item_table import Table
from avssl.media.selection import Selectable


class _HasFacts(Protocol):
    @property
    def facts(self) -> Facts: ...


K = TypeVar("K", bound=_HasFacts)


class TableMedia(Selectable, Generic[K]):
    """Items of a table. What was read of the last few is kept at hand: a puzzle asks several things of one item."""

    remembered = 64

    def __init__(self, table: Table) -> None:
        self._table = table
        self._known: dict[int, K] = {}

    def __getstate__(self) -> dict[str, Any]:
        return {**vars(self), "_known": {}}

    def __len__(self) -> int:
        return len(self._table)

    @property
    def rejected(self) -> Sequence[Rejected]:
        return [Rejected(*pair) for pair in self._table.header["rejected"]]

    @property
    def fingerprint(self) -> str:
        return str(self._table.header["fingerprint"])

    def facts(self, i: int) -> Facts:
        return self._item(i).facts

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
