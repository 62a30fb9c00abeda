"""Contrastive losses on embeddings of unit length, and the memories that they compare with.

Not computed in the 16 bits of autocast, which would round similarities before a temperature magnifies them.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn


def similarities(one: Tensor, other: Tensor, temperature: float) -> Tensor:
    """Scalar products of rows (N, D) with rows (M, D) over the temperature: float32 (N, M)."""
    with torch.autocast(one.device.type, enabled=False):
        return one.float() @ other.float().T / temperature


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
    with torch.autocast(query.device.type, enabled=False):
        positive = (query.float() * key.float()).sum(1, keepdim=True) / temperature
    logits = torch.cat([positive, similarities(query, queue, temperature)], 1)
    return nn.functional.cross_entropy(logits, torch.zeros(len(logits), dtype=torch.long, device=logits.device))


def noise_contrastive(positive: Tensor, negative: Tensor, log_mean: Tensor, count: int) -> Tensor:
    """Noise-contrastive estimation against a memory bank (Wu et al. 2018, equations 5 to 7), summed over negatives.

    h = e / (e + M · Z) with e = exp(similarity / τ), M negatives and Z the mean of e over the bank; the loss is
    −log h of the positive and −log(1 − h) of each negative.

    Args:
        positive: (N,) similarities over the temperature.
        negative: (N, m) those of negatives; −∞ for one that is left out.
        log_mean: log Z.
        count: M.
    """
    shift = math.log(count) + log_mean
    softplus = nn.functional.softplus  # −log of the logistic function of −x
    return softplus(shift - positive).mean() + softplus(negative - shift).sum(1).mean()


class KeyQueue(nn.Module):
    """The latest ``size`` embeddings, first in, first out (MoCo). Buffers: they survive in checkpoints."""

    def __init__(self, size: int, dimensions: int) -> None:
        super().__init__()
        # Random directions until it is full, as published.
        self.register_buffer("rows", nn.functional.normalize(torch.randn(size, dimensions)))
        self.register_buffer("place", torch.zeros((), dtype=torch.long))  # where the oldest is

    @torch.no_grad()
    def push(self, keys: Tensor) -> None:
        """Put the last ``size`` of these keys (N, D) in the place of the oldest."""
        rows, place = self.get_buffer("rows"), self.get_buffer("place")
        keys = keys[-len(rows) :].to(rows)
        rows[(place + torch.arange(len(keys), device=rows.device)) % len(rows)] = keys
        place.add_(len(keys)).remainder_(len(rows))


class MemoryBank(nn.Module):
    """An embedding of each item, a moving average over its visits (Wu et al. 2018). Buffers, as those of a queue.

    Row k is that of item k of the training data: with other data the bank means nothing.
    """

    def __init__(self, items: int, dimensions: int) -> None:
        super().__init__()
        self.register_buffer("rows", nn.functional.normalize(torch.rand(items, dimensions) * 2 - 1))
        # Log of the mean exponential of the first batch's similarities, kept from then on; NaN before.
        self.register_buffer("log_mean", torch.tensor(math.nan))

    def negatives(self, most: int) -> Tensor | None:
        """Items drawn by torch's generator, with repetition: (most,); None, for all, of a bank that has no more."""
        rows = self.get_buffer("rows")
        return None if len(rows) - 1 <= most else torch.randint(len(rows), (most,), device=rows.device)

    def compare(
        self, embeddings: Tensor, items: Tensor, drawn: Tensor | None, temperature: float
    ) -> tuple[Tensor, Tensor]:
        """Similarities over the temperature of embeddings (N, D) to the rows of their ``items`` (N,) and to negatives.

        Returns:
            (N,) and (N, m), −∞ where a negative is the item itself.
        """
        rows = self.get_buffer("rows")
        with torch.autocast(embeddings.device.type, enabled=False):
            positive = (embeddings.float() * rows[items]).sum(1) / temperature
        chosen = torch.arange(len(rows), device=rows.device) if drawn is None else drawn
        negative = similarities(embeddings, rows if drawn is None else rows[drawn], temperature)
        return positive, negative.masked_fill(chosen == items[:, None], -math.inf)

    @torch.no_grad()
    def move(self, items: Tensor, embeddings: Tensor, momentum: float) -> None:
        """Move the rows of these items (N,) towards their embeddings (N, D): momentum · row + (1 − momentum) · new.

        Of an item that is there twice the later one counts.
        """
        rows = self.get_buffer("rows")
        moved = nn.functional.normalize(momentum * rows[items] + (1 - momentum) * embeddings.to(rows))
        # All that write to one row write the same: which writes last is not defined.
        same = items[:, None] == items
        rows[items] = moved[(same * torch.arange(len(items), device=rows.device)).amax(1)]
