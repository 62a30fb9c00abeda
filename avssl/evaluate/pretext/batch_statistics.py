"""Whether batch norm alone tells which batch a view comes from: the leak that MoCo shuffles its batches against.

The keys of a queue were normalised in other batches than a query, its own key in the same one: a network could find it
by the statistics of the batch, whatever is seen (He et al. 2020, section 3.3, "Shuffling BN").
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn.functional import normalize

from avssl.evaluate.core.statistics import accuracy_interval
from avssl.evaluate.pretext.controls import untrained
from avssl.evaluate.pretext.shortcuts import Probed
from avssl.media.facts import Media
from avssl.networks.contrast import MomentumNetwork
from avssl.samplers.keys import Key
from avssl.tasks.instance_contrast.task import InstanceContrast

_EPOCH = -4  # puzzles of its own


@torch.no_grad()
def batch_leak(
    task: InstanceContrast, media: Media, *, batch_size: int = 64, batches: int = 64, seed: int = 0
) -> Probed:
    """How often a plain grey picture, put among the queries, is found among the same put to the keys of each batch.

    It looks the same everywhere, so that what its embeddings differ by is the statistics of the batch alone. The
    network is one of random weights in training mode; chance is 1 / ``batches``.

    Args:
        task: of the method "moco".
    """
    network = untrained(task, seed).train()
    assert isinstance(network, MomentumNetwork)
    parts = network.parts(batch_size)
    found: list[tuple[Tensor, Tensor]] = []
    for number in range(batches):
        keys = [Key(seed, _EPOCH, number * batch_size + k) for k in range(batch_size)]
        views = task.views(task.collate([task.draw(media, key) for key in keys]))
        plain = torch.full_like(views[0][:1], 0.5)
        embeds = (network.embed, network.key)
        query, key = (
            torch.cat([embed(torch.cat([view[part], plain]))[-1:] for part in each])
            for embed, view, each in zip(embeds, views, parts, strict=True)
        )
        found.append((query, key))
    # Of each row the parts that its query and its key are in; equal pairs once.
    place = [torch.empty(batch_size, dtype=torch.long).index_copy_(0, p.flatten(), _numbers(p)) for p in parts]
    pairs = torch.unique(torch.stack(place, 1), dim=0)
    query, key = (_centred(torch.stack(each)) for each in zip(*found, strict=True))
    scores = torch.einsum("apd,bpd->apb", query[:, pairs[:, 0]], key[:, pairs[:, 1]])
    right = (scores.argmax(2) == torch.arange(batches)[:, None]).float()
    clusters = [(f"batch {number}",) for number in range(batches) for _ in pairs]
    low, high = accuracy_interval(right.flatten().tolist(), clusters)
    return Probed(float(right.mean()), low, high, right.numel(), 1 / batches)


def _numbers(parts: Tensor) -> Tensor:
    """The number of its part, for each index in ``parts`` (n, rows)."""
    return torch.arange(len(parts)).repeat_interleave(parts.shape[1])


def _centred(embeddings: Tensor) -> Tensor:
    """Embeddings (batches, parts, D) less their mean over the batches, of unit length; those without difference 0."""
    apart = embeddings - embeddings.mean(0)
    # What differs by rounding alone does not differ.
    return normalize(torch.where(apart.abs().amax() > 1e-5, apart, torch.zeros_like(apart)), dim=-1)
