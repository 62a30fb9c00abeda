"""Rotations of a square by quarter turns, counter-clockwise, with and without the shortcuts they can leave."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from PIL import Image

QUARTERS = 4


def rotated(square: NDArray[np.uint8], quarters: int) -> NDArray[np.uint8]:
    """A square (3, s, s) turned counter-clockwise by quarters, by transposing and flipping: no pixel is computed."""
    return np.ascontiguousarray(np.rot90(square, quarters, axes=(-2, -1)))


def rotated_by_interpolation(square: NDArray[np.uint8], quarters: int) -> NDArray[np.uint8]:
    """The same turn as image libraries do it about the pixel in the middle: blurred a little, black at a border.

    The middle pixel of an even side lies half a pixel off the centre, so that each turn but the first leaves a
    black border on other sides: a shortcut. For showing it, not for training.
    """
    if quarters % QUARTERS == 0:
        return np.ascontiguousarray(square)
    side = square.shape[-1]
    # Pillow, which turns as torchvision does: what careless code would do is what the shortcut must be shown for.
    image = Image.fromarray(np.ascontiguousarray(square.transpose(1, 2, 0)))
    middle = side / 2 + 0.75  # half a pixel off, and a quarter more so that pixels are mixed
    turned = image.rotate(90 * quarters, Image.Resampling.BILINEAR, center=(middle, middle))
    return np.ascontiguousarray(np.asarray(turned).transpose(2, 0, 1))


def boxed(picture: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """A picture (3, h, w) in the middle of a black square (3, s, s) whose side is the longer one."""
    height, width = picture.shape[-2:]
    side = max(height, width)
    top, left = (side - height) // 2, (side - width) // 2
    return np.pad(picture, ((0, 0), (top, side - height - top), (left, side - width - left)))


def shifted(square: NDArray[np.uint8], down: int, right: int) -> NDArray[np.uint8]:
    """A square (3, s, s) moved by some pixels, black where it has left: a crop of the picture padded with black."""
    side, rim = square.shape[-1], max(abs(down), abs(right))
    padded = np.pad(square, ((0, 0), (rim, rim), (rim, rim)))
    return padded[:, rim - down : rim - down + side, rim - right : rim - right + side]
