"""The length of a training, and the learning-rate schedule."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from avssl.trainer.options import TrainOptions
from avssl.trainer.plan import Mix, steps_per_epoch


@dataclass(frozen=True, slots=True)
class Budget:
    """How long to train: one of the two is None."""

    steps: int | None
    seconds: float | None

    def share(self, steps_done: int, seconds: float) -> float:
        """The part of the training that is done, 0 to 1."""
        if self.steps is not None:
            return min(1.0, steps_done / self.steps)
        assert self.seconds is not None
        return min(1.0, seconds / self.seconds)


def budget(options: TrainOptions, lengths: Sequence[int], mix: Mix) -> Budget:
    """The budget of ``options`` for tasks whose epochs have these lengths.

    An epoch of several alternating tasks is as many steps as all their epochs together; of joint tasks, as
    many as the longest.
    """
    if options.minutes is not None:
        return Budget(None, options.minutes * 60)
    if options.steps is not None:
        return Budget(options.steps, None)
    assert options.epochs is not None
    epochs = [steps_per_epoch(length, options.batch_size) for length in lengths]
    one = max(epochs) if mix == "joint" else sum(epochs)
    return Budget(max(1, round(options.epochs * one)), None)


def learning_rate(options: TrainOptions, plan: Budget, step: int, share: float) -> float:
    """The learning rate of ``step`` (the first is 0) where ``share`` of the training is done.

    Linear warm-up times the schedule; the cosine (Loshchilov and Hutter, SGDR, 2017, eq. 5, one period) falls to 0.
    """
    # At most a fifth: a short trial of 50 steps would be over before its rate is reached.
    warmup = options.warmup_steps if plan.steps is None else min(options.warmup_steps, plan.steps // 5)
    # From 1 / (warmup + 1) on: a first step of rate 0 would be lost.
    warm = min(1.0, (step + 1) / (warmup + 1))
    return options.learning_rate * warm * _anneal(options, share)


def _anneal(options: TrainOptions, share: float) -> float:
    if options.schedule == "constant":
        return 1.0
    if options.schedule == "step":
        return math.prod(options.step_factor for at in options.step_at if share >= at)
    return 0.5 * (1 + math.cos(math.pi * share))
