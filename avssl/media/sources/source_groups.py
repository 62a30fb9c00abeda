"""The sources found in a collection, and their report."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import PurePath
from typing import Any

import numpy as np
from numpy.typing import NDArray

from avssl.media.facts import Media
from avssl.media.selection import Sourced, column_of
from avssl.system.console import counted

_HOW = {
    "told": "as given",
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
    """Items that look or sound alike, and by what."""

    rule: str  # "told", "file", "names", "bytes", "frames", "sound", "border" or "hum"
    items: tuple[int, ...]  # their indices in the collection, ascending
    paths: tuple[str, ...]  # their files, in the same order
    words: str  # the evidence, for people

    def as_json(self) -> dict[str, Any]:
        return {"rule": self.rule, "paths": list(self.paths), "words": self.words}


@dataclass(frozen=True)
class Sources:
    names: tuple[str, ...]  # one for each item; equal for items of one source
    mode: str  # "content", "names", "none", or the name of a column
    groups: tuple[Likeness, ...]  # the evidence, by rule; an item may be in several
    warnings: tuple[Likeness, ...]  # weaker evidence: not grouped

    @property
    def count(self) -> int:
        return len(set(self.names))

    def lines(self) -> list[str]:
        """A line about the groups, and one for each kind of weaker evidence; none if there is neither."""
        lines = []
        if self.groups:
            named: dict[str, list[Likeness]] = {}
            for group in self.groups:
                named.setdefault(group.rule, []).append(group)
            grouped = [
                f"{len({i for group in groups for i in group.items})} {_HOW.get(rule, 'by ' + rule)} "
                f"({_listed(groups[0].paths)})"
                for rule, groups in named.items()
            ]
            is_given = "told" in named
            kept = "keeps to the given sources" if is_given else "keeps each file separate"
            way_out = "" if named.keys() <= {"told", "file"} else f"; --sources none {kept}"
            usable, sources = counted(len(self.names), "item"), counted(self.count, "source")
            lines.append(f"{usable} from {sources}: {', '.join(grouped)}{way_out}")
        weaker: dict[str, list[Likeness]] = {}
        for warning in self.warnings:
            weaker.setdefault(warning.rule, []).append(warning)
        for rule, warnings in weaker.items():
            items = {i for warning in warnings for i in warning.items}
            lines.append(
                f"{counted(len(items), 'item')} may share a source, kept apart: {warnings[0].words} "
                f"({_listed(warnings[0].paths)})"
                + (f" and {len(warnings) - 1} more by {rule}" if len(warnings) > 1 else "")
            )
        return lines


def _listed(paths: Sequence[str]) -> str:
    shown = ", ".join(PurePath(path).name for path in paths[:_SHOWN])
    return shown + (" …" if len(paths) > _SHOWN else "")


def with_sources(media: Media, sources: Sources) -> Media:
    """The same items with the sources found as ``facts(i).source``; ``media`` itself where they are the same."""
    if len(sources.names) != len(media):
        raise ValueError(f"sources of {counted(len(sources.names), 'item')} do not fit media of {len(media)}")
    if column_of(media, "source").tolist() == list(sources.names):
        return media
    return Sourced(media, sources.names)


def joined(count: int, groups: Iterable[Sequence[int]]) -> NDArray[np.int32]:
    """The number of the set of each of ``count`` items after merging overlapping groups. (count,)"""
    pairs = np.array([(group[0], i) for group in groups for i in group[1:]], np.int32).reshape(-1, 2)
    if not len(pairs):
        return np.arange(count, dtype=np.int32)
    from scipy.sparse import coo_array
    from scipy.sparse.csgraph import connected_components

    graph = coo_array((np.ones(len(pairs), np.int8), (pairs[:, 0], pairs[:, 1])), shape=(count, count))
    sets: NDArray[np.int32] = connected_components(graph, directed=False)[1]
    return sets


def names_of(sets: NDArray[np.int32], given: Sequence[str]) -> tuple[str, ...]:
    """A name for each item: the most frequent given name of its set, the first in order of equally frequent ones."""
    counts: dict[int, Counter[str]] = defaultdict(Counter)
    for number, name in zip(sets.tolist(), given, strict=True):
        counts[number][name] += 1
    named = {number: min(names, key=lambda name: (-names[name], name)) for number, names in counts.items()}
    return tuple(named[number] for number in sets.tolist())
