"""From plans to networks and their optimizer."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from functools import partial
from typing import Any

import torch
from torch import nn

from avssl.errors import UserError
from avssl.media.skip_bad_files import on_readable
from avssl.networks.batchnorm import with_own_statistics
from avssl.trainer.distributed import World
from avssl.trainer.options import TrainOptions
from avssl.trainer.plan import TaskPlan
from avssl.trainer.seeds import hashed, seed_torch


def settle_states(
    plans: Sequence[TaskPlan],
    options: TrainOptions,
    saved: Mapping[str, dict[str, Any]] | None,
    world: World,
) -> dict[str, dict[str, Any]]:
    """Give each task its statistics of the training data: as saved, or computed now (by rank 0, for all).

    Returns:
        each task's state by the task's name.
    """
    if saved is None:
        learned = None
        with world.together():
            if world.writes:
                for plan in plans:
                    fit = partial(plan.task.fit_statistics, seed=options.seed)
                    on_readable(plan.train, fit, skip=options.on_bad_file == "skip")
                learned = {plan.task.name: plan.task.state() for plan in plans}
        saved = world.broadcast(learned)
        assert saved is not None
        if world.writes:
            return dict(saved)
    for plan in plans:
        plan.task.load_state(saved[plan.task.name])
    return dict(saved)


def build(
    plans: Sequence[TaskPlan],
    seed: int,
    given: Mapping[str, nn.Module] | None = None,
    *,
    own_statistics: bool = False,
) -> tuple[dict[str, nn.Module], nn.ModuleDict]:
    """Encoders by role and networks by task name; tasks that name the same role share its encoder.

    The first task that names a role builds its encoder, unless one is ``given``. Each task's weights depend
    on the seed and the task's name, not on the tasks beside it. torch's generator is left seeded.

    Args:
        own_statistics: of an encoder that several tasks share, each task after the first has batch norms with
            running statistics of its own (:func:`~avssl.networks.batchnorm.with_own_statistics`).

    Raises:
        UserError: two plans have tasks of one name.
    """
    names = [plan.task.name for plan in plans]
    twice = next((name for name in names if names.count(name) > 1), None)
    if twice is not None:
        raise UserError(f"task {twice!r} is named twice; a training has each task once")
    encoders = dict(given or {})
    first: dict[str, TaskPlan] = {}  # by role the task that has it first
    for plan in plans:
        # A seed for encoders and one for heads: a task trained alone and beside others begins with the same weights.
        seed_torch(hashed(seed, "weights", plan.task.name, "encoders"))
        made = plan.task.make_encoders()
        first = dict.fromkeys(made, plan) | first  # whoever named a role before keeps it
        encoders = made | encoders
    networks = {}
    for plan in plans:
        seen = encoders
        if own_statistics:
            seen = {r: e if first.get(r) is plan else with_own_statistics(e) for r, e in encoders.items()}
        seed_torch(hashed(seed, "weights", plan.task.name))
        networks[plan.task.name] = plan.task.network(seen)
    return encoders, nn.ModuleDict(networks)


def make_optimizer(networks: nn.Module, options: TrainOptions, device: torch.device) -> torch.optim.Optimizer:
    """The optimizer of ``options`` over all trainable weights; no decay on biases, norms and other 1-D weights."""
    learning = [weight for weight in networks.parameters() if weight.requires_grad]
    if not learning:
        raise UserError("nothing to train: every weight is frozen; set requires_grad where one should learn")
    groups = [
        {"params": [weight for weight in learning if weight.ndim > 1], "weight_decay": options.weight_decay},
        {"params": [weight for weight in learning if weight.ndim <= 1], "weight_decay": 0.0},
    ]
    groups = [group for group in groups if group["params"]]
    if options.optimizer == "sgd":
        # Not fused: torch's fused SGD fails when a head takes its first step later than others.
        nesterov = options.nesterov and options.momentum > 0
        return torch.optim.SGD(groups, options.learning_rate, momentum=options.momentum, nesterov=nesterov)
    kind = torch.optim.AdamW if options.optimizer == "adamw" else torch.optim.Adam
    return kind(groups, options.learning_rate, fused=device.type in ("cpu", "cuda"))


def to_device(modules: Iterable[nn.Module], device: torch.device, channels_last: bool) -> None:
    """Move modules in place; the 4-D weights channels-last if asked."""
    for module in modules:
        module.to(device)
        if channels_last:
            module.to(memory_format=torch.channels_last)  # type: ignore[call-overload]


def load_weights(networks: nn.Module, weights: Mapping[str, Any], where: str) -> None:
    """Put the weights of a checkpoint into networks.

    Args:
        where: " in RUN", for the message.

    Raises:
        UserError: they are of another network.
    """
    here = {name: value.shape for name, value in networks.state_dict().items()}
    there = {name: value.shape for name, value in weights.items()}
    odd = [name for name in dict.fromkeys([*here, *there]) if here.get(name) != there.get(name)]
    if odd:
        raise UserError(
            f"the checkpoint{where} is of another network than these options build: {odd[0]} is "
            f"{_shape(there.get(odd[0]))} there and {_shape(here.get(odd[0]))} here; choose another --out"
        )
    networks.load_state_dict(weights)


def _shape(size: Sequence[int] | None) -> str:
    return "missing" if size is None else " × ".join(map(str, size)) or "one number"
