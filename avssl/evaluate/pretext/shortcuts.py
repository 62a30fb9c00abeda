"""Probes for shortcuts: each known cue of a task, with its countermeasure and without.

A probe draws puzzles of a task, reduces each to the features of one cue, and fits a linear classifier on them. With
the task's countermeasure it must be at chance; without it, it shows what a network would have learned instead.

    probe(Rotation(options).held_out(), media, cues.borders)            -> 0.25
    probe(Rotation(turn interpolated).held_out(), media, cues.borders)  -> 1.0
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor, nn

from avssl.evaluate.core.optimize import minimize_convex
from avssl.evaluate.core.statistics import accuracy_interval
from avssl.evaluate.pretext import cues
from avssl.evaluate.pretext.cues import Cue
from avssl.evaluate.pretext.pairs import CANDIDATES, in_blocks, match
from avssl.media.facts import Media
from avssl.samplers.keys import Key
from avssl.tasks.base import Task

Changes = Mapping[str, Any]


@dataclass(frozen=True)
class Shortcut:
    """One shortcut."""

    name: str
    cue: Cue
    without: Changes  # options that take the countermeasure away
    guard: Changes | None = None  # options that put it fully on, where the task does not have it by default
    fixed: Changes | None = None  # options of both, without which the cue cannot be computed
    in_training: bool = False  # whether only training puzzles are treated


def known(task: Task, media: Media) -> list[Shortcut]:
    """The shortcuts that are known of a task; none of one that has neither classes nor pairs to match."""
    made = _KNOWN.get(task.name)
    return made(task, media) if made else []


def known_count(task: Task) -> int:
    """How many they are, about, before the data are looked at."""
    return _COUNTS.get(task.name, 0)


_PROBE_EPOCH = -3  # puzzles of its own, neither of training nor of evaluation


@dataclass(frozen=True)
class Probed:
    """How often a cue alone gives the right answer, on puzzles from pictures that it was not fitted on."""

    accuracy: float
    low: float
    high: float
    n: int
    chance: float

    @property
    def leaks(self) -> bool:
        """Whether that is above chance."""
        return self.low > self.chance


def probe(task: Task, media: Media, cue: Cue, *, puzzles: int = 1024, seed: int = 0) -> Probed:
    """Fit a linear classifier on the cue of half of the pictures, and evaluate it on the puzzles of the other half.

    Args:
        task: a ``held_out()`` copy, whose puzzles have one answer each, or one in training, where what is done to
            training puzzles alone is asked about.
        puzzles: in all; each picture gives as many.
    """
    if task.classes is None:
        return _probe_pairs(task, media, cue, puzzles, seed)
    drawn = [task.draw(media, Key(seed, _PROBE_EPOCH, index)) for index in range(puzzles)]
    batch = task.collate(drawn)
    features, label = cue(task, batch).float(), batch["label"]
    answers = [len(task.collate([puzzle])["label"]) if task.training else 1 for puzzle in drawn]
    clusters = [task.clusters(puzzle) for puzzle, count in zip(drawn, answers, strict=True) for _ in range(count)]
    order = {name: number for number, name in enumerate(sorted({cluster[0] for cluster in clusters}))}
    # Every other source by name: no picture is on both sides.
    fitted_on = torch.tensor([order[cluster[0]] % 2 == 0 for cluster in clusters])
    predicted = _predicted(features[fitted_on], label[fitted_on], features[~fitted_on], task.classes, seed)
    right = (predicted == label[~fitted_on]).tolist()
    evaluated = [cluster for cluster, fitted in zip(clusters, fitted_on.tolist(), strict=True) if not fitted]
    low, high = accuracy_interval([float(hit) for hit in right], evaluated)
    return Probed(sum(right) / len(right), low, high, len(right), 1 / task.classes)


def _probe_pairs(task: Task, media: Media, cue: Cue, puzzles: int, seed: int) -> Probed:
    """How often the other view of a picture is the nearest by the cue (N, 2, features), among those of N pictures.

    Nothing is fitted; features count as much as they differ among all views.
    """
    count = min(CANDIDATES, len(media))
    keys = in_blocks([Key(seed, _PROBE_EPOCH, index) for index in range(puzzles)], len(media), count)
    drawn = [task.draw(media, key) for key in keys]
    pairs = cue(task, task.collate(drawn)).float()
    std = pairs.flatten(0, 1).std(0)
    answers = match(pairs / torch.where(std > 1e-4, std, torch.full_like(std, torch.inf)), count, nearest=True)
    right = (answers.scores.argmax(1) == answers.truth).tolist()
    low, high = accuracy_interval([float(hit) for hit in right], [task.clusters(puzzle) for puzzle in drawn])
    return Probed(sum(right) / len(right), low, high, len(right), 1 / count)


@dataclass(frozen=True)
class Tried:
    """What came of a shortcut."""

    # As the task is set, without the countermeasure, and with it fully on where that is more
    now: Probed
    off: Probed
    on: Probed | None
    guarded: bool  # whether the task has a countermeasure on
    guard: Changes  # the options that put it fully on


class Prober:
    """Probes the shortcuts of a task, as it would be trained, on some media; puzzles of the same options are drawn
    once.

    Args:
        on_share: called with about how much of a shortcut is tried, 0 to 1: drawing is what takes the time.
    """

    def __init__(
        self,
        task: Task,
        media: Media,
        *,
        puzzles: int,
        seed: int = 0,
        on_share: Callable[[float], None] = lambda share: None,
    ) -> None:
        self.task, self.media = task, media
        self.puzzles, self.seed = puzzles, seed
        self._variants: dict[str, Task] = {}
        self._on_share, self._drawn = on_share, 0

    def tried(self, shortcut: Shortcut) -> Tried:
        """The cue alone on held-out puzzles: as the task is set, with the countermeasure off, and with it fully on."""
        self._drawn = 0
        without, guard = self._changes(shortcut.without), self._changes(shortcut.guard or {})
        now = self._probed(shortcut, {})
        return Tried(
            now,
            off=self._probed(shortcut, without) if without else now,
            on=self._probed(shortcut, guard) if guard else None,
            guarded=bool(without),
            guard=guard,
        )

    def _changes(self, options: Changes) -> dict[str, Any]:
        """Those that the task does not have already."""
        return {name: value for name, value in options.items() if getattr(self.task.options, name) != value}

    def _probed(self, shortcut: Shortcut, changes: Changes) -> Probed:
        task = self._variant({**(shortcut.fixed or {}), **changes}, shortcut.in_training)
        return probe(task, self.media, shortcut.cue, puzzles=self.puzzles, seed=self.seed)

    def _note_drawn(self) -> None:
        self._drawn += 1
        # Most shortcuts are tried with two settings; a third, or puzzles that are known already, are not foreseen.
        self._on_share(min(self._drawn / (2 * self.puzzles), 1.0))

    def _variant(self, changes: Changes, in_training: bool) -> Task:
        """The task with other options and what it learned of its data; it remembers its puzzles."""
        key = repr((sorted(changes.items()), in_training))
        if key not in self._variants:
            made = type(self.task)(replace(self.task.options, **changes))
            made.load_state(self.task.state())
            made.training = in_training
            self._variants[key] = _remembering(made if in_training else made.held_out(), self._note_drawn)
        return self._variants[key]


def _remembering(task: Task, drawn: Callable[[], None]) -> Task:
    """The task, which draws each puzzle once."""
    kind = type(task)
    known: dict[Key, Any] = {}

    # A subclass, since the methods of the task call its draw, which a wrapper around it would not be asked for
    class Remembering(kind):  # type: ignore[misc, valid-type]
        def draw(self, media: Media, key: Key) -> Any:
            if key not in known:
                known[key] = super().draw(media, key)
                drawn()
            return known[key]

    task.__class__ = Remembering
    return task


def _correspondence(task: Task, media: Media) -> list[Shortcut]:
    rates = sorted(media.facts(i).frame_rate for i in range(len(media)) if media.facts(i).frame_rate > 0)
    # A pair a puzzle, as loud as it was recorded; drawn negatives allow no other weight of the logistic loss.
    drawn = {"negatives": "drawn", "logistic": 1.0, "silent_rows": 0.0, "gain": 0.0}
    without = {"negative_sounds": "anywhere"}
    # AVE-Net (Arandjelović & Zisserman 2018): sounds of positives on the frame grid and of negatives off it raise
    # accuracy and lower retrieval
    found = [Shortcut("loudness", cues.loudness, without, fixed=drawn)]
    if rates:
        found.append(Shortcut("place between frames", cues.on_frames(rates[len(rates) // 2]), without, fixed=drawn))
    return found


def _synchronization(task: Task, media: Media) -> list[Shortcut]:
    # As _correspondence: a sound as loud as it was recorded, of every kind of negative
    leaks = _correspondence(task, media)
    fixed = {"gain": 0.0}
    return [replace(leak, fixed=fixed) for leak in leaks]


# Misra, Zitnick & Hebert 2016: negatives keep the outer two, so that the middle one alone tells the order
def _shuffle_learn(task: Task, media: Media) -> list[Shortcut]:
    return [
        Shortcut("distance of the outer frames", cues.outer_change, {"ends": "shuffled"}),
        Shortcut("growing brighter or darker", cues.brightening, {"reverse": 0.0}),
        Shortcut("sharpness by place in the codec's group", cues.sharpness, {"blur": 0.0}, guard={"blur": 1.0}),
    ]


def _rotation(task: Task, media: Media) -> list[Shortcut]:
    return [
        Shortcut("borders left by interpolation", cues.borders, {"turn": "interpolated"}),
        Shortcut("black bars", cues.borders, {"square": False}),
    ]


# Doersch, Gupta & Efros 2015: a gap and a jitter against edges and lines, colours dropped or projected against lenses
def _relative_position(task: Task, media: Media) -> list[Shortcut]:
    return [
        Shortcut("edges that continue", cues.seams, {"gap": 0, "jitter": 0}),
        Shortcut("long straight lines", cues.lines(), {"jitter": 0}),
        Shortcut("light and shade", cues.levels, {"normalise": False}),
        Shortcut("strength of gradients", cues.gradients, {"normalise": False}),
        Shortcut("coding noise", cues.gradients, {"coarsen": 0.0}, guard={"coarsen": 1.0}, in_training=True),
        Shortcut("chromatic aberration", cues.aberration, {"colour": "keep"}),
    ]


# Noroozi & Favaro 2016: tiles cut from larger cells against edges, each normalised against light and shade
def _jigsaw(task: Task, media: Media) -> list[Shortcut]:
    few = {"permutations": 8}  # a probe of few features cannot learn a hundred orders
    return [
        Shortcut(
            "edges that continue",
            cues.tile_seams,
            {"tile": getattr(task.options, "cell", 0), "channel_jitter": 0},
            fixed=few,
        ),
        Shortcut("light and shade", cues.levels, {"normalise": "off"}, fixed=few),
        Shortcut("channels out of line", cues.misalignment, {"centred": False}, fixed=few),
        Shortcut(
            "chromatic aberration",
            cues.tile_aberration,
            {"grey": 0.0, "projection": 0.0, "channel_jitter": 0},
            guard={"grey": 1.0},
            fixed=few,
        ),
    ]


# Chen et al. 2020, figure 6: crops of a picture share its colours, which are enough to find the other without jitter
def _instance_contrast(task: Task, media: Media) -> list[Shortcut]:
    if task.options.of == "sounds":  # a recording has a noise floor, a microphone and a level of its own
        return [
            Shortcut("mean spectrum", cues.mean_spectrum, {"mixing": 0.0}),
            Shortcut("loudness", cues.loudness_of_views, {"gain": 0.0}),
        ]
    without = {"jitter": (0.0, 0.0, 0.0, 0.0), "grey": 0.0}
    return [
        Shortcut("mean colour", cues.mean_colour, without),
        Shortcut("colour histogram", cues.colour_histogram, without),
    ]


_KNOWN: dict[str, Callable[[Task, Media], list[Shortcut]]] = {
    "av-correspondence": _correspondence,
    "av-sync": _synchronization,
    "shuffle-learn": _shuffle_learn,
    "rotation": _rotation,
    "relative-position": _relative_position,
    "jigsaw": _jigsaw,
    "instance-contrast": _instance_contrast,
}
_COUNTS = {
    "av-correspondence": 2,
    "av-sync": 2,
    "shuffle-learn": 3,
    "rotation": 2,
    "relative-position": 6,
    "jigsaw": 4,
    "instance-contrast": 2,
}


def _predicted(features: Tensor, label: Tensor, queries: Tensor, classes: int, seed: int) -> Tensor:
    """The classes of ``queries`` by multinomial logistic regression on standardised features, with a little decay."""
    mean, std = features.mean(0), features.std(0)
    # A cue that is the same in all puzzles up to rounding is no cue; scaled up it would be noise to fit.
    std = torch.where(std > 1e-4, std, torch.full_like(std, torch.inf))
    generator = torch.Generator().manual_seed(seed)
    linear = nn.Linear(features.shape[1], classes)
    with torch.no_grad():
        linear.weight.normal_(0, 1e-3, generator=generator)
        linear.bias.zero_()
    x = (features - mean) / std

    def loss() -> Tensor:
        return nn.functional.cross_entropy(linear(x), label) + 1e-3 * linear.weight.square().sum()

    minimize_convex(list(linear.parameters()), loss, iterations=100)
    with torch.no_grad():
        logits: Tensor = linear((queries - mean) / std)
    return logits.argmax(1)
