"""The descent of what learns from labels: AdamW, a warm-up over a tenth of the steps, half a cosine."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
import torch
from torch import Tensor, nn

from avssl.errors import UserError
from avssl.evaluate.data.labelled import Indices
from avssl.samplers.keys import generator

LARGEST_GRADIENT = 5.0


def descend(
    network: nn.Module,
    loss: Callable[[int], Tensor],
    *,
    steps: int,
    rate: float,
    weight_decay: float = 0.05,
    told: Callable[[int, int], None] | None = None,
) -> None:
    """Minimise ``loss(step)`` over the weights of the network that learn; the last step counts.

    Args:
        network: in train mode.
        loss: a scalar; all that is random in it must depend on the step.
        rate: the highest learning rate.
        told: called with (done, steps).

    Raises:
        UserError: the loss is no number any more.
    """
    weights = [one for one in network.parameters() if one.requires_grad]
    solver = torch.optim.AdamW(weights, lr=rate, weight_decay=weight_decay)
    schedule = torch.optim.lr_scheduler.LambdaLR(solver, lambda step: rate_share(step, steps))
    for step in range(steps):
        value = loss(step)
        if not bool(torch.isfinite(value)):
            raise UserError(f"the loss is no number any more at step {step + 1}; take a smaller --rate than {rate:g}")
        solver.zero_grad()
        value.backward()  # type: ignore[no-untyped-call]
        nn.utils.clip_grad_norm_(weights, LARGEST_GRADIENT)
        solver.step()
        schedule.step()
        if told is not None:
            told(step + 1, steps)


def rate_share(step: int, steps: int) -> float:
    """Which share of the highest learning rate a step takes."""
    warm = max(1, steps // 10)
    if step < warm:
        return (step + 1) / warm
    return 0.5 * (1 + math.cos(math.pi * (step - warm) / max(1, steps - warm)))


def of_step(count: int, size: int, step: int, seed: int) -> Indices:
    """Places of a step's items among ``count``: each epoch goes through all of them in an order of its own."""
    places = np.arange(step * size, (step + 1) * size)
    orders = {int(epoch): generator(seed, "order", int(epoch)).permutation(count) for epoch in set(places // count)}
    return np.array([orders[int(place // count)][place % count] for place in places], np.int64)
