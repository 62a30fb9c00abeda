"""Labelled media for the protocols: the targets of each item, and which items are for training and for evaluation.

A row of ``targets`` has 1 for a class that the item is of, 0 for one that it is not, −1 for one that must not
count (VOC's "difficult"). With one label an item, each row holds a single 1.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from avssl.errors import UserError
from avssl.evaluate.core.training_overlap import seen_items
from avssl.media.facts import Media
from avssl.media.selection import digest_of
from avssl.system.console import counted

Indices = NDArray[np.int64]
Targets = NDArray[np.int8]

# Share of the training data on which hyper-parameters and stages are chosen, and of data without a test part
HELD_OUT_SHARE = 0.2


@dataclass(frozen=True)
class Division:
    """Indices of the training items and of those that are evaluated."""

    name: str
    train: Indices
    test: Indices


@dataclass(frozen=True)
class Labelled:
    """Items with their targets."""

    parts: tuple[Media, ...]  # items are counted through them
    targets: Targets  # int8 (items, classes) of 1, 0 and −1
    classes: tuple[str, ...]
    single: bool  # whether each item is of exactly one class
    sources: tuple[str, ...]  # what each item was cut from
    divisions: tuple[Division, ...]  # one, or one for each fold

    def __len__(self) -> int:
        return len(self.targets)

    @property
    def labels(self) -> Indices:
        """The class of each item, where items have one: (items,)."""
        return np.asarray(self.targets.argmax(1), np.int64)

    @property
    def test(self) -> Indices:
        """All items that are evaluated on, in the order of the divisions."""
        return np.concatenate([division.test for division in self.divisions])

    def locate(self, item: int) -> tuple[Media, int]:
        """The collection that holds an item, and its number there."""
        for part in self.parts:
            if item < len(part):
                return part, item
            item -= len(part)
        raise IndexError(item)


def labelled(
    media: Media,
    test: Media | None = None,
    *,
    folds: Sequence[str] | None = None,
    splits: Sequence[str] | None = None,
    sources: Sequence[str] | None = None,
    truths: Mapping[str, Mapping[str, int]] | None = None,
    separator: str | None = None,
    seed: int = 0,
) -> Labelled:
    """Labelled media with their division.

    The test part is ``test``; else each fold in turn; else the split "test" of the media; else a fifth of the sources.

    Args:
        media: the training data.
        test: the data that are evaluated; items that are in both, under whatever name, are not trained on.
        folds: the fold of each item of ``media``.
        splits: "train" or "test" for each item, instead of the items' own splits.
        sources: what each item was cut from, instead of the items' own sources.
        truths: by path, 1, 0 or −1 for each class, instead of the items' own labels.
        separator: what stands between the labels of an item that has several ("|").
        seed: of a division by source.

    Raises:
        UserError: items without a label, fewer than two classes, or a part without items.
    """
    parts = (media,) if test is None else (media, test)
    # Items are counted through both parts, as their features are stacked
    facts = [part.facts(i) for part in parts for i in range(len(part))]
    if truths is None:
        targets, classes, single = _from_labels([one.label for one in facts], separator)
    else:
        classes = tuple(sorted({name for row in truths.values() for name in row}))
        targets = np.array([[truths[one.path].get(name, 0) for name in classes] for one in facts], np.int8)
        single = False
    sources = tuple(sources or (one.source for one in facts))
    if test is not None:
        same = seen_items(test, media)
        mine = [i for i in range(len(media)) if not same[i]]
        divisions = [Division("test", np.array(mine, np.int64), np.arange(len(media), len(facts)))]
    elif folds is not None:
        divisions = _by_fold(folds)
    else:
        divisions = [_by_split(splits or [one.split for one in facts], targets, sources, seed)]
    for division in divisions:
        _check(division, targets, classes)
    return Labelled(parts, targets, classes, single, sources, tuple(divisions))


def hold_out(
    indices: Indices, targets: Targets, sources: Sequence[str], share: float = HELD_OUT_SHARE, seed: int = 0
) -> tuple[Indices, Indices]:
    """(rest, held out) of the items of these indices: a share of each class, and no source in both.

    Targets and sources are those of all items.
    """
    by_class: dict[int, dict[str, int]] = {}
    placed: dict[str, int] = {}
    for i in indices:
        group = placed.setdefault(sources[i], int(targets[i].argmax()))  # a source of several classes counts once
        counts = by_class.setdefault(group, {})
        counts[sources[i]] = counts.get(sources[i], 0) + 1
    held: set[str] = set()
    for counts in by_class.values():
        wanted, total = share * sum(counts.values()), 0
        # By digest: what is held out does not depend on the order of files. One source of a class is always kept.
        for name in sorted(counts, key=lambda source: digest_of(str(seed), source))[: len(counts) - 1]:
            if total >= wanted:
                break
            held.add(name)
            total += counts[name]
    inside = np.array([sources[i] in held for i in indices], bool)
    return indices[~inside], indices[inside]


def source_folds(
    indices: Indices, targets: Targets, sources: Sequence[str], count: int, seed: int = 0
) -> list[tuple[Indices, Indices]]:
    """(rest, fold) of some items for each of ``count`` folds, no source in two."""
    folds: list[tuple[Indices, Indices]] = []
    left = indices
    for k in range(count - 1):
        # A share of what is left, so that all folds are as large.
        left, fold = hold_out(left, targets, sources, 1 / (count - k), seed)
        folds.append((np.setdiff1d(indices, fold), fold))
    folds.append((np.setdiff1d(indices, left), left))
    return folds


def few_of_each(order: Indices, targets: Targets, count: int) -> Indices:
    """The first ``count`` positives of each class in an order of items, ascending: a smaller number gives part of a
    larger's."""
    chosen = {int(i) for column in (targets > 0).T for i in order[column[order]][:count]}
    return np.array(sorted(chosen), np.int64)


