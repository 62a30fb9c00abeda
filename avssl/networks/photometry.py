"""Pictures and spectrograms on the device: normalised, augmented row by row, patches without shortcuts."""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from avssl.networks.config import MEAN, STD, Normalise

# Rec. 601 luma, as torchvision's adjust_saturation uses.
LUMA = (0.299, 0.587, 0.114)

# B = I − aᵀa / (aaᵀ) with a = (−1, 2, −1): no green against magenta (Doersch, Gupta & Efros 2015, section 3.1).
PROJECTION: NDArray[np.float32] = (np.eye(3) - np.outer((-1, 2, -1), (-1, 2, -1)) / 6).astype(np.float32)
GREY: NDArray[np.float32] = np.tile(np.array(LUMA, np.float32), (3, 1))
KEEP: NDArray[np.float32] = np.eye(3, dtype=np.float32)

# Patches plainer than this (two of 255 grey levels) are not scaled up: that would show the noise of their coding.
_LEAST_CONTRAST = 2 / 255


def normalised(frames: Tensor, mean: Tensor, std: Tensor, grey: bool = False) -> Tensor:
    """Frames (N, 3, H, W), uint8 or float 0..1, less the mean by the deviation (3, 1, 1); ``grey``: lightness alone."""
    if not frames.is_floating_point():
        frames = frames.float() / 255
    if grey:
        # Luma, not Lab's L, which it is close to: on a picture that is grey already it changes nothing.
        frames = luma(frames).expand_as(frames)
    return (frames - mean) / std


def luma(frames: Tensor) -> Tensor:
    """How light pictures (N, 3, H, W) are, uint8 or float 0..1: (N, 1, H, W), 0..1.

    It is linear, and so the same before and after a picture is scaled: the border of two colours of the same luma
    stays invisible, where Lab's L of their mix has a line.
    """
    if not frames.is_floating_point():
        frames = frames.float() / 255
    red, green, blue = LUMA
    return red * frames[:, :1] + green * frames[:, 1:2] + blue * frames[:, 2:]


def jitter_colours(frames: Tensor, brightness: Tensor, saturation: Tensor) -> Tensor:
    """Frames 0..1 (N, 3, H, W): saturation × ``saturation`` (N,), then brightness + ``brightness`` (N,), clipped."""
    # Not made on the device: a constant that is made there waits until the device has nothing else to do.
    luma = torch.tensor(LUMA, dtype=frames.dtype).view(1, 3, 1, 1).to(frames.device, non_blocking=True)
    grey = (frames * luma).sum(1, keepdim=True)
    mixed = grey + (frames - grey) * saturation.view(-1, 1, 1, 1)
    return (mixed + brightness.view(-1, 1, 1, 1)).clamp(0, 1)


def mask_spectrogram(spectrogram: Tensor, masks: Tensor) -> Tensor:
    """Set one band of frequencies and one span of time to 0, the training mean (SpecAugment, Park et al. 2019).

    Args:
        spectrogram: (N, 1, bands, frames), normalised.
        masks: (N, 4) shares 0..1: first and last frequency, first and last time.
    """
    bands, frames = spectrogram.shape[-2:]
    rows = (torch.arange(bands, device=masks.device) + 0.5) / bands
    columns = (torch.arange(frames, device=masks.device) + 0.5) / frames
    band = (rows >= masks[:, 0:1]) & (rows < masks[:, 1:2])
    span = (columns >= masks[:, 2:3]) & (columns < masks[:, 3:4])
    return spectrogram.masked_fill((band[:, :, None] | span[:, None, :])[:, None], 0.0)


def transpose_spectrogram(spectrogram: Tensor, shares: Tensor) -> Tensor:
    """Shift each spectrogram along its bands: on a mel scale, above 1 kHz, another pitch and size of the source.

    Args:
        spectrogram: (N, 1, bands, frames); what is shifted in repeats the band at the rim.
        shares: (N,) of the bands, above 0 upwards.
    """
    bands = spectrogram.shape[-2]
    # By whole bands, as interpolation would blur only the spectrograms that are moved.
    steps = (shares * bands).round().long()
    rows = (torch.arange(bands, device=steps.device) - steps[:, None]).clamp(0, bands - 1)
    return spectrogram.gather(2, rows[:, None, :, None].expand_as(spectrogram))


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
