"""Find the sources of a collection."""

from __future__ import annotations

import os
from collections import defaultdict
from collections.abc import Iterable, Sequence

from avssl.media.facts import Media
from avssl.media.selection import Concatenated, facts_of
from avssl.media.sources import content_rules
from avssl.media.sources.content_rules import LIKELY, Alike
from avssl.media.sources.kept import kept
from avssl.media.sources.names import name_groups
from avssl.media.sources.source_groups import Likeness, Sources, joined, names_of
from avssl.media.sources.traces import NOTHING, traces_of
from avssl.system.console import ShowProgress

MODES = ("content", "names", "none")


def find_sources(
    media: Media, mode: str = "content", *, progress: ShowProgress = None, workers: int | None = None
) -> Sources:
    """Find which items were cut from one source.

    Args:
        media: any collection.
        mode: "content" (or "auto"), by names, pictures and sound; "names", by names alone; "none", each file is its own
            source unless a table names one. Anything else is the name of a column: only the sources that the media name
            are used (open the table with that ``source_column``).
        progress, workers: as in ``avssl.open``.

    Raises:
        UserError: the cache cannot be written.
    """
    mode = "content" if mode == "auto" else mode
    return kept(media, mode, lambda: _found(media, mode, progress, workers))


def _found(media: Media, mode: str, progress: ShowProgress, workers: int | None) -> tuple[Sources, bool]:
    """The sources, and whether every item could be measured."""
    facts = list(facts_of(media))
    paths = [one.path for one in facts]
    given = [one.source_or_path for one in facts]
    groups = _given_groups(given, paths)
    if mode not in MODES:
        return Sources(tuple(given), mode, tuple(groups), ()), True
    groups += _same_files(paths, given)
    alike: list[Alike] = []
    is_measured = True
    if mode != "none":
        named = name_groups(paths, [one.duration_seconds for one in facts])
        groups += [_likeness("names", items, paths, "names of parts of one source") for items in named.sure]
        alike = [Alike("names", items, LIKELY, False) for items in named.likely]
    if mode == "content":
        traces = traces_of(media, workers, progress)
        is_measured = all(trace is not NOTHING for trace in traces)
        heard = content_rules.by_sound(media, facts, traces)
        alike = content_rules.by_looks_of_names(named, traces) + content_rules.by_bytes(facts)
        alike += content_rules.by_frames(traces) + heard
        alike += content_rules.by_border(traces) + content_rules.by_hum(traces, heard)
    groups += [_likeness(rule, items, paths, words) for rule, items, words in _together(alike, sure=True)]
    sets = joined(len(media), [group.items for group in groups])
    warnings = [
        _likeness(rule, items, paths, words)
        for rule, items, words in _together(alike, sure=False)
        if len({sets[i] for i in items}) > 1
    ]
    return Sources(names_of(sets, given), mode, tuple(groups), tuple(warnings)), is_measured


def sources_in_both(
    train: Media,
    test: Media,
    mode: str = "content",
    *,
    progress: ShowProgress = None,
    workers: int | None = None,
) -> tuple[Likeness, ...]:
    """The groups with items of both collections; item ``len(train) + j`` is item ``j`` of the test data."""
    both = Concatenated(train, test)
    found = find_sources(both, mode, progress=progress, workers=workers)
    ours = len(train)
    return tuple(group for group in found.groups if group.items[0] < ours <= group.items[-1])


def _together(alike: Sequence[Alike], *, sure: bool) -> list[tuple[str, tuple[int, ...], str]]:
    """The connected components of each rule's pairs: (rule, items, words of the first pair)."""
    found = []
    rules: dict[str, list[Alike]] = defaultdict(list)
    for one in alike:
        if one.sure == sure:
            rules[one.rule].append(one)
    for rule, ones in rules.items():
        concerned = sorted({i for one in ones for i in one.items})
        sets = joined(concerned[-1] + 1, [one.items for one in ones])
        groups: dict[int, list[int]] = defaultdict(list)
        for i in concerned:
            groups[sets[i]].append(i)
        words = {sets[one.items[0]]: one.words for one in reversed(ones)}
        found += [(rule, tuple(items), words[number]) for number, items in groups.items()]
    return found


def _likeness(rule: str, items: Sequence[int], paths: Sequence[str], words: str) -> Likeness:
    return Likeness(rule, tuple(items), tuple(paths[i] for i in items), words)


def _given_groups(given: Sequence[str], paths: Sequence[str]) -> list[Likeness]:
    return [
        _likeness("told", items, paths, f"source {name}")
        for name, items in _equal(given).items()
        if len({paths[i] for i in items}) > 1
    ]


def _same_files(paths: Sequence[str], given: Sequence[str]) -> list[Likeness]:
    """Segments of one file, unless a table names a source for each."""
    return [
        _likeness("file", items, paths, "one file")
        for items in _equal(map(os.path.normpath, paths)).values()
        if len(items) > 1 and len({given[i] for i in items}) == 1
    ]


def _equal(texts: Iterable[str]) -> dict[str, list[int]]:
    items: dict[str, list[int]] = defaultdict(list)
    for i, text in enumerate(texts):
        items[text].append(i)
    return items
