"""Rows of all processes, for losses that need every pair of the global batch."""

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
    if not (dist.is_available() and dist.is_initialized()) or dist.get_world_size() == 1:
        return x
    from torch.distributed.nn.functional import all_gather

    return torch.cat(all_gather(x))  # type: ignore[no-untyped-call]
