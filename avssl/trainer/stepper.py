"""One optimizer step: forward, backward with the average over the processes, clip, update."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import nullcontext
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn
from torch.nn.parallel import DistributedDataParallel

from avssl.tasks.base import Batch
from avssl.trainer.building import make_optimizer
from avssl.trainer.devices import Precision
from avssl.trainer.distributed import World
from avssl.trainer.loader import Fetched, Piece
from avssl.trainer.options import TrainOptions
from avssl.trainer.plan import TaskPlan
from avssl.trainer.seeds import seed_torch


class Outcome(NamedTuple):
    """Loss and measures of one task at a step, means over this rank's part of its batch.

    Tensors, so that nothing waits for the GPU.
    """

    plan: int
    names: tuple[str, ...]  # "loss", then the task's measures
    values: Tensor  # float32 (len(names),)


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
        self._networks = networks
        self._tasks = [plan.task for plan in plans]
        self._loss_weights = loss_weights
        self._options = options
        self._precision = precision
        self._losses = losses = _Losses(networks, plans)
        # Heads are idle in the steps of other tasks, so unused weights are looked for. torch then also keeps its
        # buckets as they were first: the sums of a restarted training are those of an undisturbed one to the bit.
        self._parallel = DistributedDataParallel(losses, find_unused_parameters=True) if world.size > 1 else None
        self._optimizer = make_optimizer(networks, options, precision.device)
        self._scaler = precision.scaler()

    @property
    def learning_rate(self) -> float:
        """Of the last step."""
        return float(self._optimizer.param_groups[0]["lr"])

    def step(self, fetched: Fetched, learning_rate: float, seed: int) -> list[Outcome]:
        """Train one step on a batch that lies on the device; ``seed`` (of the step and rank) decides dropout."""
        seed_torch(seed, self._precision.device)
        for group in self._optimizer.param_groups:  # no scheduler of torch's: a step knows its rate by itself
            group["lr"] = learning_rate
        self._optimizer.zero_grad(set_to_none=True)  # heads that are idle in this step keep no gradient at all
        *earlier, last = fetched.pieces  # of --accumulate, and of tasks that train jointly
        with nullcontext() if self._parallel is None else self._parallel.no_sync():
            worked = [self._work(piece) for piece in earlier]
        worked.append(self._work(last))  # the gradients of all pieces travel during this backward pass
        outcomes = _joined(worked, fetched.pieces)
        self._clip()
        self._scaler.step(self._optimizer)
        self._scaler.update()
        for plan in dict.fromkeys(piece.plan for piece in fetched.pieces):
            self._tasks[plan].after_step(self._networks[self._tasks[plan].name])
        return outcomes

    def state(self) -> dict[str, Any]:
        """Of optimizer and gradient scaler, for a checkpoint."""
        return {"optimizer": self._optimizer.state_dict(), "scaler": self._scaler.state_dict()}

    def load_state(self, state: Mapping[str, Any]) -> None:
        """Restore a :meth:`state`."""
        self._optimizer.load_state_dict(state["optimizer"])
        if state["scaler"]:
            self._scaler.load_state_dict(state["scaler"])

    def _work(self, piece: Piece) -> Outcome:
        """Forward and backward of one piece; its gradient adds to what is there."""
        with self._precision.autocast():
            loss, measures = (self._parallel or self._losses)(piece.plan, piece.batch)
        # The share of an --accumulate piece makes the sum of gradients the gradient of the mean over the batch.
        weight = piece.share * self._loss_weights[piece.plan]
        self._scaler.scale(loss if weight == 1 else loss * weight).backward()
        names = sorted(measures)
        values = [loss.detach(), *(measures[name].detach() for name in names)]
        return Outcome(piece.plan, ("loss", *names), torch.stack([value.float() for value in values]))

    def _clip(self) -> None:
        if self._options.clip_norm is None:
            return
        self._scaler.unscale_(self._optimizer)  # first: a norm is of the gradient itself, not of the scaled one
        torch.nn.utils.clip_grad_norm_(self._networks.parameters(), self._options.clip_norm)


class _Losses(nn.Module):
    """All networks as the one module whose forward pass is a task's loss, as DistributedDataParallel wants it."""

    def __init__(self, networks: nn.ModuleDict, plans: Sequence[TaskPlan]) -> None:
        super().__init__()
        self._networks = networks
        self._tasks = [plan.task for plan in plans]

    def forward(self, plan: int, batch: Batch) -> tuple[Tensor, dict[str, Tensor]]:
        """The loss of a plan's batch, and its measures."""
        task = self._tasks[plan]
        losses = task.loss(self._networks[task.name], batch)
        return losses.loss, losses.measures


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
