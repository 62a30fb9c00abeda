"""Gathering rows of other processes for losses: the rows themselves, or their number."""

from __future__ import annotations

import torch
import torch.distributed as dist
from torch import Tensor


def gather_with_gradient(x: Tensor) -> Tensor:
    """The rows of all processes, in rank order: (N, …) → (world · N, …). Identity in a single process.

    Every process must hold the same number of rows. Gradients of all processes' losses flow back to the rows'
    owner and are summed: with parameter gradients averaged over processes afterwards, and each process computing
    the same loss of the gathered rows, the result is the gradient of that loss in a single process.
    """
    if _alone():
        return x
    from torch.distributed.nn.functional import all_gather

    return torch.cat(all_gather(x))


def mean_of_whole_batch(total: Tensor, count: Tensor, least: float = 1.0) -> Tensor:
    """``total / count`` where each process has a sum over its rows and a count (or weight) of its own.

    The mean over the processes is the sum of all by the count of all, as in one process; a plain quotient would weigh
    the rows of a process with few that count more. Without gradients, where each process works by itself, it is plain.

    Args:
        total: a scalar, with gradient.
        count: a scalar of the same type.
        least: what the count is taken for where it is less, so that nothing is divided by 0.
    """
    if _alone() or not torch.is_grad_enabled():
        return total / count.clamp(min=least)
    whole = count.detach().clone()
    dist.all_reduce(whole)
    return total * dist.get_world_size() / whole.clamp(min=least)


def gather_rows(x: Tensor) -> Tensor:
    """The rows of all processes, in rank order, without gradient; each holds the same number."""
    if _alone():
        return x
    parts = [torch.empty_like(x) for _ in range(dist.get_world_size())]
    dist.all_gather(parts, x.contiguous())
    return torch.cat(parts)


def mean_over_processes(value: Tensor, together: bool) -> Tensor:
    """The mean of a scalar over the processes, without gradient; the value itself where they are not ``together``."""
    if _alone() or not together:
        return value
    whole = value.detach().clone()
    dist.all_reduce(whole)
    return whole / dist.get_world_size()


def _alone() -> bool:
    return not (dist.is_available() and dist.is_initialized()) or dist.get_world_size() == 1
