"""The sources that were found in a collection, and how they are reported."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import PurePath
from typing import Any

_HOW = {
    "told": "as told",
    "file": "cut from one file",
    "names": "by name",
    "bytes": "by identical bytes",
    "frames": "by near-identical frames",
    "sound": "by near-identical sound",
    "border": "by the same border",
    "hum": "by the same hum",
}
_SHOWN = 2


@dataclass(frozen=True)
class Likeness:
    """Items that look or sound alike, and by what.

    Attributes:
        rule: "told", "file", "names", "bytes", "frames", "sound", "border" or "hum".
        items: their numbers in the collection, ascending.
        paths: their files, in the same order.
        words: the evidence, for people.
    """

    rule: str
    items: tuple[int, ...]
    paths: tuple[str, ...]
    words: str

    def as_json(self) -> dict[str, Any]:
        """The rule, the files and the evidence."""
        return {"rule": self.rule, "paths": list(self.paths), "words": self.words}


@dataclass(frozen=True)
class Sources:
    """The source of each item of a collection.

    Attributes:
        names: one for each item; items of one name were cut from one thing.
        mode: what was asked: "content", "names", "none", or the name of a column.
        groups: what was put together, by rule; one item may be in several.
        warnings: weaker likeness: not put together.
    """

    names: tuple[str, ...]
    mode: str
    groups: tuple[Likeness, ...]
    warnings: tuple[Likeness, ...]

    @property
    def count(self) -> int:
        """How many different sources there are."""
        return len(set(self.names))

    def lines(self) -> list[str]:
        """One line about what was put together, and one for each kind of weaker likeness; none if all are apart."""
        said = []
        if self.groups:
            named: dict[str, list[Likeness]] = {}
            for group in self.groups:
                named.setdefault(group.rule, []).append(group)
            grouped = [
                f"{len({i for group in groups for i in group.items})} {_HOW.get(rule, 'by ' + rule)} "
                f"({_listed(groups[0].paths)})"
                for rule, groups in named.items()
            ]
            told = "told" in named
            kept = "keeps to what is told" if told else "keeps each file separate"
            way_out = "" if self._is_told() else f"; --sources none {kept}"
            said.append(f"{len(self.names)} items from {self.count} sources: {', '.join(grouped)}{way_out}")
        weaker: dict[str, list[Likeness]] = {}
        for warning in self.warnings:
            weaker.setdefault(warning.rule, []).append(warning)
        for rule, warnings in weaker.items():
            items = {i for warning in warnings for i in warning.items}
            said.append(
                f"{len(items)} items may share a source, kept apart: {warnings[0].words} ({_listed(warnings[0].paths)})"
                + (f" and {len(warnings) - 1} more by {rule}" if len(warnings) > 1 else "")
            )
        return said

    def _is_told(self) -> bool:
        return all(group.rule in ("told", "file") for group in self.groups)


def _listed(paths: Sequence[str]) -> str:
    shown = ", ".join(PurePath(path).name for path in paths[:_SHOWN])
    return shown + (" …" if len(paths) > _SHOWN else "")


class Unions:
    """Items put together step by step (disjoint sets)."""

    def __init__(self, count: int) -> None:
        self._parent = list(range(count))

    def root(self, i: int) -> int:
        while self._parent[i] != i:
            self._parent[i] = self._parent[self._parent[i]]
            i = self._parent[i]
        return i

    def join(self, items: Iterable[int]) -> None:
        """Put these items into one set; the smallest number stands for it."""
        roots = {self.root(i) for i in items}
        if roots:
            first = min(roots)
            for other in roots:
                self._parent[other] = first

    def names(self, told: Sequence[str]) -> tuple[str, ...]:
        """A name for each item: the most frequent told name of its set, of equal ones the first in order."""
        counts: dict[int, Counter[str]] = {}
        for i, name in enumerate(told):
            counts.setdefault(self.root(i), Counter())[name] += 1
        named = {root: min(names, key=lambda name: (-names[name], name)) for root, names in counts.items()}
        return tuple(named[self.root(i)] for i in range(len(told)))
