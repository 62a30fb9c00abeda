"""Cropping pictures: crops, flips and changes of light, drawn from a key and applied here."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from avssl.samplers.keys import uniform
from avssl.samplers.scaling import scale_squares


class Crop(NamedTuple):
    """A square of a picture, in pixels, and whether it is mirrored."""

    left: float
    top: float
    size: float
    flip: bool


def random_crop(rng: np.random.Generator, height: int, width: int, low: float, high: float, flip: bool) -> Crop:
    """A square whose side is a share ``low``…``high`` of the shorter side, anywhere, mirrored half of the time."""
    # Size, left, top, mirror: the order is part of what a key means, so that old runs continue with the same pictures.
    size = min(height, width) * uniform(rng, low, high)
    left = uniform(rng, 0, width - size)
    top = uniform(rng, 0, height - size)
    mirrored = bool(rng.integers(2)) and flip  # drawn in any case: the draws after it do not depend on --flip
    return Crop(left, top, size, mirrored)


def centre_crop(height: int, width: int, share: float) -> Crop:
    """The central square whose side is ``share`` of the shorter side."""
    size = min(height, width) * share
    return Crop((width - size) / 2, (height - size) / 2, size, False)


def cut(frame: NDArray[np.uint8], crop: Crop, side: int) -> NDArray[np.uint8]:
    """The crop of a frame (3, h, w), scaled to (3, side, side) with antialiasing: uint8."""
    square: NDArray[np.uint8] = cut_all(frame[None], crop, side)[0]
    return square


def cut_all(frames: NDArray[np.uint8], crop: Crop, side: int) -> NDArray[np.uint8]:
    """The same crop of several frames (n, 3, h, w), scaled to (n, 3, side, side) with antialiasing: uint8."""
    return scale_squares(frames, *crop, side)


@dataclass(frozen=True)
class Cropping:
    """Square crops of a task's pictures: their share of the shorter side, and their size once scaled."""

    side: int  # pixels of the scaled square
    # Smallest and largest share of the shorter side.
    low: float = 1.0
    high: float = 1.0
    flip: bool = False  # whether half of the augmented squares are mirrored

    def place(self, rng: np.random.Generator | None, height: int, width: int) -> Crop:
        """A square anywhere; without ``rng`` the largest in the middle, as held-out pictures are cut."""
        if rng is None:
            return centre_crop(height, width, self.high)
        return random_crop(rng, height, width, self.low, self.high, self.flip)

    def cut(self, frame: NDArray[np.uint8], rng: np.random.Generator | None) -> NDArray[np.uint8]:
        """A frame (3, h, w) cut at :meth:`place` and scaled: uint8 (3, side, side)."""
        return cut(frame, self.place(rng, *frame.shape[-2:]), self.side)

    def stored_side(self) -> int:
        """Shorter side of stored pictures, so that a crop of middling size is not scaled up: whole JPEG blocks."""
        return 16 * math.ceil(self.side / math.sqrt(self.low * self.high) / 16)  # 16 px: a block at 4:2:0


def relit(square: NDArray[np.uint8], brightness: float, contrast: float) -> NDArray[np.uint8]:
    """A picture with its contrast multiplied around its mean, then made lighter by a share of white."""
    middle = float(square.mean())
    lit = (square.astype(np.float32) - middle) * contrast + (middle + 255 * brightness)
    found: NDArray[np.uint8] = np.rint(lit.clip(0, 255)).astype(np.uint8)
    return found
