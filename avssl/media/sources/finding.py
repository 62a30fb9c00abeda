"""Find the sources of a collection."""

from __future__ import annotations

import os
from collections import defaultdict
from collections.abc import Sequence

from avssl.media.facts import Facts, Media
from avssl.media.sources.both import Both
from avssl.media.sources.content_rules import (
    LIKELY,
    Alike,
    by_border,
    by_bytes,
    by_frames,
    by_hum,
    by_looks_of_names,
    by_sound,
)
from avssl.media.sources.names import name_groups
from avssl.media.sources.source_groups import Likeness, Sources, Unions
from avssl.media.sources.trace_cache import traces_of
from avssl.media.sources.traces import Trace
from avssl.system.console import ShowProgress

MODES = ("content", "names", "none")


def find_sources(
    media: Media, mode: str = "content", *, progress: ShowProgress = None, workers: int | None = None
) -> Sources:
    """Find out which items were cut from one source.

    Args:
        media: any collection.
        mode: "content", by names and by what is seen and heard; "names", by names alone; "none", each file its own
            unless a table names its source. "auto" is "content". Whatever else is the name of a column: the sources
            are those that the media tell (open the table with that ``source_column``), taken alone.
        progress: as in ``avssl.open``.
        workers: processes that look at files, as in ``avssl.open``.

    Raises:
        UserError: the cache cannot be written.
    """
    mode = "content" if mode == "auto" else mode
    facts = [media.facts(i) for i in range(len(media))]
    told = [one.source or one.path for one in facts]
    if mode not in MODES:
        return Sources(tuple(told), mode, _told_groups(told, [one.path for one in facts]), ())
    paths = [one.path for one in facts]
    unions = Unions(len(media))
    groups = list(_told_groups(told, paths))
    groups += _same_files(paths, told)
    for group in groups:
        unions.join(group.items)
    if mode == "none":
        return Sources(unions.names(told), mode, tuple(groups), ())
    warnings: list[Likeness] = []
    named = name_groups(paths, [one.duration_seconds for one in facts])
    for items in named.sure:
        groups.append(_likeness("names", items, paths, "names of parts of one source"))
        unions.join(items)
    if mode == "content":
        traces = traces_of(media, workers, progress)
        alike = [*by_looks_of_names(named, traces), *_by_content(media, facts, traces)]
    else:
        alike = [Alike("names", items, LIKELY, False) for items in named.likely]
    for one in alike:
        if one.sure:
            unions.join(one.items)
    for rule, items, words in _together([one for one in alike if one.sure]):
        groups.append(_likeness(rule, items, paths, words))
    for rule, items, words in _together([one for one in alike if not one.sure]):
        if len({unions.root(i) for i in items}) > 1:
            warnings.append(_likeness(rule, items, paths, words))
    return Sources(unions.names(told), mode, tuple(groups), tuple(warnings))


def sources_in_both(
    train: Media,
    test: Media,
    mode: str = "content",
    *,
    progress: ShowProgress = None,
    workers: int | None = None,
) -> tuple[Likeness, ...]:
    """What two collections that were named apart have in common: groups with items of both.

    Numbers of items run through the training data first: item ``len(train) + j`` is item ``j`` of the test data.
    """
    both = Both(train, test)
    found = find_sources(both, mode, progress=progress, workers=workers)
    ours = len(train)
    return tuple(group for group in found.groups if group.items[0] < ours <= group.items[-1])


# --- how ------------------------------------------------------------------------------------------------


def _by_content(media: Media, facts: Sequence[Facts], traces: Sequence[Trace]) -> list[Alike]:
    heard = by_sound(media, facts, traces)
    return [*by_bytes(facts), *by_frames(traces), *heard, *by_border(traces), *by_hum(traces, heard)]


def _together(alike: Sequence[Alike]) -> list[tuple[str, tuple[int, ...], str]]:
    """Pairs of one rule and one evidence, joined into groups: (rule, items, words)."""
    found = []
    rules: dict[str, list[Alike]] = defaultdict(list)
    for one in alike:
        rules[one.rule].append(one)
    for rule, ones in rules.items():
        numbers = {i: k for k, i in enumerate(sorted({i for one in ones for i in one.items}))}
        unions = Unions(len(numbers))
        for one in ones:
            unions.join(numbers[i] for i in one.items)
        groups: dict[int, list[int]] = defaultdict(list)
        for i, k in numbers.items():
            groups[unions.root(k)].append(i)
        words = {unions.root(numbers[one.items[0]]): one.words for one in reversed(ones)}
        found += [(rule, tuple(items), words[root]) for root, items in groups.items()]
    return found


def _likeness(rule: str, items: Sequence[int], paths: Sequence[str], words: str) -> Likeness:
    return Likeness(rule, tuple(items), tuple(paths[i] for i in items), words)


def _told_groups(told: Sequence[str], paths: Sequence[str]) -> tuple[Likeness, ...]:
    by_name: dict[str, list[int]] = defaultdict(list)
    for i, name in enumerate(told):
        by_name[name].append(i)
    return tuple(
        _likeness("told", items, paths, f"source {name}")
        for name, items in by_name.items()
        if len({paths[i] for i in items}) > 1
    )


def _same_files(paths: Sequence[str], told: Sequence[str]) -> list[Likeness]:
    """Stretches of one file, unless a table names a source for each."""
    by_path: dict[str, list[int]] = defaultdict(list)
    for i, path in enumerate(paths):
        by_path[os.path.normpath(path)].append(i)
    return [
        _likeness("file", items, paths, "one file")
        for items in by_path.values()
        if len(items) > 1 and len({told[i] for i in items}) == 1
    ]
