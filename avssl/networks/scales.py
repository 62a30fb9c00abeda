"""The scale of an encoder's maps, measured once and then fixed.

A batch norm would standardise by the pictures that happen to be learned from together, a group norm each picture by
itself: both hide how bright or how strong a picture as a whole is, which dense predictions depend on.
"""

from __future__ import annotations

from collections.abc import Iterable

import torch
from torch import Tensor, nn

from avssl.networks.encoder import ImageEncoder

# Mean and standard deviation of each channel, (C,) each.
Scale = tuple[Tensor, Tensor]


@torch.no_grad()
def stage_scales(encoder: ImageEncoder, pictures: Iterable[Tensor]) -> dict[str, Scale]:
    """The scale of each stage over pictures and places, in order of depth.

    Args:
        encoder: put into eval mode.
        pictures: each (N, 3, H, W), uint8 or float 0..1; at least one.
    """
    encoder.eval()
    sums: dict[str, Tensor] = {}
    for frames in pictures:
        for name, maps in encoder.stages(frames).items():
            # In float64, since variances come from sums of squares over millions of cells.
            flat = maps.double().movedim(1, 0).flatten(1)
            count = torch.full_like(flat[:, 0], flat.shape[1])
            part = torch.stack([count, flat.sum(1), flat.square().sum(1)])
            sums[name] = sums[name] + part if name in sums else part
    found: dict[str, Scale] = {}
    for name, (count, total, squares) in sums.items():
        mean = total / count
        std = (squares / count - mean**2).clamp(min=0).sqrt()
        std = torch.where(std > 1e-6 * std.max(), std, 1.0)  # a dead channel stays as it is
        found[name] = mean.float().cpu(), std.float().cpu()
    return found


class Standardise(nn.Module):
    """Maps (N, C, h, w) to mean 0 and standard deviation 1 a channel, by a scale that stays as it is."""

    def __init__(self, scale: Scale) -> None:
        super().__init__()
        mean, std = scale
        self.register_buffer("mean", mean.view(-1, 1, 1).clone())
        self.register_buffer("std", std.view(-1, 1, 1).clone())

    def forward(self, maps: Tensor) -> Tensor:
        return (maps - self.get_buffer("mean")) / self.get_buffer("std")
