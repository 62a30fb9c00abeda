"""Checks of the frames and waveforms given to a model: a wrong dtype, range, shape or rate is refused in one line."""

from __future__ import annotations

import math
from numbers import Real
from typing import Any

import torch
from torch import Tensor

from avssl.errors import reason_of

# Floats may leave 0..1 by this much, as resampling overshoots.
SLACK = 0.01
# A higher peak means integers stored as floats: no recording of −1..1 is as hot.
LOUDEST = 16.0
LOWEST_RATE = 1000


def checked_frames(frames: Any, device: torch.device) -> Tensor:
    """Frames uint8 (N, 3, H, W), or floats of 0..1, as float32 of 0..1.

    Raises:
        TypeError: they are neither uint8 nor floats.
        ValueError: another shape, or floats outside 0..1.
    """
    x = _tensor(frames, "frames", device)
    shape = tuple(x.shape)
    if x.ndim != 4 or x.shape[1] != 3 or 0 in shape[1:]:
        hint = ""
        if x.ndim == 4 and shape[3] == 3:
            hint = "; channels come first: frames.transpose(0, 3, 1, 2), of a tensor frames.permute(0, 3, 1, 2)"
        elif x.ndim == 3:
            hint = "; one frame is frames[None]"
        raise ValueError(f"frames {shape} must be (N, 3, height, width){hint}")
    if x.dtype == torch.uint8:
        return x.float() / 255
    if not x.is_floating_point():
        raise TypeError(f"frames are {_kind(x)}; they must be uint8 of 0..255, or floats of 0..1")
    x = x.float()
    if x.numel():
        low, high = float(x.min()), float(x.max())
        if not (math.isfinite(low) and math.isfinite(high) and low >= -SLACK and high <= 1 + SLACK):
            raise ValueError(
                f"frames are floats of {low:g} to {high:g}; floats must be within 0..1 (divide by 255, undo any "
                "normalisation), or hand over uint8"
            )
    return x


def checked_waveform(waveform: Any, rate: Any, device: torch.device) -> Tensor:
    """Waveforms of floats (N, samples), about −1..1, as float32.

    Raises:
        TypeError: they are not floats, or the rate is not a number.
        ValueError: another shape, samples far outside −1..1, or a rate that is none.
    """
    x = _tensor(waveform, "waveform", device)
    shape = tuple(x.shape)
    if x.ndim != 2 or shape[1] == 0 or (shape[1] <= 8 < shape[0]):
        hint = ""
        if x.ndim == 1:
            hint = "; one waveform is waveform[None]"
        elif x.ndim == 3:
            hint = "; mix channels to one first: waveform.mean(1)"
        elif x.ndim == 2 and shape[1]:
            hint = "; samples come last: waveform.T"
        raise ValueError(f"waveform {shape} must be (N, samples){hint}")
    if not x.is_floating_point():
        hint = ": divide int16 by 32768" if x.dtype == torch.int16 else ""
        raise TypeError(f"waveform is {_kind(x)}; it must be floats of -1..1{hint}")
    if isinstance(rate, bool) or not isinstance(rate, Real):
        raise TypeError(f"rate {rate!r} must be a number of samples a second, such as 16000")
    if not (math.isfinite(float(rate)) and float(rate) >= LOWEST_RATE):
        raise ValueError(f"rate {rate:g} must be samples a second, {LOWEST_RATE} or more, such as 16000")
    x = x.float()
    peak = float(x.abs().max()) if x.numel() else 0.0
    if math.isfinite(peak) and peak > LOUDEST:  # what is not finite has a line of its own
        raise ValueError(f"waveform reaches {peak:g}; samples must be floats of about -1..1: divide int16 by 32768")
    return x


def check_pairs(frames: int, waveforms: int) -> None:
    """Raise ValueError if there are not as many frames as waveforms, unless one of them stands for all."""
    if frames != waveforms and 1 not in (frames, waveforms):
        raise ValueError(f"{frames} frames and {waveforms} waveforms: frame n is paired with waveform n")


def _tensor(value: Any, what: str, device: torch.device) -> Tensor:
    try:
        return torch.as_tensor(value, device=device)
    except (TypeError, ValueError, RuntimeError) as error:  # torch's words about what is no array
        raise TypeError(
            f"{what}: {type(value).__name__} is not an array or tensor of numbers ({reason_of(error)})"
        ) from None


def _kind(x: Tensor) -> str:
    return str(x.dtype).removeprefix("torch.")
