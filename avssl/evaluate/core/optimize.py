"""The optimizer loop of what learns from labels: AdamW, warm-up over a tenth of the steps, cosine to zero."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import TypeVar

import numpy as np
import torch
from torch import Tensor, nn

from avssl.errors import UserError
from avssl.evaluate.data.labelled import Indices
from avssl.samplers.keys import generator
from avssl.system.console import Progress

# Norm to which all gradients together are clipped
LARGEST_GRADIENT = 5.0
Choice = TypeVar("Choice")
StartT = TypeVar("StartT")


class Diverged(UserError):
    """The loss became NaN or infinite: the learning rate was too high."""


def repetitions(
    starts: Mapping[str, StartT] | Callable[[int], Mapping[str, StartT]], seed: int, count: int
) -> Iterator[tuple[int, str, StartT]]:
    """(seed, name, start) of each training, all starts of one seed before the next; ``count`` seeds from ``seed`` on.

    Starts are encoders by the name of their rows, or a function that makes them where they differ by the seed.
    """
    for number in range(seed, seed + count):
        for name, start in (starts(number) if callable(starts) else starts).items():
            yield number, name, start


def minimize(
    network: nn.Module,
    loss: Callable[[Indices, np.random.Generator], Tensor],
    count: int,
    batch_size: int,
    steps: int,
    rate: float,
    *,
    seed: int,
    key: str,
    weight_decay: float = 0.05,
    on_progress: Progress | None = None,
) -> None:
    """Minimise ``loss(items, rng)`` of batches over the weights of the network that learn; the last step counts.

    Args:
        network: in train mode.
        loss: a scalar, of some of the ``count`` items; all that is random in it must be drawn from ``rng``.
        seed, key: of what is drawn, so that every network is shown the same items in the same way.
        rate: the highest learning rate.

    Raises:
        Diverged: the loss is NaN or infinite.
    """
    weights = [one for one in network.parameters() if one.requires_grad]
    solver = torch.optim.AdamW(weights, lr=rate, weight_decay=weight_decay)
    schedule = torch.optim.lr_scheduler.LambdaLR(solver, lambda step: _rate_share(step, steps))
    for step in range(steps):
        value = loss(batch_of_step(count, batch_size, step, seed), generator(seed, key, step))
        # Before the step, which would spoil the weights.
        if not bool(torch.isfinite(value)):
            raise Diverged(f"the loss is {value.item():g} at step {step + 1}; take a learning rate below {rate:g}")
        solver.zero_grad()
        value.backward()
        nn.utils.clip_grad_norm_(weights, LARGEST_GRADIENT)
        solver.step()
        schedule.step()
        if on_progress is not None:
            on_progress(step + 1, steps)


def minimize_convex(
    weights: Sequence[Tensor], loss: Callable[[], Tensor], *, iterations: int, tolerance: float = 1e-7
) -> None:
    """Minimise a convex ``loss()`` over some weights by L-BFGS with strong Wolfe line search, until no gradient is
    larger than the tolerance."""
    # Without a line search torch's L-BFGS takes steps of a fixed length, and may diverge
    solver = torch.optim.LBFGS(weights, max_iter=iterations, tolerance_grad=tolerance, line_search_fn="strong_wolfe")

    def closure() -> Tensor:
        solver.zero_grad()
        value = loss()
        value.backward()
        return value

    solver.step(closure)


def best_of(choices: Sequence[Choice], score: Callable[[Choice], float]) -> Choice:
    """The first of the choices with the highest score; one that diverges has the lowest, a single one is not scored."""

    def scored(choice: Choice) -> float:
        try:
            return score(choice)
        except Diverged:
            return -math.inf

    # max takes the first of equals
    return choices[0] if len(choices) == 1 else max(choices, key=scored)


def batch_of_step(count: int, size: int, step: int, seed: int) -> Indices:
    """Places of a step's items among ``count``: each epoch goes through all of them in an order of its own."""
    places = np.arange(step * size, (step + 1) * size)
    # A batch may reach from the end of one epoch into the next.
    orders = {int(epoch): generator(seed, "order", int(epoch)).permutation(count) for epoch in set(places // count)}
    return np.array([orders[int(place // count)][place % count] for place in places], np.int64)


def _rate_share(step: int, steps: int) -> float:
    """Which share of the highest learning rate a step takes."""
    warm = max(1, steps // 10)
    if step < warm:
        return (step + 1) / warm
    return 0.5 * (1 + math.cos(math.pi * (step - warm) / max(1, steps - warm)))
