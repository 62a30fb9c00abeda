"""From a picture with a hole to its content: an encoder, and a decoder that upsamples through its stages."""

from __future__ import annotations

from itertools import pairwise

import torch
from torch import Tensor, nn

from avssl.networks.config import Bottleneck, Norm
from avssl.networks.dense import convolution, resized, stage_channels
from avssl.networks.encoder import ImageEncoder


class ChannelwiseConnection(nn.Module):
    """A fully connected layer of each channel for itself, then a 1×1 convolution (Pathak et al. 2016, section 3.1).

    It carries the context into the hole: m n⁴ weights for m channels of n × n, not m² n⁴. Added to its input.
    """

    def __init__(self, channels: int, side: int) -> None:
        super().__init__()
        places = side * side
        # Of this spread, a sum over all places has the spread of one of them.
        self.weight = nn.Parameter(torch.randn(channels, places, places) * places**-0.5)
        self.mix = nn.Conv2d(channels, channels, 1)

    def forward(self, x: Tensor) -> Tensor:
        n, c, h, w = x.shape
        spread = torch.bmm(x.flatten(2).transpose(0, 1), self.weight).transpose(0, 1)
        out: Tensor = x + self.mix(spread.reshape(n, c, h, w))
        return out


class DenseConnection(nn.Module):
    """All places and channels through a narrow layer and back, added to the input."""

    def __init__(self, channels: int, side: int, width: int) -> None:
        super().__init__()
        size = channels * side * side
        self.layers = nn.Sequential(nn.Flatten(), nn.Linear(size, width), nn.ReLU(inplace=True), nn.Linear(width, size))

    def forward(self, x: Tensor) -> Tensor:
        out: Tensor = x + self.layers(x).view_as(x)
        return out


