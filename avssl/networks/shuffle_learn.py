"""The network of Shuffle & Learn: one encoder on each of three frames, their features concatenated, two classes."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn

from avssl.networks.config import Norm
from avssl.networks.encoder import ImageEncoder
from avssl.networks.photometry import jitter_colours

Batch = Mapping[str, Any]


class TripletNetwork(nn.Module):
    """Three frames to two logits.

    Args:
        vision: shared by the three frames.
        grid: cells of the map's side that survive pooling; places are what the answer is about, so that pooling over
            the whole map would lose it.
        features: dimensions of a frame's features.
        layers: fully connected layers to them, as wide; published: 2 (fc6 and fc7).
        hidden: units between the concatenated features and the two classes. 0 is published, and can only add up what
            each frame shows alone: with the outer frames fixed it never compares the middle one with them.
        differences: beside the three frames' features stand the absolute differences of each two of them. The answer is
            about distances (of three places on a way the outer ones are farthest apart), and a few hundred steps do not
            teach a network to subtract.
        dropout: in the fully connected layers; published: 0.5.
        norm: of the fully connected layers: "batch", "group" (layer norm) or "none".

    Input: batch["frames"], (N, 3, 3, H, W) uint8 or float 0..1: triplets of RGB pictures. In training also
    batch["brightness"] and batch["saturation"], (N, 3).
    """

    def __init__(
        self,
        vision: ImageEncoder,
        *,
        grid: int,
        features: int,
        layers: int,
        hidden: int,
        differences: bool,
        dropout: float,
        norm: Norm,
    ) -> None:
        super().__init__()
        self.vision = vision
        self.pool = nn.AdaptiveAvgPool2d(grid)
        width = vision.channels * grid * grid
        stack: list[nn.Module] = []
        for _ in range(layers):
            stack += [nn.Linear(width, features, bias=norm != "batch"), *_after(features, norm, dropout)]
            width = features
        self.each = nn.Sequential(*stack)
        self.differences = differences
        width *= 6 if differences else 3  # three frames, and beside them the three differences of two of them
        final: list[nn.Module] = []
        if hidden:
            final += [nn.Linear(width, hidden), nn.ReLU(inplace=True)]
        self.together = nn.Sequential(*final, nn.Linear(hidden or width, 2))

    def forward(self, batch: Batch) -> Tensor:
        """Logits of "wrong order" and "right order": (N, 2)."""
        frames: Tensor = batch["frames"]
        n = len(frames)
        flat = frames.flatten(0, 1)
        flat = flat if flat.is_floating_point() else flat.float() / 255
        if self.training:
            flat = jitter_colours(flat, batch["brightness"].flatten(), batch["saturation"].flatten())
        maps = self.vision(flat)  # (3 N, C, h, w)
        features = self.each(self.pool(maps).flatten(1)).view(n, 3, -1)
        if self.differences:
            # Absolute: which of two frames comes first is no part of the question.
            features = torch.cat([features, (features - features.roll(1, dims=1)).abs()], dim=1)
        logits: Tensor = self.together(features.flatten(1))
        return logits.float()


def blurred(frames: Tensor, sigma: float) -> Tensor:
    """Triplets (N, 3, 3, H, W) uint8 under a Gaussian of ``sigma`` pixels: float 0..1; uint8 as they are for 0.

    It hides what a codec leaves on a frame, such as the sharpness of key frames.
    """
    if not sigma:
        return frames
    radius = max(int(3 * sigma + 0.5), 1)
    at = torch.arange(-radius, radius + 1, device=frames.device, dtype=torch.float32)
    kernel = torch.exp(-(at**2) / (2 * sigma * sigma))
    kernel = kernel / kernel.sum()
    flat = frames.flatten(0, 2).unsqueeze(1).float() / 255
    flat = nn.functional.pad(flat, (radius,) * 4, mode="reflect")
    flat = nn.functional.conv2d(nn.functional.conv2d(flat, kernel.view(1, 1, 1, -1)), kernel.view(1, 1, -1, 1))
    return flat.view(*frames.shape)


def _after(features: int, norm: Norm, dropout: float) -> list[nn.Module]:
    layers: list[nn.Module] = []
    if norm == "batch":
        layers.append(nn.BatchNorm1d(features))
    elif norm == "group":
        layers.append(nn.LayerNorm(features))
    layers.append(nn.ReLU(inplace=True))
    if dropout:
        layers.append(nn.Dropout(dropout))
    return layers
