"""One optimizer step: forward, backward, average over the processes, clip, update."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from avssl.trainer.building import make_optimizer
from avssl.trainer.devices import Precision, moved
from avssl.trainer.distributed import World
from avssl.trainer.loader import Fetched, Piece
from avssl.trainer.options import TrainOptions
from avssl.trainer.plan import TaskPlan
from avssl.trainer.seeds import seed_torch


class Outcome(NamedTuple):
    """Loss and measures of one task at a step, means over its batch: tensors, so that nothing waits for the GPU."""

    plan: int
    names: tuple[str, ...]
    """"loss", then the task's measures."""
    values: Tensor
    """float32 (len(names),)"""


class Stepper:
    """Networks and optimizer, and how a step changes them.

    Args:
        networks: by task name, on the device.
        loss_weights: what each plan's loss is multiplied by.
    """

    def __init__(
        self,
        networks: nn.ModuleDict,
        plans: Sequence[TaskPlan],
        loss_weights: Sequence[float],
        options: TrainOptions,
        precision: Precision,
        world: World,
    ) -> None:
        self.networks = networks
        self._plans = plans
        self._loss_weights = loss_weights
        self._options = options
        self._precision = precision
        self._world = world
        self._optimizer = make_optimizer(networks, options, precision.device)
        self._scaler = precision.scaler()
        self._with_gradient: dict[int, list[nn.Parameter]] = {}

    def step(self, fetched: Fetched, learning_rate: float, seed: int) -> list[Outcome]:
        """Train one step; ``seed`` (of the step and rank) is all that dropout depends on."""
        seed_torch(seed, self._precision.device)
        for group in self._optimizer.param_groups:
            group["lr"] = learning_rate
        self._optimizer.zero_grad(set_to_none=True)  # heads that are idle in this step keep no gradient at all
        outcomes = _joined([self._work(piece) for piece in fetched.pieces], fetched.pieces)
        if self._world.size > 1:
            self._share(outcomes)
        self._clip()
        self._scaler.step(self._optimizer)
        self._scaler.update()
        return outcomes

    def state(self) -> dict[str, Any]:
        """Of optimizer and gradient scaler, for a checkpoint."""
        return {"optimizer": self._optimizer.state_dict(), "scaler": self._scaler.state_dict()}

    def load_state(self, state: Mapping[str, Any]) -> None:
        """Continue from what :meth:`state` gave."""
        self._optimizer.load_state_dict(state["optimizer"])
        if state["scaler"]:
            self._scaler.load_state_dict(state["scaler"])

    def _work(self, piece: Piece) -> Outcome:
        """Forward and backward of one piece; its gradient adds to what is there."""
        task = self._plans[piece.plan].task
        batch = moved(piece.batch, self._precision.device, self._options.channels_last)
        with self._precision.autocast():
            losses = task.loss(self.networks[task.name], batch)
        weight = piece.share * self._loss_weights[piece.plan]
        self._scaler.scale(losses.loss if weight == 1 else losses.loss * weight).backward()  # type: ignore[no-untyped-call]
        names = sorted(losses.measures)
        values = [losses.loss.detach(), *(losses.measures[name].detach() for name in names)]
        return Outcome(piece.plan, ("loss", *names), torch.stack([value.float() for value in values]))

    def _share(self, outcomes: list[Outcome]) -> None:
        """Average gradients and figures over the ranks, and make their batch statistics those of rank 0."""
        weights = [weight for outcome in outcomes for weight in self._learning(outcome.plan)]
        weights = list(dict.fromkeys(weights))
        for weight in weights:
            if weight.grad is None:
                weight.grad = torch.zeros_like(weight)
        gradients = [weight.grad for weight in weights if weight.grad is not None]
        self._world.average([*gradients, *(outcome.values for outcome in outcomes)])
        self._world.copy_from_first(list(self.networks.buffers()))

    def _learning(self, plan: int) -> list[nn.Parameter]:
        """The weights that this task's loss reaches, for any rank; agreed on when the task is first met."""
        if plan not in self._with_gradient:
            mine = list(self.networks[self._plans[plan].task.name].parameters())
            reached = self._world.greatest(*(float(weight.grad is not None) for weight in mine))
            self._with_gradient[plan] = [weight for weight, hit in zip(mine, reached, strict=True) if hit]
        return self._with_gradient[plan]

    def _clip(self) -> None:
        if self._options.clip_norm is None:
            return
        self._scaler.unscale_(self._optimizer)
        torch.nn.utils.clip_grad_norm_(self.networks.parameters(), self._options.clip_norm)


def _joined(outcomes: Sequence[Outcome], pieces: Sequence[Piece]) -> list[Outcome]:
    """The pieces of each task as one: means weighted by the pieces' shares of the batch."""
    if len(outcomes) == 1:
        return list(outcomes)
    joined: dict[int, Outcome] = {}
    for outcome, piece in zip(outcomes, pieces, strict=True):
        part = outcome.values * piece.share
        before = joined.get(outcome.plan)
        joined[outcome.plan] = outcome._replace(values=part if before is None else before.values + part)
    return list(joined.values())
