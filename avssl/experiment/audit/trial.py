"""A task tested on data: its shortcuts, and the leaks planted for its controls."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from avssl.evaluate.pretext import shortcuts
from avssl.experiment.audit import planted
from avssl.experiment.audit.copied import copies_found
from avssl.experiment.audit.findings import Finding, figure, verdict_of, widened
from avssl.experiment.audit.parts import Division
from avssl.experiment.audit.progress import AuditProgress
from avssl.experiment.data import SOURCES_A_PART
from avssl.media.facts import Media
from avssl.media.in_memory import in_memory
from avssl.media.selection import Subset
from avssl.media.skip_bad_files import on_readable
from avssl.samplers.whole_pictures import any_moves
from avssl.tasks.base import Task

# Puzzles that a shortcut is probed on; frames of videos take longer to read.
PUZZLES_OF_VIDEOS, PUZZLES_OF_IMAGES = 384, 1024


@dataclass
class Trial:
    """What came of it."""

    shortcuts: list[Finding] = field(default_factory=list)
    planted: list[Finding] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)


def tried(
    task: Task,
    media: Media,
    items: NDArray[np.int64],
    division: Division | None,
    *,
    fast: bool,
    seed: int,
    progress: AuditProgress,
) -> Trial:
    """Probe each known shortcut of a task, and each of its controls.

    Args:
        media: all items, with their sources.
        items: those to draw puzzles from.
        division: of all items.
        fast: leave out the planted leaks.
    """
    trial = Trial()
    if division is None or not all(_enough(media, items[mask[items]]) for mask in (division.train, division.test)):
        trial.notes.append(f"{task.name} needs two sources in each part: its shortcuts and controls are not tested")
        return trial

    # By path: items that turn out to be unreadable are left out later, and indices would move.
    tested = {media.facts(int(i)).path for i in items if division.test[i]}
    passed_over: list[str] = []
    trial = on_readable(
        in_memory(Subset(media, items)),
        lambda part: _tried(task, part, tested, fast, seed, progress),
        skip=True,
        skipped=passed_over,
    )
    trial.notes += passed_over
    return trial


def _tried(task: Task, part: Media, tested: Collection[str], fast: bool, seed: int, progress: AuditProgress) -> Trial:
    """As :func:`tried`; ``tested``: paths of the test items."""
    trial = Trial()
    test = np.array([part.facts(i).path in tested for i in range(len(part))])
    held, rest = Subset(part, np.flatnonzero(test)), Subset(part, np.flatnonzero(~test))
    task.fit_statistics(rest, seed)  # on what is trained on, as a training does
    known = shortcuts.known(task, part)
    puzzles = PUZZLES_OF_VIDEOS if any_moves(part) else PUZZLES_OF_IMAGES
    prober = shortcuts.Prober(
        task, part, puzzles=puzzles, seed=seed,
        on_share=lambda share: progress.done("shortcuts", len(trial.shortcuts) + share),
    )  # fmt: skip
    # All known ones, whether guarded against or not: a countermeasure that fails shows here.
    for count, shortcut in enumerate(known, 1):
        trial.shortcuts.append(shortcut_finding(task, shortcut, prober.tried(shortcut), len(known)))
        progress.done("shortcuts", count)
    if not known:
        trial.notes.append(f"no shortcut of {task.name} is known that a probe could test")
    if not planted.can_be_planted(task):
        trial.notes.append(f"{task.name} has no classes: no leak is planted for its controls")
        return trial
    controls = task.controls()
    if fast:
        trial.notes.append("no leak was planted for the controls: whether they would catch one is not known")
    elif controls:
        found = copies_found(part, np.flatnonzero(test), seed)
        trial.planted += [found] if found is not None else []
        drawn = planted.Drawn(task.held_out(), rest, held, seed)
        drawn.prepare()  # once for all controls, which differ in what they are shown of it
        for count, (name, control) in enumerate(controls.items(), 1):
            progress.done("planting", count)
            trial.planted.append(planted.caught(name, control, drawn))
    return trial


def shortcut_finding(task: Task, shortcut: shortcuts.Shortcut, tried: shortcuts.Tried, asked: int) -> Finding:
    """A shortcut that was tried as a line of the audit; ``asked``: of how many, whose intervals are 95 % together."""

    def figures(found: shortcuts.Probed) -> tuple[float, float, float]:
        return (found.accuracy, *widened(found.accuracy, found.low, found.high, asked))

    notes = [] if tried.guarded else ["its countermeasure is off"]
    if tried.on is not None:
        flags = " ".join(f"--{name.replace('_', '-')} {_word(value)}" for name, value in tried.guard.items())
        notes.append(f"{figure(*figures(tried.on))} with {flags}")
    value, low, high = figures(tried.now)
    return Finding(
        name=f"{task.name}: {shortcut.name}",
        value=value,
        low=low,
        high=high,
        chance=tried.now.chance,
        verdict=verdict_of(low, high, tried.now.chance),
        section="shortcuts",
        n=tried.now.n,
        note="; ".join(notes),
        unguarded=figures(tried.off),
    )


def _word(value: Any) -> str:
    return f"{value:g}" if isinstance(value, float) else str(value)


def _enough(media: Media, items: Sequence[int] | NDArray[np.int64]) -> bool:
    return len({media.facts(int(i)).source for i in items}) >= SOURCES_A_PART
