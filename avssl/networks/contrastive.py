"""Contrastive losses on embeddings of unit length over a batch or a queue; against a bank: :mod:`.memory_bank`.

Not computed in the 16 bits of autocast, which would round similarities before a temperature magnifies them.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn


def similarities(one: Tensor, other: Tensor, temperature: float) -> Tensor:
    """Scalar products of rows (…, N, D) with rows (…, M, D) over the temperature: float32 (…, N, M)."""
    with torch.autocast(one.device.type, enabled=False):
        return one.float() @ other.float().mT / temperature


def info_nce_terms(similarity: Tensor, ignore: Tensor | None = None) -> list[Tensor]:
    """InfoNCE (van den Oord, Li & Vinyals 2018) both ways: −mean log softmax(S)_ii over each row, and over each column.

    Args:
        similarity: (N, N) over the temperature; row n and column n are a positive pair.
        ignore: (N, N) bool: pairs that are neither positive nor negative; none of the diagonal.
    """
    # −∞ rather than a factor or a large number: what is neither true nor false gets no probability at all.
    masked = similarity if ignore is None else similarity.masked_fill(ignore, -math.inf)
    target = torch.arange(len(masked), device=masked.device)
    return [nn.functional.cross_entropy(each, target) for each in (masked, masked.T)]


def nt_xent(first: Tensor, second: Tensor, temperature: float) -> Tensor:
    """NT-Xent of SimCLR (Chen et al. 2020, equation 1): of 2N views each is to find the other view of its picture.

    −mean_i log( exp(z_i·z_j / τ) / Σ_{k≠i} exp(z_i·z_k / τ) ), j being the other view of i; ln(2N − 1) at chance.

    Args:
        first, second: (N, D) of unit length, of the first and of the second view of each picture.
    """
    views = torch.cat([first, second])
    logits = similarities(views, views, temperature)
    own = torch.eye(len(views), dtype=torch.bool, device=views.device)
    target = torch.arange(len(views), device=views.device).roll(len(first))
    return nn.functional.cross_entropy(logits.masked_fill(own, -math.inf), target)


def queue_loss(query: Tensor, key: Tensor, queue: Tensor, temperature: float) -> Tensor:
    """InfoNCE of MoCo (He et al. 2020, equation 1): each query is to find its key among those of the queue.

    Args:
        query, key: (N, D) of unit length, row by row positive pairs.
        queue: (K, D) keys of other pictures; ln(K + 1) at chance.
    """
    positive = similarities(query[:, None], key[:, None], temperature)[:, 0]
    logits = torch.cat([positive, similarities(query, queue, temperature)], 1)
    return nn.functional.cross_entropy(logits, torch.zeros(len(logits), dtype=torch.long, device=logits.device))


class KeyQueue(nn.Module):
    """The latest ``size`` embeddings, first in, first out (MoCo). Buffers: they survive in checkpoints."""

    rows: Tensor  # (size, dimensions)
    place: Tensor  # where the oldest is

    def __init__(self, size: int, dimensions: int) -> None:
        super().__init__()
        # Random directions until it is full, as published.
        self.register_buffer("rows", nn.functional.normalize(torch.randn(size, dimensions)))
        self.register_buffer("place", torch.zeros((), dtype=torch.long))

    @torch.no_grad()
    def push(self, keys: Tensor) -> None:
        """Put the last ``size`` of these keys (N, D) in the place of the oldest."""
        size = len(self.rows)
        keys = keys[-size:].to(self.rows)
        self.rows[(self.place + torch.arange(len(keys), device=keys.device)) % size] = keys
        self.place.add_(len(keys)).remainder_(size)