def _from_labels(labels: Sequence[str | None], separator: str | None) -> tuple[Targets, tuple[str, ...], bool]:
    missing = sum(label is None for label in labels)
    if missing:
        raise UserError(
            f"no label for {missing} of {counted(len(labels), 'item')}; labels are the names of sub-folders, "
            "or a column 'label' of a CSV"
        )
    listed = [[label] if separator is None else label.split(separator) for label in labels if label is not None]
    several = [[name.strip() for name in names if name.strip()] for names in listed]
    classes = tuple(sorted({name for names in several for name in names}))
    if len(classes) < 2:
        raise UserError(f"all items have the label {classes[0]!r}; give items of at least two classes")
    places = {name: k for k, name in enumerate(classes)}
    targets = np.zeros((len(labels), len(classes)), np.int8)
    for row, names in zip(targets, several, strict=True):
        row[[places[name] for name in names]] = 1
    return targets, classes, separator is None


def _by_fold(folds: Sequence[str]) -> list[Division]:
    names = sorted(set(folds))
    if len(names) < 2:
        raise UserError(f"all items are of fold {names[0]!r}; name a column with at least two folds")
    belongs = np.array(folds)
    return [
        Division(f"fold {name}", np.flatnonzero(belongs != name), np.flatnonzero(belongs == name)) for name in names
    ]


def _by_split(splits: Sequence[str | None], targets: Targets, sources: Sequence[str], seed: int) -> Division:
    named = np.array([split or "" for split in splits])
    if (named == "test").any():
        return Division(
            "test", np.flatnonzero((named != "test") & (named != "unused")), np.flatnonzero(named == "test")
        )
    train, test = hold_out(np.arange(len(targets)), targets, sources, HELD_OUT_SHARE, seed)
    return Division("a held-out fifth", train, test)


def _check(division: Division, targets: Targets, classes: Sequence[str]) -> None:
    if not len(division.test):
        raise UserError("nothing is left to evaluate on; give held-out data with --test")
    if not len(division.train):
        raise UserError("nothing is left to train on: --test holds all of --data")
    known = (targets[division.train] == 1).any(0)
    # A class that is neither learned nor tested does no harm
    lost = [name for name, there in zip(classes, known, strict=True) if not there]
    if lost and (targets[division.test][:, ~known] == 1).any():
        raise UserError(f"class {lost[0]!r} is only in the test part ({division.name}); give items of it to learn from")
