"""The result of a training, and its state while it runs."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import torch
from torch import nn

from avssl.errors import UserError
from avssl.trainer.batch_files import files_of_batch, in_short
from avssl.trainer.distributed import World
from avssl.trainer.loader import Steps
from avssl.trainer.plan import named
from avssl.trainer.stepper import Outcome
from avssl.trainer.transfer import to_host


@dataclass(slots=True)
class FitResult:
    """A finished training.

    Attributes:
        networks: by task name, in eval mode: the last or the best ones, as asked.
        encoders: by role; the networks hold the same modules.
        states: each task's :meth:`~avssl.tasks.base.Task.state` by name.
        steps: optimizer steps, those before a resumption included.
        seconds: the training took, likewise; validation and saving included.
        data_wait: the share of ``seconds`` spent waiting for data.
        history: the lines of ``metrics.jsonl``.
        best: the best validation, {"step", "score"}; None if there was none.
        finished: False only on the way out of an interrupted training.
    """

    networks: dict[str, nn.Module]
    encoders: dict[str, nn.Module]
    states: dict[str, dict[str, Any]]
    steps: int
    seconds: float
    data_wait: float
    history: list[dict[str, Any]]
    best: dict[str, float] | None
    finished: bool


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
    arrived: Callable[[], object] = lambda: None
    """Of a :meth:`reading`: waits until its figures are on the host."""

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
                keys = dict(self.steps.keys(step))[outcome.plan]
                files = in_short(files_of_batch(self.steps, step, outcome.plan))
                raise UserError(
                    f"the loss of {self.names[outcome.plan]} is {_spoken(loss)} at step {step + 1}; "
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
        groups: dict[int, list[Outcome]] = {}
        for _, outcome in self.outcomes:
            groups.setdefault(outcome.plan, []).append(outcome)
        means = {plan: _mean(group) for plan, group in sorted(groups.items())}
        if world.size > 1:
            totals = iter(world.total([value for figures in means.values() for value in figures.values()]))
            means = {plan: {name: next(totals) / world.size for name in own} for plan, own in means.items()}
        return means


def _spoken(loss: float) -> str:
    return "NaN" if math.isnan(loss) else "infinite"


def _mean(outcomes: Sequence[Outcome]) -> dict[str, float]:
    mean = torch.stack([outcome.values for outcome in outcomes]).mean(0)
    return dict(zip(outcomes[0].names, mean.tolist(), strict=True))
