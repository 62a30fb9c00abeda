"""The audit from beginning to end."""

from __future__ import annotations

import os
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from avssl.errors import UserError
from avssl.experiment.audit import cues as cue_probes
from avssl.experiment.audit.features import Cues, Make, measure
from avssl.experiment.audit.findings import Finding
from avssl.experiment.audit.parts import Division, divide, shared
from avssl.media.content import copies
from avssl.media.facts import Facts, Media
from avssl.media.selection import Subset
from avssl.media.sources import Sources, find_sources, with_sources
from avssl.media.sources.both import Both
from avssl.media.summary import Summary, summarize
from avssl.samplers.keys import generator
from avssl.samplers.whole_pictures import any_moves

if TYPE_CHECKING:
    from avssl.tasks.base import Task

ITEMS = 1000
"""So many items are measured; of more a sample, drawn from the seed."""
PUZZLES_OF_VIDEOS, PUZZLES_OF_IMAGES = 384, 1024
"""Puzzles that a shortcut is probed on; frames of videos take longer to read."""

Told = Callable[[int, int], None]
"""Called with how many steps are done and how many there are, which are about as long as each other."""


@dataclass(frozen=True)
class Audit:
    """What was found.

    Attributes:
        items: usable items of the data.
        sources: how many different sources they were cut from.
        duplicates: items whose file is, byte for byte, that of an item before.
        leaks: every question asked, with figure, interval, chance and verdict; not only those that leak.
        planted: what each control makes of a leak planted for it.
        identity: how well each cheap cue tells a source from others, where sources have several clips.
        data, test, task: what was asked.
        summary: of the data.
        found: the sources, with their evidence. With ``test``, its items come after those of the data.
        division: in words, what is tested on; empty if nothing can be held out.
        makes: kinds of files (container, codecs, size, rates) by how many items have them, of those measured.
        notes: what was not asked, and why.
        seed: of all samples and probes.
        seconds: that it took.
    """

    items: int
    sources: int
    duplicates: int
    leaks: tuple[Finding, ...]
    planted: tuple[Finding, ...]
    identity: tuple[Finding, ...]
    data: str
    test: str | None
    task: str | None
    summary: Summary
    found: Sources
    division: str
    makes: tuple[tuple[str, int], ...]
    notes: tuple[str, ...]
    seed: int
    seconds: float

    def lines(self) -> list[str]:
        """All of it for a screen of 80 columns."""
        from avssl.experiment.audit.screen import lines

        return lines(self)

    def as_json(self) -> dict[str, Any]:
        """All of it as JSON can say it."""
        from avssl.experiment.audit.page import as_json

        return as_json(self)

    def html(self) -> str:
        """One page that needs nothing from elsewhere."""
        from avssl.experiment.audit.page import html

        return html(self)


