"""Cutting pictures: crops and flips whose place comes from a key."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from PIL import Image


class Crop(NamedTuple):
    """A square of a picture, in pixels, and whether it is mirrored."""

    left: float
    top: float
    size: float
    flip: bool


def random_crop(rng: np.random.Generator, height: int, width: int, low: float, high: float, flip: bool) -> Crop:
    """A square whose side is a share ``low``…``high`` of the shorter side, anywhere, mirrored half of the time."""
    size = min(height, width) * float(rng.uniform(low, high))
    left = float(rng.uniform(0, width - size))
    top = float(rng.uniform(0, height - size))
    mirrored = bool(rng.integers(2)) and flip
    return Crop(left, top, size, mirrored)


def centre_crop(height: int, width: int, share: float) -> Crop:
    """The central square whose side is ``share`` of the shorter side."""
    size = min(height, width) * share
    return Crop((width - size) / 2, (height - size) / 2, size, False)


def cut(frame: NDArray[np.uint8], crop: Crop, side: int) -> NDArray[np.uint8]:
    """The crop of a frame (3, h, w), scaled to (3, side, side) with antialiasing: uint8."""
    picture = Image.fromarray(np.ascontiguousarray(frame.transpose(1, 2, 0)))
    box = (crop.left, crop.top, crop.left + crop.size, crop.top + crop.size)
    scaled = np.asarray(picture.resize((side, side), Image.Resampling.BILINEAR, box=box))
    if crop.flip:
        scaled = scaled[:, ::-1]
    return np.ascontiguousarray(scaled.transpose(2, 0, 1))
