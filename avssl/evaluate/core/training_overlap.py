"""Overlap of the evaluated data with the training data: the same files under any name, and other parts of a source."""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

from avssl.evaluate.core.rows import ResultRow
from avssl.media.facts import Media
from avssl.media.selection import column_of, facts_of
from avssl.system.console import counted
from avssl.system.digests import copies


@dataclass(frozen=True)
class Seen:
    """What of the evaluated data was trained on."""

    # Items whose very file was trained on, and how many there are
    items: int = 0
    of_items: int = 0
    # Sources of which anything was trained on, and how many there are
    sources: int = 0
    of_sources: int = 0

    def __bool__(self) -> bool:
        return bool(self.items or self.sources)

    @property
    def words(self) -> str:
        """The note of a row: "trained on 24 of the 32 items"; empty where nothing was."""
        if self.items:
            return f"trained on {self.items} of the {counted(self.of_items, 'item')}"
        return f"{self.sources} of the {counted(self.of_sources, 'source')} were trained on" if self.sources else ""


def seen_in_part(train: Media, evaluated: Media) -> Seen:
    """Of two parts of one collection, whose sources have the same names."""
    return _seen(train, evaluated, {facts.source_or_path for facts in facts_of(train)}, set())


def seen_in(train: Media, evaluated: Media, mode: str = "names") -> Seen:
    """Of two collections that were opened apart: by path, by bytes, and by the sources in both, found by ``mode`` (see
    :func:`avssl.media.sources.find_sources`).

    Raises:
        UserError: the cache cannot be written.
    """
    from avssl.media.sources import sources_in_both

    # In groups over both, the items to be evaluated come after those of the training.
    shared = {i - len(train) for group in sources_in_both(train, evaluated, mode) for i in group.items}
    return _seen(train, evaluated, set(), shared)


def seen_items(train: Media, evaluated: Media) -> list[bool]:
    """Of each evaluated item whether its file was trained on, see :func:`seen_files`."""
    return seen_files(train, column_of(evaluated, "path").tolist())


def seen_files(train: Media, ours: Sequence[str]) -> list[bool]:
    """Of each evaluated file whether it was trained on: the same place, or the same bytes under another name."""
    theirs = list(dict.fromkeys(column_of(train, "path")))
    # Links are followed: a file has many names.
    places = {os.path.realpath(path) for path in theirs}
    # Files of one group have the same bytes: one that was trained on makes all of them known
    known = {path for group in copies(dict.fromkeys([*theirs, *ours])) if not places.isdisjoint(_real(group))
             for path in group}  # fmt: skip
    real = {path: os.path.realpath(path) for path in dict.fromkeys(ours)}
    return [real[path] in places or path in known for path in ours]


def marked(rows: Sequence[ResultRow], seen: Seen) -> list[ResultRow]:
    """Rows marked with what of the evaluated data was trained on: in the split, in the note, and in figures.

    Rows of items that were trained on have the split "train".
    """
    if not seen:
        return list(rows)
    return [
        replace(
            row,
            note=f"{seen.words}; {row.note}".removesuffix("; "),
            # Sources in common make a figure doubtful; the very files make it one of the training data
            split="train" if seen.items else row.split,
            seen=seen.sources,
            sources=seen.of_sources,
        )
        for row in rows
    ]


def _seen(train: Media, evaluated: Media, sources: set[str], shared: set[int]) -> Seen:
    same = seen_items(train, evaluated)
    names = [facts.source_or_path for facts in facts_of(evaluated)]
    known = {name for i, name in enumerate(names) if same[i] or i in shared or name in sources}
    return Seen(sum(same), len(evaluated), len(known), len(set(names)))


def _real(paths: Iterable[str]) -> set[str]:
    return {os.path.realpath(path) for path in paths}
