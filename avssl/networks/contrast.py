"""Networks of instance discrimination: two views of a picture or a sound to two embeddings of unit length."""

from __future__ import annotations

import copy
from collections.abc import Callable, Mapping

import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

from avssl.networks.contrastive import KeyQueue, similarities
from avssl.networks.correspondence import audio_maps
from avssl.networks.encoder import ImageEncoder, WaveformEncoder
from avssl.networks.fusion import unit
from avssl.networks.gather import gather_rows
from avssl.networks.memory_bank import MemoryBank, NoiseContrast


class PairNetwork(nn.Module):
    """SimCLR: one encoder and one head for both views.

    Args:
        hidden: width of the head's hidden layer.
        dimensions: of an embedding.
        norm: whether the hidden layer has batch normalisation.
    """

    def __init__(self, vision: ImageEncoder, hidden: int, dimensions: int, norm: bool) -> None:
        super().__init__()
        self.vision = vision
        self.head = projection(vision.channels, hidden, dimensions, norm)
        # What validation watches: it takes down what modules give.
        self.first, self.second = nn.Identity(), nn.Identity()

    def embed(self, frames: Tensor) -> Tensor:
        """Pictures (N, 3, s, s) to embeddings of unit length, float32 (N, D)."""
        return embedded(self.vision, self.head, frames)

    def forward(self, first: Tensor, second: Tensor) -> tuple[Tensor, Tensor]:
        """The first and the second views (N, 3, s, s) to embeddings (N, D) of unit length."""
        # In one batch: with batch norm, statistics of their own would tell first views from second ones.
        one, other = self.embed(torch.cat([first, second])).chunk(2)
        return self.first(one), self.second(other)

    def after_step(self) -> None:
        """What is kept beside the weights, moved after a step of the optimizer."""


