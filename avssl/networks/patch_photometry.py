"""How patches are fed: with colours that give away no place, and a mean and contrast that give away no neighbour."""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from avssl.networks.config import MEAN, STD, Normalise
from avssl.networks.photometry import LUMA

# B = I − aᵀa / (aaᵀ) with a = (−1, 2, −1): no green against magenta (Doersch, Gupta & Efros 2015, section 3.1).
PROJECTION: NDArray[np.float32] = (np.eye(3) - np.outer((-1, 2, -1), (-1, 2, -1)) / 6).astype(np.float32)
GREY: NDArray[np.float32] = np.tile(np.array(LUMA, np.float32), (3, 1))
KEEP: NDArray[np.float32] = np.eye(3, dtype=np.float32)

# Patches plainer than this (two of 255 grey levels) are not scaled up: that would show the noise of their coding.
_LEAST_CONTRAST = 2 / 255


def keep_channel(channel: int) -> NDArray[np.float32]:
    """The matrix that keeps one of the three colour channels and puts the others to 0."""
    kept = np.zeros((3, 3), np.float32)
    kept[channel, channel] = 1
    return kept


def fed_patches(patches: Tensor, colour: Tensor, noise: Tensor | None, normalise: Normalise) -> Tensor:
    """Patches as the encoder is fed them, on the scale of pictures 0..1.

    Args:
        patches: uint8 (N, 3, p, p).
        colour: (N, 3, 3): each pixel is multiplied by its patch's matrix.
        noise: int8 (N, 3, p, p), ±127 for ±half a grey level, added after the means are gone; None for none.
        normalise: see ``Normalise``. A normalised patch has the mean and the contrast of natural pictures.

    Returns:
        float32 (N, 3, p, p).
    """
    count, _, height, width = patches.shape
    x = (colour.float() @ patches.float().flatten(2) / 255).view(count, 3, height, width)
    if normalise == "off":
        return x if noise is None else x + noise / (254 * 255)
    x = x - x.mean((2, 3), keepdim=True)
    if noise is not None:
        x = x + noise / (254 * 255)
    over = (1, 2, 3) if normalise == "patch" else (2, 3)
    x = x / x.square().mean(over, keepdim=True).sqrt().clamp_min(_LEAST_CONTRAST)
    mean, std = (torch.tensor(values).view(3, 1, 1).to(x.device, non_blocking=True) for values in (MEAN, STD))
    return mean + std * x
