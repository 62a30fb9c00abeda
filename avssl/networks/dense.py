"""Building blocks of networks that predict every pixel: the maps of an encoder's stages, combined or upsampled."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Self

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from avssl.errors import UserError
from avssl.networks.config import Norm
from avssl.networks.encoder import ImageEncoder, device_of, freeze
from avssl.networks.trunks import normalisation


def stage_channels(vision: ImageEncoder, side: int) -> dict[str, tuple[int, int]]:
    """(channels, side of the map) of each stage of an encoder that is fed pictures of ``side`` pixels.

    Raises:
        UserError: the pictures are too small for this encoder.
    """
    training = vision.training  # asked in eval mode, or a picture of zeros would move the statistics of batch norms
    try:
        with torch.no_grad():
            maps = vision.eval().stages(torch.zeros(1, 3, side, side, device=device_of(vision)))
    except RuntimeError:
        raise UserError(f"pictures of {side} px are too small for this vision encoder; raise --side") from None
    finally:
        vision.train(training)
    return {name: (m.shape[1], m.shape[2]) for name, m in maps.items() if m.ndim == 4}


def resized(x: Tensor, side: tuple[int, int]) -> Tensor:
    """A map (N, C, h, w) at another size: bilinear, antialiased by area where it shrinks."""
    if x.shape[-2:] == side:
        return x
    if x.shape[-1] > side[1] and x.shape[-1] % side[1] == 0 and x.shape[-2] % side[0] == 0:
        return F.avg_pool2d(x, (x.shape[-2] // side[0], x.shape[-1] // side[1]))
    return F.interpolate(x, side, mode="bilinear", align_corners=False)


def convolution(channels: int, out: int, norm: Norm) -> nn.Sequential:
    """3×3 convolution, normalisation, ReLU."""
    return nn.Sequential(
        nn.Conv2d(channels, out, 3, padding=1, bias=norm == "none"), normalisation(norm, out), nn.ReLU(inplace=True)
    )


class EncoderHead(nn.Module):
    """A head on an encoder, which is used as it is, not copied.

    Args:
        encoder: of pictures.
        frozen: it learns nothing and stays in eval mode.
    """

    def __init__(self, encoder: ImageEncoder, frozen: bool) -> None:
        super().__init__()
        self.encoder, self.frozen = freeze(encoder, frozen), frozen

    def train(self, mode: bool = True) -> Self:
        super().train(mode)
        if self.frozen:
            self.encoder.eval()
        return self

    def stages(self, frames: Tensor) -> Mapping[str, Tensor]:
        """The encoder's maps by stage, with gradients only where it learns."""
        with torch.set_grad_enabled(torch.is_grad_enabled() and not self.frozen):
            return self.encoder.stages(frames)


class Hypercolumn(nn.Module):
    """Maps of all stages at one size: each through a 1×1 convolution, resized, and added; normalisation, ReLU.

    Adding after a linear map is concatenating before one (Hariharan et al., Hypercolumns, 2015), for less memory.
    The mean of the deepest map is added everywhere, so that each pixel knows what the picture is of.

    Input: maps by stage, and the size (height, width) where it is not ``side`` squared. Output: (N, ``width``, h, w).
    """

    def __init__(self, channels: Mapping[str, int], width: int, side: int, norm: Norm) -> None:
        super().__init__()
        self.side = side
        self.project = nn.ModuleDict({name: nn.Conv2d(count, width, 1, bias=False) for name, count in channels.items()})
        last = list(channels)[-1]
        self.whole = nn.Linear(channels[last], width)
        self.after = nn.Sequential(normalisation(norm, width), nn.ReLU(inplace=True))

    def forward(self, maps: Mapping[str, Tensor], size: tuple[int, int] | None = None) -> Tensor:
        size = size or (self.side, self.side)
        out: Tensor | int = 0
        for name, project in self.project.items():
            # The cheaper order: a map that grows is projected while it is small.
            grows = maps[name].shape[-1] < size[1]
            out = out + (resized(project(maps[name]), size) if grows else project(resized(maps[name], size)))
        whole = self.whole(maps[name].mean((2, 3)))
        done: Tensor = self.after(out + whole[:, :, None, None])
        return done


# Mean and standard deviation of each channel, (C,) each.
Scale = tuple[Tensor, Tensor]


# Measured once and then fixed: a batch norm would standardise by the pictures that happen to be learned from together,
# a group norm each picture by itself. Both hide how bright or strong a picture is, which dense predictions depend on.
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