class MomentumNetwork(PairNetwork):
    """MoCo v2: keys by a slowly following copy of encoder and head; keys of earlier batches are the negatives.

    Args:
        queue: keys that are kept.
        momentum: of the copy.
        groups: into which a batch is divided for batch norms, the keys in another way than the queries; 1: not at all.
    """

    def __init__(
        self, vision: ImageEncoder, hidden: int, dimensions: int, *, queue: int, momentum: float, groups: int
    ) -> None:
        super().__init__(vision, hidden, dimensions, norm=False)
        self.keys = nn.ModuleDict({"vision": copy.deepcopy(vision), "head": copy.deepcopy(self.head)})
        self.keys.requires_grad_(False)
        self.queue = KeyQueue(queue, dimensions)
        self.momentum, self._groups = momentum, groups
        self._new: list[Tensor] = []  # keys of the pieces since the last step

    def forward(self, first: Tensor, second: Tensor) -> tuple[Tensor, Tensor]:
        """In training the queries of first views and the keys of second ones; else both by the trained encoder."""
        if not self.training:
            return super().forward(first, second)
        query_parts, key_parts = self.parts(len(first))
        query = in_parts(self.embed, first, query_parts)
        with torch.no_grad():
            key = in_parts(self.key, second, key_parts)
        return self.first(query), self.second(key)

    def key(self, frames: Tensor) -> Tensor:
        """As :meth:`embed`, by the following copy."""
        return embedded(self.keys["vision"], self.keys["head"], frames)

    def parts(self, count: int) -> tuple[Tensor, Tensor]:
        """Into which parts ``count`` queries and keys are divided: two (parts, count / parts) of indices."""
        groups = self._groups if any(isinstance(layer, _BatchNorm) for layer in self.modules()) else 1
        # A part of no fewer rows than there are parts, so that each part of keys has rows of all parts of queries.
        groups = max(n for n in range(1, groups + 1) if count % n == 0 and n * n <= count)
        rows = torch.arange(count)
        query, key = rows % groups, (rows // groups + rows) % groups
        return query.argsort(stable=True).view(groups, -1), key.argsort(stable=True).view(groups, -1)

    def keep(self, keys: Tensor) -> None:
        """Keys of a piece of the batch, for the queue after the step: pieces of one batch are no negatives twice."""
        self._new.append(keys.detach())

    @torch.no_grad()
    def after_step(self) -> None:
        for module, follower in ((self.vision, self.keys["vision"]), (self.head, self.keys["head"])):
            for weight, following in zip(module.parameters(), follower.parameters(), strict=True):
                following.mul_(self.momentum).add_(weight, alpha=1 - self.momentum)
        self.queue.push(gather_rows(torch.cat(self._new)))
        self._new.clear()


class BankNetwork(PairNetwork):
    """PIRL: a picture, and its tiles in any order, both like the picture's row of a memory bank.

    Args:
        tiles: of a picture.
        pictures: rows of the bank.
        momentum: of its rows.
    """

    def __init__(self, vision: ImageEncoder, dimensions: int, *, tiles: int, pictures: int, momentum: float) -> None:
        super().__init__(vision, 0, dimensions, norm=False)
        self.tile_head = nn.Linear(vision.channels, dimensions)
        self.tiles_head = nn.Linear(tiles * dimensions, dimensions)
        self.bank = MemoryBank(pictures, dimensions, momentum)
        self.noise_contrast = NoiseContrast()
        self._new: list[tuple[Tensor, Tensor]] = []

    def forward(self, first: Tensor, second: Tensor) -> tuple[Tensor, Tensor]:
        """Pictures (N, 3, s, s) and their tiles (N, n, 3, p, p) to embeddings (N, D) of unit length."""
        each = self.tile_head(pooled(self.vision(second.flatten(0, 1)))).view(*second.shape[:2], -1)
        return self.first(self.embed(first)), self.second(unit(self.tiles_head(each.flatten(1)).float()))

    def keep(self, items: Tensor, embeddings: Tensor) -> None:
        """The items of a piece and their embeddings, for the bank after the step."""
        self._new.append((items, embeddings.detach()))

    def against_bank(self, embeddings: Tensor, items: Tensor, negatives: Tensor | None, temperature: float) -> Tensor:
        """The loss of embeddings (N, D) to be like the rows of their ``items`` and unlike the ``negatives``.

        Args:
            negatives: items, the same for all embeddings; None: all.
        """
        chosen = torch.arange(len(self.bank.vectors), device=items.device) if negatives is None else negatives
        positive = similarities(embeddings[:, None], self.bank(items)[:, None], temperature)[:, 0, 0]
        against = similarities(embeddings, self.bank(chosen), temperature)
        # −∞: an item is not its own negative.
        loss: Tensor = self.noise_contrast(positive, against.masked_fill(chosen == items[:, None], -torch.inf))
        return loss

    def draw_negatives(self, most: int) -> Tensor | None:
        """Items by torch's generator, with repetition: (most,); None, for all, of a bank that has no more."""
        rows = len(self.bank.vectors)
        return None if rows - 1 <= most else torch.randint(rows, (most,), device=self.bank.vectors.device)

    def after_step(self) -> None:
        items, embeddings = (torch.cat(values) for values in zip(*self._new, strict=True))
        self.bank.update(items, embeddings)
        self._new.clear()


class SoundPairNetwork(nn.Module):
    """SimCLR of sounds: as :class:`PairNetwork`, the arguments too."""

    def __init__(self, audio: WaveformEncoder, hidden: int, dimensions: int, norm: bool) -> None:
        super().__init__()
        self.audio = audio
        self.head = projection(audio.channels, hidden, dimensions, norm)
        self.first, self.second = nn.Identity(), nn.Identity()

    def forward(self, first: Mapping[str, Tensor], second: Mapping[str, Tensor]) -> tuple[Tensor, Tensor]:
        """Views, as :func:`~avssl.networks.correspondence.audio_maps` takes them, to embeddings (N, D)."""
        both = {name: torch.cat([first[name], second[name]]) for name in first}
        one, other = unit(self.head(pooled(audio_maps(self.audio, both))).float()).chunk(2)
        return self.first(one), self.second(other)


def projection(channels: int, hidden: int, dimensions: int, norm: bool) -> nn.Sequential:
    """Fully connected, (batch norm), ReLU, fully connected; without a hidden layer a linear one."""
    if not hidden:
        return nn.Sequential(nn.Linear(channels, dimensions))
    norms = [nn.BatchNorm1d(hidden)] if norm else []
    return nn.Sequential(
        nn.Linear(channels, hidden, bias=not norm), *norms, nn.ReLU(inplace=True), nn.Linear(hidden, dimensions)
    )


def embedded(vision: nn.Module, head: nn.Module, frames: Tensor) -> Tensor:
    """Pictures to embeddings of unit length by an encoder, the mean over its map, and a head."""
    return unit(head(pooled(vision(frames))).float())


def pooled(maps: Tensor) -> Tensor:
    """The mean over places: (N, C, h, w) to (N, C)."""
    return maps.mean((2, 3))


def in_parts(embed: Callable[[Tensor], Tensor], frames: Tensor, parts: Tensor) -> Tensor:
    """Embeddings of frames part by part, rows in their own order again: a batch norm sees a part at a time."""
    if len(parts) == 1:
        return embed(frames)
    rows = torch.cat([embed(frames[part.to(frames.device)]) for part in parts])
    return rows[parts.flatten().argsort().to(rows.device)]
