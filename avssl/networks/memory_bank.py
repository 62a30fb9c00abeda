"""A memory bank: for each item of the training data the vector that a network gave it, and the loss against others.

Instance discrimination by noise-contrastive estimation (Wu et al. 2018) as AVID (Morgado et al. 2021) and PIRL
(Misra & van der Maaten 2020) use it. Which items are negatives is drawn with the puzzle:
:func:`avssl.samplers.negatives.draw_other_items`.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

from avssl.networks.config import EMBEDDING
from avssl.networks.gather import gather_rows, mean_over_processes


class MemoryBank(nn.Module):
    """One unit vector for each item, random at first, then a moving average of what the network makes of the item.

    A buffer: it is in checkpoints, and a continued training goes on with it to the bit. Its index is that of the item
    in the training data; with other data it means nothing.

    Args:
        items: how many items the training data have.
        momentum: share of the old vector in the new one (AVID and PIRL: 0.5).
    """

    vectors: Tensor

    def __init__(self, items: int, dimensions: int = EMBEDDING, momentum: float = 0.5) -> None:
        super().__init__()
        self.momentum = momentum
        self.register_buffer("vectors", nn.functional.normalize(torch.randn(items, dimensions), dim=1))

    def forward(self, items: Tensor) -> Tensor:
        """A copy of the vectors of items (…,): (…, dimensions), without gradient."""
        return self.vectors[items]

    @torch.no_grad()
    def update(self, items: Tensor, vectors: Tensor) -> None:
        """Move the vectors of ``items`` (N,) towards ``vectors`` (N, dimensions), of all processes alike.

        Call it after the loss, in training only. An item that occurs more than once moves towards the mean.
        """
        items, vectors = gather_rows(items), gather_rows(vectors.detach().float())
        same = (items[:, None] == items[None]).float()
        mean = same @ vectors / same.sum(1, keepdim=True)
        moved = self.momentum * self.vectors[items] + (1 - self.momentum) * mean
        self.vectors.index_copy_(0, items, nn.functional.normalize(moved, dim=1))


class NoiseContrast(nn.Module):
    """The loss of noise-contrastive estimation: is this the item's own vector, or one drawn as noise?

    With similarity s (already divided by the temperature), K negatives and Z the mean of exp(s) over negatives, the
    probability of "own" is exp(s) / (exp(s) + K·Z). Z is estimated on the first batch and then kept, as in the code of
    AVID (criterions/nce.py): a constant that moved with the network would take back what the network learns.
    """

    log_mean: Tensor

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("log_mean", torch.tensor(math.nan))

    def forward(self, positive: Tensor, negative: Tensor) -> Tensor:
        """Similarities (N,) or (N, P) to an item's own vectors and (N, K) to others: the mean loss of an item.

        In training the first call sets the constant. In eval mode before that, this batch's own is taken.
        """
        positive, negative = positive.float(), negative.float()
        count = negative.shape[1]
        with torch.no_grad():
            # By where, not by if: asking for the value would wait for a GPU at every step.
            here = mean_over_processes(negative.exp().mean(), self.training).log()
            log_mean = torch.where(self.log_mean.isnan(), here, self.log_mean)
            if self.training:
                self.log_mean = log_mean
        threshold = log_mean + math.log(count)
        own = nn.functional.softplus(threshold - positive).reshape(len(positive), -1).mean(1)
        others = nn.functional.softplus(negative - threshold).sum(1)
        return (own + others).mean()
