"""Keypoints from the maps of an encoder: a heatmap for each joint, and its centre of mass."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor, nn

from avssl.networks.dense import EncoderHead, Hypercolumn, convolution
from avssl.networks.encoder import ImageEncoder


class PoseNetwork(EncoderHead):
    """An encoder and a small head: stages standardised, gathered at one size, two convolutions, a heatmap a joint.

    The place of a joint is the mean of the heatmap's cells, weighted by its softmax (integral regression, Sun et al.
    2018), so that it is finer than a cell, and near the middle of where a joint may be if nothing is known.

    Input: frames (N, 3, side, side), uint8 0..255 or float 0..1. Output: logits (N, joints, cells, cells).

    Args:
        encoder, frozen: see :class:`EncoderHead`.
        channels: of each stage that is used, in order of depth.
        joints: how many.
        cells: rows and columns of a heatmap.
        width: channels of the head.
    """

    def __init__(
        self, encoder: ImageEncoder, channels: Mapping[str, int], joints: int, cells: int, width: int, frozen: bool
    ) -> None:
        super().__init__(encoder, frozen)
        self.cells = cells
        # Stages differ in scale by orders of magnitude; the 1×1 convolution behind each has the weights.
        self.norms = nn.ModuleDict({name: nn.BatchNorm2d(count, affine=False) for name, count in channels.items()})
        self.gather = Hypercolumn(channels, width, cells, "batch")
        self.head = nn.Sequential(convolution(width, width, "batch"), nn.Conv2d(width, joints, 1))

    def forward(self, frames: Tensor) -> Tensor:
        maps = self.stages(frames)
        logits: Tensor = self.head(self.gather({name: norm(maps[name]) for name, norm in self.norms.items()}))
        return logits

    def points(self, logits: Tensor) -> Tensor:
        """Where each joint is, x and y as shares 0..1 of the picture: (N, joints, 2)."""
        shares = logits.flatten(2).softmax(2).view_as(logits)
        centres = cell_centres(self.cells, logits.device)
        return torch.stack([shares.sum(2) @ centres, shares.sum(3) @ centres], dim=-1)


def pose_loss(network: PoseNetwork, logits: Tensor, truth: Tensor) -> Tensor:
    """Cross-entropy of the heatmaps with Gaussians a cell wide about the joints, and the distance of the points.

    Args:
        logits: (N, joints, cells, cells).
        truth: (N, joints, 2), shares 0..1 of the picture; NaN where a joint is unknown, which then does not count, as
            one outside the picture does not.
    """
    inside = ((truth >= 0) & (truth <= 1)).all(-1)
    if not inside.any():
        return logits.sum() * 0
    centres = cell_centres(network.cells, logits.device)
    places = truth[inside]  # (joints there, 2)
    gaussians = torch.exp(-((centres - places[..., None]) ** 2) * network.cells**2 / 2)
    target = gaussians[:, 1, :, None] * gaussians[:, 0, None, :]
    target = target / target.sum((1, 2), keepdim=True)
    entropy = -(target.flatten(1) * logits[inside].flatten(1).log_softmax(1)).sum(1).mean()
    distance = torch.linalg.vector_norm(network.points(logits)[inside] - places, dim=-1).mean()
    loss: Tensor = entropy + POINT_WEIGHT * distance
    return loss


# Weight of the distance, which is in sides of the picture: a tenth of a side counts as one nat of the heatmap.
POINT_WEIGHT = 10.0


def cell_centres(cells: int, device: torch.device) -> Tensor:
    """Centres of the cells along an axis, as shares 0..1: (cells,)."""
    return (torch.arange(cells, device=device) + 0.5) / cells
