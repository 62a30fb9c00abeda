"""Normalisation, and augmentation on the device: colours, gaps and shifts of the spectrogram, with amounts per row."""

from __future__ import annotations

import torch
from torch import Tensor

# Rec. 601 luma, as torchvision's adjust_saturation uses.
LUMA = (0.299, 0.587, 0.114)


def normalised(frames: Tensor, mean: Tensor, std: Tensor, grey: bool = False) -> Tensor:
    """Frames (N, 3, H, W), uint8 0..255 or float 0..1, less the mean and by the standard deviation (3, 1, 1).

    Args:
        grey: lightness on all three channels, whatever the colours.
    """
    if not frames.is_floating_point():
        frames = frames.float() / 255
    if grey:
        # Luma, not Lab's L, which it is close to: on a picture that is grey already it changes nothing.
        red, green, blue = LUMA
        frames = (red * frames[:, :1] + green * frames[:, 1:2] + blue * frames[:, 2:]).expand_as(frames)
    return (frames - mean) / std


def jitter_colours(frames: Tensor, brightness: Tensor, saturation: Tensor) -> Tensor:
    """Frames 0..1 (N, 3, H, W): saturation × ``saturation`` (N,), then brightness + ``brightness`` (N,), clipped."""
    # Not made on the device: a constant that is made there waits until the device has nothing else to do.
    luma = torch.tensor(LUMA, dtype=frames.dtype).view(1, 3, 1, 1).to(frames.device, non_blocking=True)
    grey = (frames * luma).sum(1, keepdim=True)
    mixed = grey + (frames - grey) * saturation.view(-1, 1, 1, 1)
    return (mixed + brightness.view(-1, 1, 1, 1)).clamp(0, 1)


def mask_spectrogram(spectrogram: Tensor, masks: Tensor) -> Tensor:
    """Set one band of frequencies and one stretch of time to 0, the training mean (SpecAugment, Park et al. 2019).

    Args:
        spectrogram: (N, 1, bands, frames), normalised.
        masks: (N, 4) shares 0..1: first and last frequency, first and last time.
    """
    bands, frames = spectrogram.shape[-2:]
    rows = (torch.arange(bands, device=masks.device) + 0.5) / bands
    columns = (torch.arange(frames, device=masks.device) + 0.5) / frames
    band = (rows >= masks[:, 0:1]) & (rows < masks[:, 1:2])
    stretch = (columns >= masks[:, 2:3]) & (columns < masks[:, 3:4])
    return spectrogram.masked_fill((band[:, :, None] | stretch[:, None, :])[:, None], 0.0)


def transpose_spectrogram(spectrogram: Tensor, shares: Tensor) -> Tensor:
    """Shift each spectrogram along its bands: on a mel scale, above 1 kHz, another pitch and size of the source.

    Args:
        spectrogram: (N, 1, bands, frames); what is shifted in repeats the band at the rim.
        shares: (N,) of the bands, above 0 upwards.
    """
    bands = spectrogram.shape[-2]
    steps = (shares * bands).round().long()
    rows = (torch.arange(bands, device=steps.device) - steps[:, None]).clamp(0, bands - 1)
    return spectrogram.gather(2, rows[:, None, :, None].expand_as(spectrogram))
