"""Each known shortcut of a task on these data, with its countermeasure and without."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

from torch import Tensor

from avssl.evaluate.pretext import shortcuts
from avssl.evaluate.pretext.shortcuts import Cue, Probed, probe
from avssl.experiment.audit.findings import Finding, figure, judged, widened
from avssl.media.facts import Media
from avssl.samplers.keys import Key
from avssl.tasks.base import Batch, Task

Changes = Mapping[str, Any]


@dataclass(frozen=True)
class Shortcut:
    """One shortcut.

    Attributes:
        name: for people.
        cue: what is looked at.
        without: options that take the countermeasure away.
        guard: options that put it fully on, where the task does not have it by default.
        fixed: options of both, without which the cue cannot be asked about.
        in_training: whether only training puzzles are treated.
    """

    name: str
    cue: Cue
    without: Changes
    guard: Changes | None = None
    fixed: Changes | None = None
    in_training: bool = False


def known(task: Task, media: Media) -> list[Shortcut]:
    """The shortcuts that are known of a task; none of one that has no classes."""
    made = _KNOWN.get(task.name)
    return made(task, media) if made else []


def known_count(task: Task) -> int:
    """How many they are, about, before the data are looked at."""
    return _COUNTS.get(task.name, 0)


class Prober:
    """Probes the shortcuts of one task on some media; puzzles of the same options are drawn once for all of them.

    Args:
        task: as it would be trained, with its statistics.
        media: what puzzles are drawn from.
        asked: how many shortcuts there are: intervals are 95 % for all together.
        puzzles: of each probe.
        seed: of the puzzles.
    """

    def __init__(self, task: Task, media: Media, *, asked: int, puzzles: int, seed: int = 0) -> None:
        self.task, self.media = task, media
        self.asked, self.puzzles, self.seed = asked, puzzles, seed
        self._variants: dict[str, Task] = {}

    def probed(self, shortcut: Shortcut) -> Finding:
        """The cue alone on held-out puzzles: as the task is set, with the countermeasure off, and with it fully on."""
        options = self.task.options
        without = {name: value for name, value in shortcut.without.items() if getattr(options, name) != value}
        guard = {name: value for name, value in (shortcut.guard or {}).items() if getattr(options, name) != value}
        now = self._told(shortcut, {})
        off = self._told(shortcut, without) if without else now
        notes = [] if without else ["its countermeasure is off"]
        if guard:
            on = self._told(shortcut, guard)
            flags = " ".join(f"--{name.replace('_', '-')} {_word(value)}" for name, value in guard.items())
            notes.append(f"{figure(*self._figures(on))} with {flags}")
        value, low, high = self._figures(now)
        verdict = judged(low, high, now.chance)
        name = f"{self.task.name}: {shortcut.name}"
        return Finding(
            name, value, low, high, now.chance, verdict, "shortcuts", now.n, "; ".join(notes), self._figures(off)
        )

    def _told(self, shortcut: Shortcut, changes: Changes) -> Probed:
        task = self._variant({**(shortcut.fixed or {}), **changes}, shortcut.in_training)
        return probe(task, self.media, shortcut.cue, puzzles=self.puzzles, seed=self.seed)

    def _figures(self, found: Probed) -> tuple[float, float, float]:
        return (found.accuracy, *widened(found.accuracy, found.low, found.high, self.asked))

    def _variant(self, changes: Changes, in_training: bool) -> Task:
        """The task with other options and what it learned of its data; it remembers its puzzles."""
        key = repr((sorted(changes.items()), in_training))
        if key not in self._variants:
            made = type(self.task)(replace(self.task.options, **changes))
            made.load_state(self.task.state())
            made.training = in_training
            self._variants[key] = _remembering(made if in_training else made.held_out())
        return self._variants[key]


def on_frames(frame_rate: float) -> Cue:
    """Where in a frame's time the sound is loud: sounds cut off the frame grid have another phase. (N, 20)"""

    def cue(task: Any, batch: Batch) -> Tensor:
        period = max(20, round(task.options.rate / frame_rate / 20) * 20)
        sound = batch["waveform"].abs()
        whole = sound[:, : sound.shape[1] // period * period].unflatten(1, (-1, 20, period // 20))
        folded = whole.amax(3).mean(1)
        phase: Tensor = folded / folded.mean(1, keepdim=True).clamp_min(1e-6)
        return phase

    return cue


# --- how ------------------------------------------------------------------------------------------------


def _remembering(task: Task) -> Task:
    """The task, which draws each puzzle once."""
    kind = type(task)
    known: dict[Key, Any] = {}

    class Remembering(kind):  # type: ignore[misc, valid-type]
        def draw(self, media: Media, key: Key) -> Any:
            if key not in known:
                known[key] = super().draw(media, key)
            return known[key]

    task.__class__ = Remembering
    return task


def _word(value: Any) -> str:
    return f"{value:g}" if isinstance(value, float) else str(value)


def _correspondence(task: Task, media: Media) -> list[Shortcut]:
    rates = sorted(media.facts(i).frame_rate for i in range(len(media)) if media.facts(i).frame_rate > 0)
    drawn = {"negatives": "drawn", "logistic": 1.0, "silent_rows": 0.0, "gain": 0.0}
    without = {"negative_sounds": "anywhere"}
    found = [Shortcut("loudness", shortcuts.loudness, without, fixed=drawn)]
    if rates:
        found.append(Shortcut("place between frames", on_frames(rates[len(rates) // 2]), without, fixed=drawn))
    return found


def _shuffle_learn(task: Task, media: Media) -> list[Shortcut]:
    return [
        Shortcut("distance of the outer frames", shortcuts.outer_change, {"ends": "shuffled"}),
        Shortcut("growing brighter or darker", shortcuts.brightening, {"reverse": 0.0}),
        Shortcut("sharpness by place in the codec's group", shortcuts.sharpness, {"blur": 0.0}, guard={"blur": 1.0}),
    ]


def _rotation(task: Task, media: Media) -> list[Shortcut]:
    return [
        Shortcut("borders left by interpolation", shortcuts.borders, {"turn": "interpolated"}),
        Shortcut("black bars", shortcuts.borders, {"square": False}),
    ]


def _relative_position(task: Task, media: Media) -> list[Shortcut]:
    return [
        Shortcut("edges that continue", shortcuts.seams, {"gap": 0, "jitter": 0}),
        Shortcut("long straight lines", shortcuts.lines(), {"jitter": 0}),
        Shortcut("light and shade", shortcuts.levels, {"normalise": False}),
        Shortcut("strength of gradients", shortcuts.gradients, {"normalise": False}),
        Shortcut("coding noise", shortcuts.gradients, {"coarsen": 0.0}, guard={"coarsen": 1.0}, in_training=True),
        Shortcut("chromatic aberration", shortcuts.aberration, {"colour": "keep"}),
    ]


def _jigsaw(task: Task, media: Media) -> list[Shortcut]:
    few = {"permutations": 8}  # a probe of few numbers cannot learn a hundred orders
    return [
        Shortcut(
            "edges that continue",
            shortcuts.tile_seams,
            {"tile": getattr(task.options, "cell", 0), "channel_jitter": 0},
            fixed=few,
        ),
        Shortcut("light and shade", shortcuts.levels, {"normalise": "off"}, fixed=few),
        Shortcut("channels out of line", shortcuts.misalignment, {"centred": False}, fixed=few),
        Shortcut(
            "chromatic aberration",
            shortcuts.tile_aberration,
            {"grey": 0.0, "projection": 0.0, "channel_jitter": 0},
            guard={"grey": 1.0},
            fixed=few,
        ),
    ]


_KNOWN: dict[str, Callable[[Task, Media], list[Shortcut]]] = {
    "av-correspondence": _correspondence,
    "shuffle-learn": _shuffle_learn,
    "rotation": _rotation,
    "relative-position": _relative_position,
    "jigsaw": _jigsaw,
}
_COUNTS = {"av-correspondence": 2, "shuffle-learn": 3, "rotation": 2, "relative-position": 6, "jigsaw": 4}