class Decoder(nn.Module):
    """From the deepest map up to the picture, each finer stage of the encoder joining on the way if asked.

    Input: maps by stage and what is fed (N, 4, side, side): the filled picture and the hole. Output:
    (N, 3, side, side).
    """

    def __init__(
        self,
        stages: dict[str, tuple[int, int]],
        side: int,
        widths: int,
        norm: Norm,
        skips: bool,
        bottleneck: Bottleneck,
        refine: int,
    ) -> None:
        super().__init__()
        names = list(stages)
        channels, deepest = stages[names[-1]]
        self.bottleneck: nn.Module = nn.Identity()
        if bottleneck == "channel-wise":
            self.bottleneck = ChannelwiseConnection(channels, deepest)
        elif bottleneck == "dense":
            self.bottleneck = DenseConnection(channels, deepest, 4 * widths)
        # Of stages of one size the deepest joins: the others know less of the same places.
        sizes = {size: name for name, (_, size) in stages.items() if size > deepest}
        self.sizes = sorted(sizes)
        self.names = [sizes[size] if skips else "" for size in self.sizes]
        self.steps = nn.ModuleList()
        for _size, name in zip(self.sizes, self.names, strict=True):
            out = max(widths, min(channels // 2, 4 * widths))
            self.steps.append(convolution(channels + (stages[name][0] if name else 0) + 1, out, norm))
            channels = out
        self.side = side
        # What is missing is smooth, so the last convolution works at the finest map's size and predicts several pixels.
        finest = max([deepest, *self.sizes])
        self.factor = side // finest if side % finest == 0 else 1
        self.joins = skips
        self.last = nn.Conv2d(channels + (4 if skips else 1), 3 * self.factor**2, 3, padding=1)
        _scale_start(self.last, 0.1)  # the first prediction is close to what it is added to
        self.refine = _Refinement(widths, refine, norm) if refine else None

    def forward(self, maps: dict[str, Tensor], fed: Tensor) -> Tensor:
        x = self.bottleneck(list(maps.values())[-1])
        hole = fed[:, 3:]
        for size, name, step in zip(self.sizes, self.names, self.steps, strict=True):
            parts = [resized(x, (size, size)), resized(hole, (size, size))]
            x = step(torch.cat([*parts, maps[name]] if name else parts, dim=1))
        joining = fed if self.joins else hole
        fine = self.last(torch.cat([x, resized(joining, (x.shape[-2], x.shape[-1]))], dim=1))
        predicted = resized(nn.functional.pixel_shuffle(fine, self.factor), (self.side, self.side))
        return predicted if self.refine is None else self.refine(predicted, fed)


@torch.no_grad()
def _scale_start(layer: nn.Conv2d, share: float) -> None:
    """Scale the output that a fresh layer begins with."""
    layer.weight.mul_(share)
    if layer.bias is not None:
        layer.bias.zero_()


class _Refinement(nn.Module):
    """Corrects the prediction pixel by pixel, with the input beside it: (N, 3, side, side) to the same."""

    def __init__(self, width: int, depth: int, norm: Norm) -> None:
        super().__init__()
        channels = [3 + 4, *[width] * depth]
        self.layers = nn.Sequential(*(convolution(a, b, norm) for a, b in pairwise(channels)))
        self.last = nn.Conv2d(width, 3, 3, padding=1)
        _scale_start(self.last, 0.01)  # at first hardly anything is corrected

    def forward(self, predicted: Tensor, fed: Tensor) -> Tensor:
        out: Tensor = predicted + self.last(self.layers(torch.cat([predicted, fed], dim=1)))
        return out


class InpaintingNetwork(nn.Module):
    """A picture with its hole filled by rule, to what was in the hole.

    With ``residual`` the prediction is the fill plus the decoder's output, which suits a fill that meets the rim; else
    the output alone, so that it may go on from the context across the rim. Only the hole and a rim of it count.

    Input: filled (N, 3, side, side) uint8 or 0..1, hole (N, 1, side, side) 0 or 1. Output: (N, 3, side, side), on the
    scale 0..1 but not cut off there.
    """

    def __init__(
        self,
        vision: ImageEncoder,
        *,
        side: int,
        widths: int,
        norm: Norm,
        skips: bool,
        bottleneck: Bottleneck,
        residual: bool,
        refine: int = 0,
        discriminator_side: int = 0,
    ) -> None:
        super().__init__()
        self.vision = vision
        self.residual = residual
        stages = stage_channels(vision, side)
        self.decoder = Decoder(stages, side, widths, norm, skips, bottleneck, refine)
        self.discriminator = Discriminator(discriminator_side, widths) if discriminator_side else None

    def forward(self, filled: Tensor, hole: Tensor) -> Tensor:
        if not filled.is_floating_point():
            filled = filled.float() / 255
        maps = {name: m for name, m in self.vision.stages(filled).items() if m.ndim == 4}
        fed = torch.cat([filled - 0.5, hole.to(filled)], dim=1)
        out: Tensor = self.decoder(maps, fed).float() + (filled if self.residual else 0.5)
        return out


class Discriminator(nn.Module):
    """Whether a patch is real: (N, 3, side, side) on 0..1 to logits (N,).

    4×4 convolutions of stride 2 down to 4 pixels (Pathak et al. 2016). It sees the patch and not what lies around
    it: with the context it would go by the seam. Group normalisation, as real and painted patches come apart.
    """

    def __init__(self, side: int, width: int) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        channels, out = 3, width
        while side > 4:
            layers += [nn.Conv2d(channels, out, 4, 2, 1), nn.GroupNorm(1, out), nn.LeakyReLU(0.2)]
            channels, out, side = out, min(2 * out, 8 * width), side // 2
        self.layers = nn.Sequential(*layers, nn.Flatten(), nn.Linear(channels * side * side, 1))

    def forward(self, patches: Tensor) -> Tensor:
        logits: Tensor = self.layers(patches - 0.5)
        return logits[:, 0]

    def as_it_stands(self, patches: Tensor) -> Tensor:
        """The same logits, whose gradient reaches the patches and not the weights."""
        weights = {name: weight.detach() for name, weight in self.named_parameters()}
        logits: Tensor = torch.func.functional_call(self, weights, (patches,))
        return logits
