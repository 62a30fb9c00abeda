"""Finding the second of a pair among those of other pairs: which puzzles stand beside each other, and the scores."""

from __future__ import annotations

import torch
from torch import Tensor

from avssl.samplers.keys import Key
from avssl.tasks.base import Answers

# Pictures among which each is asked for, of collections that have as many.
CANDIDATES = 64


def in_blocks(keys: list[Key], items: int, count: int) -> list[Key]:
    """Keys in blocks of ``count`` with different pictures: whole ones, none across the end of a round of all items."""
    blocks = items // count
    firsts = [items * (block // blocks) + count * (block % blocks) for block in range(len(keys) // count)]
    return [Key(keys[0].seed, keys[0].epoch, first + k) for first in firsts for k in range(count)]


def match(pairs: Tensor, count: int, *, nearest: bool = False) -> Answers:
    """Of pairs (M, 2, D) in blocks of ``count`` the similarity of each first to each second of its block.

    Args:
        nearest: by least distance instead of the scalar product.
    """
    blocks = pairs.unflatten(0, (-1, count)).float()
    first, second = blocks[:, :, 0], blocks[:, :, 1]
    scores = -torch.cdist(first, second) if nearest else first @ second.mT
    return Answers(scores.flatten(0, 1), torch.arange(count).repeat(len(blocks)))
