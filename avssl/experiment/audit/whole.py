"""The audit from beginning to end."""

from __future__ import annotations

import os
import time
from collections import Counter
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from avssl.errors import UserError
from avssl.experiment.audit import cues as cue_probes
from avssl.experiment.audit.features import Cues, measure
from avssl.experiment.audit.findings import Finding
from avssl.experiment.audit.parts import Division, divide, duplicates, one_by_one, shared
from avssl.experiment.audit.progress import AuditProgress
from avssl.experiment.audit.result import Audit
from avssl.experiment.audit_options import AuditOptions
from avssl.experiment.data import of_split
from avssl.experiment.places import about_others
from avssl.media.facts import Media
from avssl.media.indexing.reasons import grouped
from avssl.media.indexing.summary import Summary, common_root, summarize
from avssl.media.selection import Concatenated, Subset
from avssl.media.sources import find_sources, with_sources
from avssl.options.python_names import names_keywords
from avssl.samplers.keys import generator
from avssl.system.console import Progress, counted

if TYPE_CHECKING:
    from avssl.experiment.audit.trial import Trial
    from avssl.tasks.base import Task

Data = str | os.PathLike[str] | Media


@names_keywords
def audit(
    data: Data,
    task: str | Task | None = None,
    test: Data | None = None,
    *,
    sources: str = "content",
    fast: bool = False,
    items: int = AuditOptions.items,
    seed: int = 0,
    names: tuple[str, str | None] | None = None,
    on_progress: Progress | None = None,
) -> Audit:
    """Audit data: duplicates and sources, leakage between parts, cues for identity, and with a task its shortcuts.

    Args:
        data: what ``avssl.open`` takes, or what it gave.
        task: whose shortcuts and controls are tried; None: only what concerns all.
        test: held-out data that are named apart.
        sources: how sources are found: "content", "names", "none", or the name of the column with them.
        fast: skip the planted leaks, which train the controls.
        items: measure so many items at most.
        seed: seed of samples, probes and planted leaks: the same seed gives the same audit.
        names: what to call data and test; None: as they are given, or the folder that they lie in.

    Raises:
        UserError: nothing usable there, or nothing that the task can use.
    """
    began = time.monotonic()
    made = _task(task)
    own, theirs = _opened(data), None if test is None else _test_part(_opened(test))
    # As one collection: whether an item of the test data is in the training data is asked of all pairs.
    both: Media = own if theirs is None else Concatenated(own, theirs)
    progress = AuditProgress(on_progress, made, len(both), min(items, len(both)), fast)

    def looked(done: int, total: int) -> None:
        progress.done("sources", len(both) * done // max(total, 1))

    # Leaks are looked for by content, whatever rule divides the parts: --sources none must not hide them.
    evidence = find_sources(both, progress=looked)
    found = evidence if sources == evidence.mode else find_sources(both, sources, progress=looked)
    media = with_sources(both, found)
    progress.done("sources")

    notes: list[str] = []
    usable = _usable(media, made, len(own), theirs is not None, notes)
    division = _division(media, usable, 0 if theirs is None else len(theirs), seed)
    if division is None:
        notes.append("too few sources to hold out a part: parts are not compared")
    leaks = [] if division is None else shared(media, evidence, division) + one_by_one(media, found, division)

    # Sources are looked for in all items, as one that is missed would hide a leak; cues are measured on a sample.
    chosen = _sample(usable, division, items, seed)
    if len(chosen) < len(usable):
        notes.append(f"measured on {len(chosen)} of {counted(len(usable), 'item')}, drawn from seed {seed}")
    measured = measure(media, chosen.tolist(), lambda count: progress.done("measuring", count))
    if measured.unread:
        notes.append(f"{counted(measured.unread, 'item')} not measured: cannot be read to the end")
    notes += _lacking(measured)
    more, identity = _cue_findings(measured, division, seed)
    leaks += more

    trial = None if made is None else _tried(made, media, measured, division, fast, seed, progress)
    if trial is not None:
        leaks += trial.shortcuts
        notes += trial.notes
    progress.finish()  # parts that turned out to be unnecessary count as done
    called = names or (_name(data), None if test is None else _name(test))
    own_sources = len(set(found.names[: len(own)]))
    return Audit(
        items=len(own),
        sources=own_sources,
        duplicates=duplicates(own),
        leaks=tuple(leaks),
        planted=() if trial is None else tuple(trial.planted),
        identity=tuple(identity),
        data=called[0],
        test=called[1],
        task=None if made is None else made.name,
        summary=_summary(own, own_sources),
        found=found,
        division=_division_words(division, len(usable)),
        makes=tuple(Counter(measured.kinds).most_common()),
        notes=tuple(notes),
        seed=seed,
        seconds=time.monotonic() - began,
    )


def _tried(
    task: Task,
    media: Media,
    measured: Cues,
    division: Division | None,
    fast: bool,
    seed: int,
    progress: AuditProgress,
) -> Trial:
    from avssl.experiment.audit.trial import tried  # torch, which an audit without a task does not need

    readable = np.array(measured.readable, np.int64)
    return tried(task, media, readable, division, fast=fast, seed=seed, progress=progress)


def _division_words(division: Division | None, usable: int) -> str:
    if division is None:
        return ""
    return f"{int(division.test.sum())} of {counted(usable, 'item')}, by {division.words}"


def _summary(own: Media, sources: int) -> Summary:
    """Of the data, without the files that are rejected because they only tell of others."""
    summary = summarize(own)
    rejected = [file for file in summary.rejected if not about_others(file.path)]
    return replace(summary, sources=sources, rejected=rejected, reasons=grouped(file.reason for file in rejected))


def _task(task: str | Task | None) -> Task | None:
    if not isinstance(task, str):
        return task
    from avssl.tasks.registry import get

    kind = get(task)
    return kind(kind.Options())


def _opened(data: Data) -> Media:
    if not isinstance(data, (str, os.PathLike)):
        return data
    from avssl.media.opening import open_media

    return open_media(data)


def _test_part(media: Media) -> Media:
    """Of test data that name splits, their test split."""
    return of_split(media, "test") or media


def _name(data: Data) -> str:
    return os.fspath(data) if isinstance(data, (str, os.PathLike)) else common_root(data)


def _usable(media: Media, task: Task | None, own: int, apart: bool, notes: list[str]) -> NDArray[np.int64]:
    """What the task can use; where test data are named apart, not the data's own test part."""
    kept = []
    passed = 0
    for i in range(len(media)):
        facts = media.facts(i)
        if task is not None and task.unusable(facts) is not None:
            passed += 1
        elif not (apart and i < own and facts.split in ("validation", "test")):
            kept.append(i)
    if not kept:
        what = "of the data can be trained on" if task is None else f"can be used by {task.name}"
        raise UserError(f"none of the {counted(len(media), 'item')} {what}; avssl index lists what they are")
    if passed and task is not None:
        notes.append(f"{task.name} leaves out {passed} of {counted(len(media), 'item')}")
    return np.array(kept, np.int64)


def _division(media: Media, usable: NDArray[np.int64], extra: int, seed: int) -> Division | None:
    """The division of what can be used, over all items: what cannot be used is in no part."""
    left = int((usable >= len(media) - extra).sum()) if extra else 0
    # Test data of which the task can use nothing, or nothing but them.
    if extra and not 0 < left < len(usable):
        return None
    division = divide(Subset(media, usable), left, seed)
    if division is None:
        return None
    # From places among the usable items back to places among all.
    test, train = np.zeros(len(media), bool), np.zeros(len(media), bool)
    test[usable[division.test]] = True
    train[usable[division.train]] = True
    return replace(division, test=test, train=train)


def _sample(usable: NDArray[np.int64], division: Division | None, items: int, seed: int) -> NDArray[np.int64]:
    """At most so many items; of test items as large a share as there is, a quarter at least."""
    if len(usable) <= items:
        return usable
    rng = generator(seed, "audited")  # its own stream: probes draw the same whatever is sampled here
    test = division.test[usable] if division is not None else np.zeros(len(usable), bool)
    wanted = min(int(test.sum()), max(items // 4, round(items * float(test.mean()))))
    parts = [rng.permutation(usable[test])[:wanted], rng.permutation(usable[~test])[: items - wanted]]
    return np.sort(np.concatenate(parts))


def _lacking(measured: Cues) -> list[str]:
    """Of what, and why, cues are not asked."""
    sides = [("picture", measured.picture), ("sound", measured.sound)]
    notes = [f"no {name} that differs from item to item: it is not matched" for name, cues in sides if not cues]
    if len(measured.items) < len(measured.readable):
        whole = f"{len(measured.items)} of {counted(len(measured.readable), 'item')}"
        notes.append(f"cues are measured on the {whole} that have {'picture and sound' if not notes else 'them'}")
    return notes


def _cue_findings(measured: Cues, division: Division | None, seed: int) -> tuple[list[Finding], list[Finding]]:
    """What may leak, and how well each cue identifies a source."""
    found = []
    both = False
    if division is not None:
        train, test = (cue_probes.part(measured, mask[measured.items]) for mask in (division.train, division.test))
        found += cue_probes.naming(train, test)
        both = bool(set(train.sources) & set(test.sources))
    found += cue_probes.matching(measured, seed)
    identity = cue_probes.telling(measured, both)
    found += identity if both else []
    return found + cue_probes.neighbours(measured), identity
