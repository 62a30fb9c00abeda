"""Where the cells of an encoder's maps lie in the picture: measured, so it holds for any architecture."""

from __future__ import annotations

import copy
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from avssl.networks.encoder import ImageEncoder, device_of
from avssl.networks.foreign import ForeignTrunk
from avssl.networks.vision import VisionEncoder

# Size of the picture to measure on: long enough that its middle sees no border, wide enough for AlexNet.
LENGTH, WIDTH = 1024, 64

# Least side of the picture to measure a convolutional network of another library on.
LONG_SIDE = 384


@dataclass(frozen=True)
class Geometry:
    """Where the cells of one stage's map lie in the picture."""

    channels: int  # of its map
    stride: int  # pixels from one cell to the next
    # Index of the pixel in whose middle the receptive field of the first cell is centred (7 for four poolings by 2
    # without padding, 0 for a ResNet).
    offset: float
    lost: int  # cells that the map is shorter than the picture's length divided by the stride


def geometries(encoder: ImageEncoder) -> dict[str, Geometry]:
    """The geometry of each stage, in order of depth: exact for this toolkit's own trunks and for those whose cells are
    patches laid side by side, measured for others.
    """
    if not isinstance(encoder, VisionEncoder):
        return _measured(encoder, encoder.side)
    if not isinstance(encoder.trunk, ForeignTrunk):
        return _exact(encoder)
    patches = encoder.trunk.patches
    if not patches:
        return _measured(encoder, max(encoder.side, LONG_SIDE))
    with torch.no_grad():
        maps = encoder.stages(torch.zeros(1, 3, encoder.side, encoder.side, device=device_of(encoder)))
    return {name: Geometry(one.shape[1], patches[name], (patches[name] - 1) / 2, 0) for name, one in maps.items()}


def _exact(encoder: VisionEncoder) -> dict[str, Geometry]:
    """By a network of means.

    In a copy every convolution and pooling becomes a plain mean over its window and every normalisation nothing. Such
    a network gives, of a picture whose values are the numbers of its rows, at each cell the centre of its receptive
    field (times the sum of its weights, which a picture of ones tells).
    """
    rows = torch.arange(LENGTH, dtype=torch.float64).view(1, 1, LENGTH, 1).expand(1, 1, LENGTH, WIDTH)
    with torch.no_grad():
        maps = _averaging(encoder.trunk).stages(torch.cat([rows, torch.ones_like(rows)]))
    channels = _channels(encoder)
    found: dict[str, Geometry] = {}
    for name, both in maps.items():
        centres = (both[0, 0, :, both.shape[3] // 2] / both[1, 0, :, both.shape[3] // 2]).tolist()
        middle = len(centres) // 2
        stride = round(centres[middle + 1] - centres[middle])
        offset = round(2 * (centres[middle] - stride * middle)) / 2  # centres lie on a pixel or between two
        found[name] = Geometry(channels[name], stride, offset, LENGTH // stride - len(centres))
    return found


def _measured(encoder: ImageEncoder, side: int) -> dict[str, Geometry]:
    """By the pixels that the cells in the middle of a picture of this side depend on: good to a pixel or two.

    The centre of a cell is the mean row of the gradient's absolute values. Of an even number of cells the two in the
    middle are taken together, so that attention, which looks everywhere, does not pull the centre to the middle.
    """
    training = encoder.training
    # Noise, of a seed: of a plain picture ReLUs and poolings may pass no gradient at all.
    noise = torch.rand(2, 3, side, side, generator=torch.Generator().manual_seed(0)).to(device_of(encoder))
    frames = noise.requires_grad_()
    rows = torch.arange(side, dtype=torch.float64)
    found: dict[str, Geometry] = {}

    def centre(maps: Tensor, cell: int) -> float:
        wide = maps.shape[3]
        part = maps[:, :, cell, (wide - 1) // 2 : wide // 2 + 1].abs().sum()
        (gradient,) = torch.autograd.grad(part, frames, retain_graph=True)
        weight = gradient.abs().sum((0, 1, 3)).double().cpu()
        return float((weight * rows).sum() / weight.sum())

    with torch.enable_grad():
        stages = encoder.eval().stages(frames)
        for name, maps in stages.items():
            cells = maps.shape[2]
            if cells < 2 or not maps.requires_grad:
                found[name] = Geometry(maps.shape[1], side // cells, (side // cells - 1) / 2, 0)
                continue
            low, high = (cells - 1) // 2, cells // 2
            stride = side // cells if side % cells == 0 else round(centre(maps, low + 1) - centre(maps, low))
            middle = (centre(maps, low) + centre(maps, high)) / 2
            offset = max(0.0, round(2 * (middle - stride * (low + high) / 2)) / 2)
            found[name] = Geometry(maps.shape[1], stride, offset, side // stride - cells)
    encoder.train(training)
    return found


def _averaging(trunk: Any) -> Any:
    """A copy without weights, of one channel; what it was made of stays as it was."""
    twin = copy.deepcopy(trunk)
    for parent in list(twin.modules()):
        for name, child in list(parent.named_children()):  # lists, since children are replaced on the way
            if isinstance(child, nn.MaxPool2d | nn.AvgPool2d | nn.Conv2d):
                window: Any = (child.kernel_size, child.stride, child.padding)
                setattr(parent, name, nn.AvgPool2d(*window))
            elif isinstance(child, nn.BatchNorm2d | nn.GroupNorm):
                setattr(parent, name, nn.Identity())
    return twin


def _channels(encoder: VisionEncoder) -> dict[str, int]:
    """Of each stage, by shapes alone: nothing is computed."""
    trunk: Any = copy.deepcopy(encoder.trunk).to("meta").eval()
    side = max(WIDTH, encoder.config.side)
    maps: dict[str, Tensor] = trunk.stages(torch.empty(1, 3, side, side, device="meta"))
    return {name: one.shape[1] for name, one in maps.items()}


def padded_to(x: Tensor, geometry: Geometry) -> Tensor:
    """The picture (N, 3, H, W) with its border repeated outwards, so that the first cell of the stage lies on its first
    pixel and the map has at least H // stride by W // stride cells.
    """
    first = int(geometry.offset)
    last = geometry.stride * geometry.lost + geometry.stride
    return nn.functional.pad(x, (first, last, first, last), mode="replicate")
