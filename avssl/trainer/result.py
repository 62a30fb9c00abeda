"""The result of a training, its state while it runs, and which files a batch was drawn from if its loss is NaN."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from avssl.errors import UserError
from avssl.media.facts import Media
from avssl.system.console import DRAW_EVERY_SECONDS
from avssl.trainer.distributed import World
from avssl.trainer.loader import Source, Steps
from avssl.trainer.plan import named
from avssl.trainer.stepper import Outcome
from avssl.trainer.transfer import Arrival, to_host


@dataclass(slots=True)
class FitResult:
    """A finished training."""

    networks: dict[str, nn.Module]  # by task name, in eval mode: the last or the best ones, as asked
    encoders: dict[str, nn.Module]  # by role; the networks hold the same modules
    states: dict[str, dict[str, Any]]  # each task's Task.state by name
    steps: int  # optimizer steps, those before a resumption included
    seconds: float  # the training took, likewise; validation and saving included
    data_wait: float  # the share of ``seconds`` spent waiting for data
    history: list[dict[str, Any]]  # the lines of ``metrics.jsonl``
    best: dict[str, float] | None  # the best validation, {"step", "score"}; None if there was none
    finished: bool  # False only on the way out of an interrupted training


@dataclass(slots=True)
class Tally:
    """Where a training is: what a checkpoint holds beside the weights."""

    step: int = 0
    seconds: float = 0.0
    waited: float = 0.0
    passed_over: int = 0
    best: dict[str, float] | None = None
    finished: bool = False


@dataclass(slots=True)
class Window:
    """The outcomes since the last line of metrics.

    They stay on the device until they are read, as reading waits for a GPU.
    """

    steps: Steps
    names: Sequence[str]
    outcomes: list[tuple[int, Outcome]] = field(default_factory=list)
    checked: int = 0
    seconds_before: float = 0.0
    waited_before: float = 0.0
    arrived: Callable[[], object] = lambda: None  # of a reading: waits until its figures are on the host

    def add(self, step: int, outcomes: Sequence[Outcome]) -> None:
        """Take in the outcomes of ``step`` (the first is 0)."""
        self.outcomes += [(step, outcome) for outcome in outcomes]

    def check(self) -> None:
        """Stop at a loss that is NaN or infinite.

        Raises:
            UserError: names the task, the step, the files and the keys of the batch.
        """
        for step, outcome in self.outcomes[self.checked :]:
            loss = float(outcome.values[0])
            if not math.isfinite(loss):
                # Files and keys: a NaN is mostly one odd file, and a key draws its puzzle again anywhere.
                keys = dict(self.steps.keys(step))[outcome.plan]
                files = in_short(files_of_batch(self.steps, step, outcome.plan))
                value = "NaN" if math.isnan(loss) else "infinite"
                raise UserError(
                    f"the loss of {self.names[outcome.plan]} is {value} at step {step + 1}; "
                    f"files in that batch: {files or 'none'}; its keys: {named(keys)}; "
                    "look at these, or try a lower --learning-rate or --clip-norm 1"
                )
        self.checked = len(self.outcomes)

    def reading(self) -> Window:
        """This window with its figures on their way to the host: read them after ``arrived()``."""
        values, arrived = to_host([outcome.values for _, outcome in self.outcomes])
        outcomes = [
            (step, outcome._replace(values=value)) for (step, outcome), value in zip(self.outcomes, values, strict=True)
        ]
        return replace(self, outcomes=outcomes, arrived=arrived)

    def restart(self, tally: Tally) -> None:
        """Begin anew here."""
        self.outcomes, self.checked = [], 0
        self.seconds_before, self.waited_before = tally.seconds, tally.waited

    def waited_share(self, tally: Tally) -> float:
        """The share of the time since :meth:`restart` that was spent waiting for data."""
        return (tally.waited - self.waited_before) / max(tally.seconds - self.seconds_before, 1e-9)

    def means(self, world: World) -> dict[int, dict[str, float]]:
        """Per task the means over its steps since :meth:`restart`, and over the ranks."""
        means = {plan: _figures(names, values.tolist()) for plan, (names, values) in self.device_means().items()}
        if world.size > 1:
            totals = iter(world.total([value for figures in means.values() for value in figures.values()]))
            means = {plan: {name: next(totals) / world.size for name in own} for plan, own in means.items()}
        return means

    def device_means(self) -> dict[int, tuple[Sequence[str], Tensor]]:
        """Per task the names of its figures and, where they were computed, their means over its steps here."""
        groups: dict[int, list[Outcome]] = {}
        for _, outcome in self.outcomes:
            groups.setdefault(outcome.plan, []).append(outcome)
        return {
            plan: (group[0].names, torch.stack([outcome.values for outcome in group]).mean(0))
            for plan, group in sorted(groups.items())
        }


class Glance:
    """Figures of a window while it grows, for people: nothing waits for them."""

    def __init__(self) -> None:
        self._coming: tuple[dict[int, tuple[Sequence[str], Tensor]], Arrival] | None = None
        self._next = 0.0

    def newest(self, window: Window) -> dict[int, dict[str, float]]:
        """Per task its means up to now, on a GPU up to some steps ago; nothing where none have arrived since."""
        found: dict[int, dict[str, float]] = {}
        if self._coming is not None and self._coming[1].there():
            found = {plan: _figures(names, values.tolist()) for plan, (names, values) in self._coming[0].items()}
            self._coming = None
        # As often as the line is drawn: each glance is a few small kernels and a copy.
        if self._coming is None and time.monotonic() >= self._next:
            self._next = time.monotonic() + DRAW_EVERY_SECONDS
            self._coming = to_host(window.device_means())
        return found


def _figures(names: Sequence[str], values: Sequence[float]) -> dict[str, float]:
    return dict(zip(names, values, strict=True))


_NAMED = 3  # files of a batch in a message; the others are counted


def files_of_batch(steps: Steps, step: int, plan: int) -> list[str]:
    """The files that this step's batch of this task was drawn from, over all ranks, each once.

    A puzzle is a pure function of its key, so the batch is drawn once more from media that write down what is
    read of them.
    """
    source = steps.sources[plan]
    witness = _Witness(source.media)
    drawn_again = Source(source.task.variant(left_to_device="nothing"), witness, source.length)
    for key in dict(steps.keys(step))[plan]:
        with suppress(UserError):  # a file that cannot be read any more has been written down by then
            drawn_again.draw(key, steps.on_bad_file, [])
    return list(dict.fromkeys(source.media.facts(item).path for item in witness.read))


def in_short(paths: Sequence[str]) -> str:
    """A few names for people: "a.wav, b.wav, c.wav … (and 28 more)"."""
    names = [Path(path).name for path in paths]
    if len(set(names)) < len(names):
        names = list(paths)
    more = len(names) - _NAMED
    return ", ".join(names[:_NAMED]) + (f" … (and {more} more)" if more > 0 else "")


class _Witness:
    """Media that record which items are read; otherwise the media that they wrap."""

    def __init__(self, media: Media) -> None:
        self._media = media
        self.read: list[int] = []

    @property  # type: ignore[misc]
    def __class__(self) -> type:
        # Samplers ask whether media are a part of others; what they learn must be true of the real ones.
        return type(self._media)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._media, name)

    def __len__(self) -> int:
        return len(self._media)

    def frames(self, i: int, times: Sequence[float]) -> NDArray[np.uint8]:
        self.read.append(i)
        return self._media.frames(i, times)

    def audio(self, i: int, start_seconds: float, duration_seconds: float, rate: int) -> NDArray[np.float32]:
        self.read.append(i)
        return self._media.audio(i, start_seconds, duration_seconds, rate)