def audit(
    data: str | os.PathLike[str] | Media,
    task: str | Task | None = None,
    test: str | os.PathLike[str] | Media | None = None,
    *,
    sources: str = "content",
    fast: bool = False,
    items: int = ITEMS,
    seed: int = 0,
    names: tuple[str, str | None] | None = None,
    on_progress: Told | None = None,
) -> Audit:
    """What data are, and what they would let a network get away with.

    Args:
        data: what ``avssl.open`` takes, or what it gave.
        task: whose shortcuts and controls are tried; None: only what concerns all.
        test: held-out data that are named apart.
        sources: how sources are found: "content", "names", "none".
        fast: leave out the planted leaks, for which the controls are trained.
        items: measure so many items at most.
        seed: of samples, probes and planted leaks: the same seed gives the same audit.
        names: what to call data and test; None: as they are given, or the folder that they lie in.
        on_progress: is told how far it is.

    Raises:
        UserError: nothing usable there.
    """
    began = time.monotonic()
    made = _task(task)
    own, theirs = _opened(data), None if test is None else _opened(test)
    both: Media = own if theirs is None else Both(own, theirs)
    steps = _Steps(on_progress)
    steps.expect(**_stages(made, len(both), items, fast))
    evidence = find_sources(both)
    found = evidence if sources == evidence.mode else find_sources(both, sources)
    steps.done("finding sources")
    media = with_sources(both, found)
    notes: list[str] = []

    usable = np.array([i for i in range(len(media)) if made is None or made.unusable(media.facts(i)) is None], np.int64)
    if made is not None and not len(usable):
        raise UserError(f"{made.name} can use none of the {len(media)} items; ask without --task, or of another one")
    if len(usable) < len(media) and made is not None:
        notes.append(f"{made.name} passes over {len(media) - len(usable)} of {len(media)} items")
    division = _division(media, usable, 0 if theirs is None else len(theirs), seed)
    leaks = shared(media, evidence, division) if division is not None else []
    if division is None:
        notes.append("too few sources to hold a part out: nothing is asked about parts")

    chosen = _sample(usable, division, items, seed)
    if len(chosen) < len(usable):
        notes.append(f"measured on {len(chosen)} of {len(usable)} items, drawn from seed {seed}")
    measured = measure(media, chosen.tolist(), lambda count: steps.done("measuring", count))
    if measured.unread:
        notes.append(f"{measured.unread} items could not be read to their end and are not measured")
    more, identity = _cue_findings(measured, division, seed)
    leaks += more
    if not measured.picture or not measured.sound:
        lacking = "picture" if not measured.picture else "sound"
        notes.append(f"no {lacking} in all items: nothing to match with it")

    planted: list[Finding] = []
    if made is not None:
        more, planted, said = _task_findings(made, media, chosen, division, fast, seed, steps)
        leaks += more
        notes += said
    for stage in steps.stages:
        steps.done(stage)
    called = names or (_name(data), None if test is None else _name(test))
    own_names = found.names[: len(own)]
    return Audit(
        items=len(own),
        sources=len(set(own_names)),
        duplicates=_duplicates(own),
        leaks=tuple(leaks),
        planted=tuple(planted),
        identity=tuple(identity),
        data=called[0],
        test=called[1],
        task=None if made is None else made.name,
        summary=replace(summarize(own), sources=len(set(own_names))),
        found=found,
        division="" if division is None else f"{int(division.test.sum())} of {len(usable)} items, by {division.words}",
        makes=_makes(media, measured),
        notes=tuple(notes),
        seed=seed,
        seconds=time.monotonic() - began,
    )


# --- how ------------------------------------------------------------------------------------------------


_COSTS = {"finding sources": 0.1, "measuring": 0.05, "trying shortcuts": 10.0, "planting leaks": 12.0}
"""Seconds that a step of each stage takes, about: so that the time left is told for the whole."""


class _Steps:
    """How far the whole is, in tenths of seconds of work as it was guessed before it began."""

    def __init__(self, tell: Told | None) -> None:
        self._tell = tell
        self._total: dict[str, int] = {}
        self._done: dict[str, int] = {}

    def expect(self, **stages: int) -> None:
        """Say how many steps each stage will have."""
        self._total = {name.replace("_", " "): steps for name, steps in stages.items()}
        self._done = dict.fromkeys(self._total, 0)

    @property
    def stages(self) -> list[str]:
        return list(self._total)

    def done(self, stage: str, count: int | None = None) -> None:
        """So many steps of a stage are done; all if None."""
        self._done[stage] = self._total[stage] if count is None else count
        if self._tell is not None:
            done, total = (
                round(10 * sum(steps * _COSTS[name] for name, steps in of.items())) for of in (self._done, self._total)
            )
            self._tell(done, total)


def _stages(task: Task | None, count: int, items: int, fast: bool) -> dict[str, int]:
    """How many steps there will be of each stage, as far as is known before."""
    stages = {"finding_sources": count, "measuring": min(count, items)}
    if task is not None:
        from avssl.experiment.audit.shortcuts import known_count

        stages["trying_shortcuts"] = known_count(task)
        stages["planting_leaks"] = 0 if fast or task.classes is None else len(task.controls()) + 1
    return stages


def _task(task: str | Task | None) -> Task | None:
    if not isinstance(task, str):
        return task
    from avssl.tasks.registry import get

    kind = get(task)
    return kind(kind.Options())


def _opened(data: str | os.PathLike[str] | Media) -> Media:
    if not isinstance(data, (str, os.PathLike)):
        return data
    from avssl.media import open_media

    return open_media(data)


def _name(data: str | os.PathLike[str] | Media) -> str:
    if isinstance(data, (str, os.PathLike)):
        return os.fspath(data)
    from avssl.media.summary import common_root

    return common_root(data)


def _division(media: Media, usable: np.ndarray[Any, Any], extra: int, seed: int) -> Division | None:
    """The division of what the task can use, told of all items: what it cannot use is in no part."""
    kept = Subset(media, usable)
    left = int((usable >= len(media) - extra).sum())
    if extra and not 0 < left < len(usable):
        return None
    division = divide(kept, left, seed)
    if division is None:
        return None
    test = np.zeros(len(media), bool)
    test[usable[division.test]] = True
    return replace(division, test=test)


