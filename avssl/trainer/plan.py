"""The task of a step, and the keys of its batch: pure functions of the step.

Nothing here remembers anything, so that a run continues at any step without replaying what came before.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, NamedTuple

from avssl.errors import UserError
from avssl.media.facts import Media
from avssl.samplers.keys import Key

if TYPE_CHECKING:
    from avssl.tasks.base import Task

Mix = Literal["alternating", "joint"]


@dataclass(frozen=True, slots=True)
class TaskPlan:
    """One task of a training and what it reads."""

    task: Task  # the pretext task
    train: Media  # what its puzzles are drawn from
    validation: Media | None = None  # what its held-out puzzles are drawn from; None: it is not validated
    weight: float = 1.0  # alternating tasks take turns in this proportion; joint tasks' losses are multiplied by it


@dataclass(frozen=True, slots=True)
class Sharing:
    """How several tasks train on the same encoders."""

    mix: Mix = "alternating"  # a batch of one task a step in turn, or of every task at every step
    own_statistics: bool = False  # each task has running statistics of its own in the batch norms of shared encoders
    by_chance: bool = False  # each loss is divided by what knowing nothing costs, so that all start near 1


class Turn(NamedTuple):
    """A batch of one task: the task's number, and how many batches of it came before."""

    plan: int
    batch: int


class Turns:
    """Which task trains at each step.

    Alternating: one task a step; the task that is furthest behind its share comes next, the first among
    equals. Joint: a batch of every task at every step.
    """

    def __init__(self, weights: Sequence[float], mix: Mix = "alternating") -> None:
        if not all(weight > 0 for weight in weights):
            raise UserError(f"the weights of tasks ({', '.join(map(str, weights))}) must be more than 0")
        self._weights = list(weights)
        self._mix = mix
        self._rewind()

    def at(self, step: int) -> tuple[Turn, ...]:
        """The batches of this step (the first is 0)."""
        if self._mix == "joint":
            return tuple(Turn(plan, step) for plan in range(len(self._weights)))
        if len(set(self._weights)) == 1:  # known without walking there from the first step
            return (Turn(step % len(self._weights), step // len(self._weights)),)
        return (self._walk_to(step),)

    def counts(self, steps: int) -> list[int]:
        """How many batches of each task the first ``steps`` steps hold."""
        counts = [0] * len(self._weights)
        for step in range(steps):
            for turn in self.at(step):
                counts[turn.plan] += 1
        return counts

    def _walk_to(self, step: int) -> Turn:
        if step < self._step:
            self._rewind()
        while self._step < step:
            self._step += 1
            # As after its next batch: with equal weights the tasks then take turns in their order.
            waiting = [(done + 1) / weight for done, weight in zip(self._done, self._weights, strict=True)]
            plan = waiting.index(min(waiting))
            self._turn = Turn(plan, self._done[plan])
            self._done[plan] += 1
        return self._turn

    def _rewind(self) -> None:
        self._step = -1
        self._done = [0] * len(self._weights)
        self._turn = Turn(0, 0)


def steps_per_epoch(length: int, batch_size: int) -> int:
    """Whole batches in one pass over ``length`` puzzles; at least 1."""
    return max(1, length // batch_size)


def batch_keys(seed: int, batch: int, length: int, batch_size: int) -> list[Key]:
    """The keys of a task's batch of this number (the first is 0).

    A batch lies within one epoch; the rest of an epoch that fills no batch is passed over (each epoch has
    another order). Where an epoch is shorter than a batch, epochs run on within it.
    """
    if length < batch_size:
        return run_on_keys(seed, batch * batch_size, batch_size, length)
    epoch, within = divmod(batch, length // batch_size)
    first = within * batch_size
    return [Key(seed, epoch, index) for index in range(first, first + batch_size)]


def run_on_keys(seed: int, first: int, count: int, length: int) -> list[Key]:
    """``count`` keys from place ``first`` of epochs of ``length`` laid end to end."""
    return [Key(seed, *divmod(place, length)) for place in range(first, first + count)]


def named(keys: Sequence[Key]) -> str:
    """Keys as text: "seed 0, epoch 3, index 128 to 191"."""
    first, last = keys[0], keys[-1]
    if first.epoch != last.epoch:
        return f"seed {first.seed}, epoch {first.epoch} index {first.index} to epoch {last.epoch} index {last.index}"
    return f"seed {first.seed}, epoch {first.epoch}, index {first.index} to {last.index}"
