"""Copying by attention: each place of a frame takes what it lacks from places of other frames that look alike.

The attention of Vondrick et al. 2018 ("Tracking Emerges by Colorizing Videos"): what is copied are colours there.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from avssl.networks.config import Norm
from avssl.networks.dense import Hypercolumn, stage_channels
from avssl.networks.encoder import ImageEncoder
from avssl.networks.photometry import luma


class EmbeddingEncoder(ImageEncoder):
    """An encoder with one stage more, "embedding": a vector for each ``stride`` × ``stride`` pixels of the grey frame.

    Args:
        vision: fed the luma on all three channels, so that tasks on coloured pictures can share it.
        side: of the pictures that it is trained on, in pixels.
        stride: pixels of a picture to one of the embedding's map.
        width: channels in which the encoder's stages are combined.
        dimensions: of the embedding.

    Input: frames (N, 3, H, W), uint8 0..255 or float 0..1. Output: (N, ``dimensions``, H // stride, W // stride).
    """

    def __init__(
        self, vision: ImageEncoder, *, side: int, stride: int, width: int, dimensions: int, norm: Norm
    ) -> None:
        super().__init__()
        self.vision, self.side, self.channels, self.multiple = vision, side, dimensions, stride
        self._config = {"stride": stride, "width": width, "dimensions": dimensions, "norm": norm}
        channels = {name: count for name, (count, _) in stage_channels(vision, side).items()}
        self.gather = Hypercolumn(channels, width, side // stride, norm)
        self.head = nn.Conv2d(width, dimensions, 1)

    def stages(self, frames: Tensor) -> dict[str, Tensor]:
        maps = dict(self.vision.stages(luma(frames).expand(-1, 3, -1, -1)))
        height, width = frames.shape[-2:]
        size = height // self.multiple, width // self.multiple
        return maps | {"embedding": self.head(self.gather(maps, size))}

    def forward(self, frames: Tensor) -> Tensor:
        return self.stages(frames)["embedding"]

    def describe(self) -> dict[str, Any]:
        """As :meth:`ImageEncoder.describe`; the encoder below must be one of the toolkit's own."""
        return {"type": "embedding", "config": {"vision": self.vision.describe()["config"], **self._config}}


def attention(
    target: Tensor, references: Tensor, *, unit: bool, temperature: float, window: int | None = None
) -> Tensor:
    """How much each place of the target takes from each place of the references; sums to 1 over these.

    Args:
        target: embeddings (N, D, h, w).
        references: embeddings (N, R, D, h, w).
        unit: whether embeddings are scaled to length 1 first.
        temperature: that products are divided by.
        window: the farthest place in y and in x, in places of the map; None: all places.

    Returns:
        float32 (N, h·w, R·h·w).
    """
    height, width = target.shape[-2:]
    mine, theirs = target.flatten(2).float(), references.flatten(3).transpose(1, 2).flatten(2).float()
    if unit:
        mine, theirs = F.normalize(mine, dim=1), F.normalize(theirs, dim=1)
    products = mine.transpose(1, 2) @ theirs / temperature
    if window is not None:
        near = within(height, width, window, products.device).repeat(1, references.shape[1])
        products = products.masked_fill(~near, -torch.inf)
    return torch.softmax(products, dim=-1)


def within(height: int, width: int, window: int, device: torch.device | str = "cpu") -> Tensor:
    """Which places of a map lie within ``window`` places of each other, in y and in x: bool (h·w, h·w)."""
    rows = torch.arange(height, device=device).repeat_interleave(width)
    columns = torch.arange(width, device=device).repeat(height)
    return ((rows[:, None] - rows).abs() <= window) & ((columns[:, None] - columns).abs() <= window)
