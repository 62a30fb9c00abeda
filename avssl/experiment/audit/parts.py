"""The parts of data, as they name them or as a training would divide them, and what one has of another."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import PurePath

import numpy as np
from numpy.typing import NDArray

from avssl.experiment.audit.findings import Finding, Verdict
from avssl.media.content import copies
from avssl.media.facts import Media
from avssl.media.selection import Subset
from avssl.media.sources import Likeness, Sources

TEST_SHARE = 0.2
"""What a training holds out where the data name no test part (``--test-share``)."""
_FEWEST_SOURCES = 4

RULES = {
    "bytes": "same bytes",
    "frames": "near-identical frames",
    "sound": "near-identical sound",
    "file": "stretches of one file",
    "told": "same source, as the table says",
    "names": "same source, by name",
    "border": "same border",
    "hum": "same hum",
}
"""Rule of :mod:`avssl.media.sources` → what is asked of two parts."""


@dataclass(frozen=True)
class Division:
    """Which items are tested on.

    Attributes:
        test: (n,) of all items.
        words: who divided them so.
        ours: whether a training would divide them so itself, by source: then nothing that was found is in both.
    """

    test: NDArray[np.bool_]
    words: str
    ours: bool


def divide(media: Media, extra: int, seed: int) -> Division | None:
    """The parts of some media.

    Args:
        media: with the sources that were found; of ``--test`` data, those are the last items.
        extra: how many these are; 0: the data's own splits, else whole sources are held out as a training does.
        seed: of that.

    Returns:
        None if there are too few sources to hold any out.
    """
    count = len(media)
    if extra:
        return Division(np.arange(count) >= count - extra, "--test", False)
    splits = [media.facts(i).split for i in range(count)]
    held = np.array([split in ("test", "validation") for split in splits], bool)
    if held.any() and not held.all():
        return Division(held, "the splits that the data name", False)
    if len({media.facts(i).source for i in range(count)}) < _FEWEST_SOURCES:
        return None
    held_out = Subset(media, np.arange(count)).split_by_source(TEST_SHARE, seed)[1]
    names = {held_out.facts(i).source for i in range(len(held_out))}
    chosen = np.array([media.facts(i).source in names for i in range(count)], bool)
    return Division(chosen, "the division that a training would make", True)


def shared(media: Media, found: Sources, division: Division) -> list[Finding]:
    """How many test items have a twin in training, by each rule: exact counts, not samples.

    Args:
        media: all items.
        found: by content, whatever the division was made by.
    """
    findings = []
    for rule, name in RULES.items():
        groups = _copies(media) if rule == "bytes" else [one for one in found.groups if one.rule == rule]
        sure = _crossing(groups, division)
        weak = _crossing([one for one in found.warnings if one.rule == rule], division)
        if not (sure or weak) and rule in ("file", "told"):
            continue  # only tables have them
        verdict: Verdict = "leak" if sure else "warning" if weak else "ok"
        hits = {i for one in sure or weak for i in one.items if division.test[i]}
        total = int(division.test.sum())
        share = len(hits) / max(total, 1)
        note = f"{len(hits)} of {total} test items; {_example((sure or weak)[0], division)}" if hits else ""
        findings.append(Finding(name, share, share, share, 0.0, verdict, "parts", total, note))
    return findings


def _copies(media: Media) -> list[Likeness]:
    """Files of the same bytes."""
    items: dict[str, list[int]] = {}
    for i in range(len(media)):
        items.setdefault(media.facts(i).path, []).append(i)
    groups = []
    for paths in copies(items):
        alike = sorted((i, path) for path in paths for i in items[path])
        groups.append(Likeness("bytes", tuple(i for i, _ in alike), tuple(path for _, path in alike), "the same bytes"))
    return groups


def _crossing(groups: Sequence[Likeness], division: Division) -> list[Likeness]:
    """Those with items on both sides."""
    return [one for one in groups if 0 < sum(bool(division.test[i]) for i in one.items) < len(one.items)]


def _example(group: Likeness, division: Division) -> str:
    """ "b.mp4 and a.mp4 of the training: words"."""
    names = {
        side: [path for i, path in zip(group.items, group.paths, strict=True) if division.test[i] == side]
        for side in (True, False)
    }
    test, train = (_short(names[side][0], names[not side][0]) for side in (True, False))
    return f"{test} and in training {train}: {group.words}"


def _short(path: str, other: str) -> str:
    """The file's name, with its folder where the other has the same name."""
    pure = PurePath(path)
    return pure.name if pure.name != PurePath(other).name else str(PurePath(*pure.parts[-2:]))
