"""Networks of classification puzzles: one picture, or several patches through one encoder."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from avssl.networks.encoder import ImageEncoder


class PictureNetwork(nn.Module):
    """One picture to classes: the encoder, its map pooled, and a classifier.

    Args:
        vision: encoder of pictures.
        classes: of the answer.
        hidden: widths of fully connected layers between, each with batch normalisation as RotNet's AlexNet has.
        pool: the map is averaged to ``pool`` × ``pool`` before; 1 is the global average.
    """

    def __init__(self, vision: ImageEncoder, classes: int, hidden: tuple[int, ...] = (), pool: int = 1) -> None:
        super().__init__()
        self.vision = vision
        self.pool = nn.AdaptiveAvgPool2d(pool)
        width = vision.channels * pool**2
        self.head = nn.Sequential()
        for out in hidden:
            self.head.extend([nn.Linear(width, out, bias=False), nn.BatchNorm1d(out), nn.ReLU(inplace=True)])
            width = out
        self.head.append(nn.Linear(width, classes))

    def forward(self, frames: Tensor) -> Tensor:
        """(N, 3, s, s) to logits (N, classes)."""
        logits: Tensor = self.head(self.pool(self.vision(frames)).flatten(1))
        return logits


class PatchNetwork(nn.Module):
    """Several patches to classes: one encoder for all, their features in order, and a classifier.

    Args:
        vision: encoder of patches; its weights are shared by all of them.
        patches: of a puzzle; what stands first is what the answer is seen from.
        classes: of the answer.
        pool: a patch's map is averaged to ``pool`` × ``pool``, so that what lies where in it is not lost.
        features: dimensions of a patch's features.
        hidden: widths of fully connected layers over all patches together.
        dropout: share of the features and of the hidden units dropped in training.
        affine: whether batch normalisation of the fully connected layers scales and shifts; without it, no
            layer can be silenced, which is how relative position stopped learning in its authors' hands.
    """

    def __init__(
        self,
        vision: ImageEncoder,
        patches: int,
        classes: int,
        *,
        pool: int,
        features: int,
        hidden: tuple[int, ...],
        dropout: float = 0.0,
        affine: bool = True,
    ) -> None:
        super().__init__()
        self.vision = vision
        self.pool = nn.AdaptiveAvgPool2d(pool)
        self.patch = _dense(vision.channels * pool**2, features, dropout, affine)
        self.head = nn.Sequential()
        width = patches * features
        for out in hidden:
            self.head.append(_dense(width, out, dropout, affine))
            width = out
        self.head.append(nn.Linear(width, classes))

    def forward(self, patches: Tensor, chosen: Tensor) -> Tensor:
        """Each patch is encoded once, however many puzzles it is part of.

        Args:
            patches: (T, 3, p, p) of all puzzles.
            chosen: (N, patches) indices of the patches that make up each puzzle, in their order.

        Returns:
            logits (N, classes).
        """
        # Their colours are changed in torch's usual memory format; convolutions are faster in this one.
        maps = self.vision(patches.contiguous(memory_format=torch.channels_last))
        features = self.patch(self.pool(maps).flatten(1))
        # In their order: what stands first is what the answer is seen from (Doersch et al. 2015: the anchor).
        logits: Tensor = self.head(features[chosen].flatten(1))
        return logits


def _dense(width: int, out: int, dropout: float, affine: bool) -> nn.Sequential:
    layers: list[nn.Module] = [
        nn.Linear(width, out, bias=False),
        nn.BatchNorm1d(out, affine=affine),
        nn.ReLU(inplace=True),
    ]
    return nn.Sequential(*layers, nn.Dropout(dropout)) if dropout else nn.Sequential(*layers)
