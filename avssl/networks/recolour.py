"""Colour jitter, grey and blur of whole batches on the device, each picture by numbers that were drawn for it."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

from avssl.networks.photometry import LUMA


class Recolouring(NamedTuple):
    """What is done to pictures, float32 (N,) each; torchvision's ColorJitter, RandomGrayscale and GaussianBlur."""

    brightness: Tensor  # factors; 1 changes nothing
    contrast: Tensor
    saturation: Tensor
    hue: Tensor  # of a whole turn
    # The place of each of these four in their order, 0 to 3.
    brightness_at: Tensor
    contrast_at: Tensor
    saturation_at: Tensor
    hue_at: Tensor
    grey: Tensor  # 1 for a grey picture, else 0
    sigma: Tensor  # of the blur, in pixels; 0 for none


COLUMNS = len(Recolouring._fields)


def recoloured(frames: Tensor, numbers: Tensor) -> Tensor:
    """Pictures (N, 3, h, w), uint8 or float 0..1, as float 0..1.

    Args:
        numbers: (N, ``COLUMNS``) the fields of :class:`Recolouring`.
    """
    x = frames if frames.is_floating_point() else frames.float() / 255
    by = Recolouring(*numbers.view(len(x), COLUMNS, 1, 1, 1).unbind(1))
    one = torch.ones_like(by.brightness)
    for place in range(4):  # every operation at every place, where it is not its turn without effect: nothing waits
        here = [at == place for at in (by.brightness_at, by.contrast_at, by.saturation_at)]
        factor = one
        for chosen, value in zip(here, (by.brightness, by.contrast, by.saturation), strict=True):
            factor = torch.where(chosen, value, factor)
        luma = _luma(x)
        towards = torch.where(here[1], luma.mean((2, 3), keepdim=True), luma)
        towards = torch.where(here[0], torch.zeros_like(luma), towards)
        blended = (towards + (x - towards) * factor).clamp(0, 1)
        x = torch.where(by.hue_at == place, turn_hue(x, by.hue), blended)
    x = torch.where(by.grey > 0, _luma(x).expand_as(x), x)
    return blur(x, by.sigma)


def turn_hue(x: Tensor, turn: Tensor) -> Tensor:
    """Pictures 0..1 (N, 3, h, w) with their hue turned by a share (N, 1, 1, 1) of the circle; value and chroma stay."""
    value, least = x.amax(1), x.amin(1)
    chroma = value - least
    red, green, blue = x.unbind(1)
    safe = torch.where(chroma > 0, chroma, torch.ones_like(chroma))
    sixths = torch.where(value == green, 2 + (blue - red) / safe, 4 + (red - green) / safe)
    sixths = torch.where(value == red, (green - blue) / safe, sixths) + 6 * turn[:, 0]
    # The channel as a function of hue: Smith 1978, in one formula for all sixths.
    k = torch.stack([(n + sixths) % 6 for n in (5, 3, 1)], 1)
    return value[:, None] - chroma[:, None] * torch.minimum(k, 4 - k).clamp(0, 1)


def blur(x: Tensor, sigma: Tensor) -> Tensor:
    """Pictures (N, 3, h, w) smoothed by a Gaussian of ``sigma`` (N, 1, 1, 1) pixels, a tenth of the side wide (SimCLR).

    At the border its weights are those of what lies within, so that nothing grows darker.
    """
    down, right = (_smoothing(length, sigma[:, 0]) for length in x.shape[-2:])
    with torch.autocast(x.device.type, enabled=False):
        smooth: Tensor = down[:, None] @ x @ right.mT[:, None]
    return smooth


def _smoothing(length: int, sigma: Tensor) -> Tensor:
    """(N, length, length): what each pixel takes of each along one axis; rows sum to 1."""
    at = torch.arange(length, device=sigma.device)
    apart = (at[:, None] - at).abs()
    weights = torch.exp(-(apart**2) / (2 * sigma.clamp(min=1e-3) ** 2)) * (apart <= max(1, length // 20))
    return weights / weights.sum(-1, keepdim=True)


def _luma(x: Tensor) -> Tensor:
    red, green, blue = LUMA
    return red * x[:, :1] + green * x[:, 1:2] + blue * x[:, 2:]