def _sample(usable: np.ndarray[Any, Any], division: Division | None, items: int, seed: int) -> np.ndarray[Any, Any]:
    """At most so many items; of test items as large a share as there is, a quarter at least."""
    if len(usable) <= items:
        return usable
    rng = generator(seed, "audited")
    test = division.test[usable] if division is not None else np.zeros(len(usable), bool)
    wanted = min(int(test.sum()), max(items // 4, round(items * float(test.mean()))))
    parts = [rng.permutation(usable[test])[:wanted], rng.permutation(usable[~test])[: items - wanted]]
    return np.sort(np.concatenate(parts))


def _cue_findings(measured: Cues, division: Division | None, seed: int) -> tuple[list[Finding], list[Finding]]:
    """What may leak, and how well each cue tells a source."""
    found = []
    both = False
    if division is not None:
        test = [bool(division.test[i]) for i in measured.items]
        train_cues, test_cues = cue_probes.divided(measured, test)
        found += cue_probes.naming(train_cues, test_cues)
        both = bool(set(train_cues.sources) & set(test_cues.sources))
    found += cue_probes.matching(measured, seed)
    identity = cue_probes.telling(measured, both)
    found += identity if both else []
    return found + cue_probes.neighbours(measured), identity


def _task_findings(
    task: Task,
    media: Media,
    chosen: np.ndarray[Any, Any],
    division: Division | None,
    fast: bool,
    seed: int,
    steps: _Steps,
) -> tuple[list[Finding], list[Finding], list[str]]:
    from avssl.experiment.audit import planted, shortcuts

    part = _readable_fast(Subset(media, chosen), task)
    test = None if division is None else division.test[chosen]
    notes: list[str] = []
    if test is None or test.all() or not test.any():
        return [], [], [f"{task.name} needs two parts: its shortcuts and controls are not tried"]
    held, rest = Subset(part, np.flatnonzero(test)), Subset(part, np.flatnonzero(~test))
    task.fit_statistics(rest, seed)
    known = shortcuts.known(task, part)
    controls = {} if fast or task.classes is None else task.controls()
    found = []
    puzzles = PUZZLES_OF_VIDEOS if any_moves(part) else PUZZLES_OF_IMAGES
    prober = shortcuts.Prober(task, part, asked=len(known), puzzles=puzzles, seed=seed)
    for count, shortcut in enumerate(known, 1):
        found.append(prober.probed(shortcut))
        steps.done("trying shortcuts", count)
    if not known:
        notes.append(f"no shortcut of {task.name} is known that a probe could try")
    if task.classes is None:
        notes.append(f"{task.name} has no classes: no leak is planted for its controls")
    elif fast:
        notes.append("no leak was planted for the controls (--fast): whether they would catch one is not known")
    caught = []
    if controls:
        drawn = planted.Drawn(task.held_out(), rest, held, seed)
        drawn.prepare()
        steps.done("planting leaks", 1)
        for count, (name, control) in enumerate(controls.items(), 2):
            caught.append(planted.caught(name, control, drawn))
            steps.done("planting leaks", count)
    return found, caught, notes


def _readable_fast(part: Subset, task: Task) -> Media:
    from avssl.media.memory import in_memory

    return in_memory(part)


def _duplicates(media: Media) -> int:
    paths = list(dict.fromkeys(media.facts(i).path for i in range(len(media))))
    return sum(len(group) - 1 for group in copies(paths))


def _makes(media: Media, measured: Cues) -> tuple[tuple[str, int], ...]:
    counts = Counter(
        _make_words(media.facts(int(i)), make) for i, make in zip(measured.items, measured.makes, strict=True)
    )
    return tuple(counts.most_common())


def _make_words(facts: Facts, make: Make) -> str:
    words = [make.container]
    if facts.kind != "sound":
        words.append(f"{make.video_codec} {facts.width}×{facts.height}".strip())
    if facts.kind == "video":
        words.append(f"{facts.frame_rate:.4g}/s")
    if facts.has_sound:
        layout = "mono" if facts.audio_channels == 1 else f"{facts.audio_channels} channels"
        words.append(f"{make.audio_codec} {facts.audio_rate / 1000:g} kHz {layout}".strip())
    return ", ".join(words)
