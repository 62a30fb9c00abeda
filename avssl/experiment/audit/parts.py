"""Training and test parts, as the data name them or as training would split them, and what they share."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import PurePath

import numpy as np
from numpy.typing import NDArray

from avssl.experiment.audit.findings import Finding, Verdict
from avssl.experiment.data import DataOptions, hold_out
from avssl.media.facts import Media
from avssl.media.selection import Subset, column_of, facts_of
from avssl.media.sources import Likeness, Sources
from avssl.system.console import counted
from avssl.system.digests import copies

TEST_SHARE = DataOptions.test_share

# Rule of :mod:`avssl.media.sources` → what is asked of two parts.
RULES = {
    "bytes": "same bytes",
    "frames": "near-identical frames",
    "sound": "near-identical sound",
    "file": "stretches of one file",
    "told": "same source, in the table",
    "names": "same source, by name",
    "border": "same border",
    "hum": "same hum",
}


@dataclass(frozen=True)
class Division:
    """Which items are trained on, and which are tested on.

    Attributes:
        train, test: (n,) of all items; what cannot be used is in neither.
        words: who divided them so.
        ours: whether a training does, which keeps sources together.
    """

    train: NDArray[np.bool_]
    test: NDArray[np.bool_]
    words: str
    ours: bool = False


def divide(media: Media, extra: int, seed: int) -> Division | None:
    """The parts of some media, all of whose items can be used.

    Args:
        media: with the sources that were found; of ``--test`` data, those are the last items.
        extra: how many these are; 0: the data's own splits, else whole sources are held out as a training does.
        seed: of that.

    Returns:
        None if there are too few sources to hold any out.
    """
    count = len(media)
    if extra:
        test = np.arange(count) >= count - extra
        return Division(~test, test, "--test")
    splits = column_of(media, "split").tolist()
    test = np.array([split == "test" for split in splits], bool)
    if not test.any():
        # What the data call validation is held out as well as a test part would be.
        test = np.array([split == "validation" for split in splits], bool)
    train = np.array([split not in ("validation", "test") for split in splits], bool)
    if test.any() and train.any():
        return Division(train, test, "the splits named in the data")
    held_out = hold_out(Subset(media, np.arange(count)), TEST_SHARE, seed)[1]
    if held_out is None:
        return None
    names = set(column_of(held_out, "source"))
    test = np.array([source in names for source in column_of(media, "source")], bool)
    return Division(~test, test, "the split that training would make", ours=True)


def duplicates(media: Media) -> int:
    """How many items are of a file that is, byte for byte, an earlier one's."""
    return sum(len(group) - 1 for group in copies(dict.fromkeys(column_of(media, "path"))))


def shared(media: Media, found: Sources, division: Division) -> list[Finding]:
    """How many test items have a twin in training, by each rule: exact counts, not samples.

    Args:
        media: all items.
        found: by content, whatever the division was made by.
    """
    findings = []
    kinds = set(column_of(media, "kind"))
    heard = any(facts.has_sound for facts in facts_of(media))
    senseless = {*(() if heard else ("sound", "hum")), *(("frames", "border") if kinds == {"sound"} else ())}
    for rule, name in RULES.items():
        if rule in senseless:
            continue
        groups = _copies(media) if rule == "bytes" else [one for one in found.groups if one.rule == rule]
        # What is suspected only is not put together: it divides nothing, and is no more than a warning.
        sure = _crossing(groups, division)
        weak = _crossing([one for one in found.warnings if one.rule == rule], division)
        if not (sure or weak) and rule in ("file", "told"):
            continue  # only tables have them
        verdict: Verdict = "leak" if sure else "warning" if weak else "ok"
        hits = {i for one in sure or weak for i in one.items if division.test[i]}
        total = int(division.test.sum())
        share = len(hits) / max(total, 1)
        note = f"{len(hits)} of {total} test items; {_example((sure or weak)[0], division)}" if hits else ""
        findings.append(Finding.counted(name, share, verdict, "parts", total, note))
    return findings


def one_by_one(media: Media, found: Sources, division: Division) -> list[Finding]:
    """What a split file by file would share, where the actual split keeps sources together.

    Of a group of k items a test item has a twin in training with probability 1 - s^(k - 1), s the share of test items.
    """
    sizes = Counter(found.names)
    items = np.flatnonzero(division.train | division.test)
    grouped = [sizes[found.names[i]] for i in items if sizes[found.names[i]] > 1]
    if not grouped or not division.ours:
        return []
    # s^(k - 1) is the chance that all k - 1 others are test items, too.
    share = sum(1 - TEST_SHARE ** (size - 1) for size in grouped) / len(items)
    rules = Counter(one.rule for one in found.groups)
    by = ", ".join(f"{count} by {rule}" for rule, count in rules.most_common())
    note = f"{counted(len(grouped), 'item')} with others of their source ({by}); a training keeps them on one side"
    return [Finding.counted("shared sources if split file by file", share, "warning", "parts", len(items), note)]


def _copies(media: Media) -> list[Likeness]:
    """Files of the same bytes."""
    items: dict[str, list[int]] = {}
    for i, path in enumerate(column_of(media, "path")):
        items.setdefault(path, []).append(i)
    groups = []
    for paths in copies(items):
        alike = sorted((i, path) for path in paths for i in items[path])
        groups.append(Likeness("bytes", tuple(i for i, _ in alike), tuple(path for _, path in alike), "the same bytes"))
    return groups


def _crossing(groups: Sequence[Likeness], division: Division) -> list[Likeness]:
    """Those with items on both sides."""
    return [one for one in groups if all(any(side[i] for i in one.items) for side in (division.train, division.test))]


def _example(group: Likeness, division: Division) -> str:
    """ "b.mp4 and a.mp4 of the training: words"."""
    sides = (division.test, division.train)
    first = [next(path for i, path in zip(group.items, group.paths, strict=True) if side[i]) for side in sides]
    test, train = _short(first[0], first[1]), _short(first[1], first[0])
    return f"{test} and in training {train}: {group.words}"


def _short(path: str, other: str) -> str:
    """The file's name, with its folder where the other has the same name."""
    pure = PurePath(path)
    return pure.name if pure.name != PurePath(other).name else str(PurePath(*pure.parts[-2:]))
