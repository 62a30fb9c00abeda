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
    image = Image.fromarray(np.ascontiguousarray(square.transpose(1, 2, 0)))
    middle = side / 2 + 0.75  # half a pixel off, and a quarter more so that pixels are mixed
    turned = image.rotate(90 * quarters, Image.Resampling.BILINEAR, center=(middle, middle))
    return np.ascontiguousarray(np.asarray(turned).transpose(2, 0, 1))


def boxed(picture: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """A picture (3, h, w) in the middle of a black square (3, s, s) whose side is the longer one."""
    height, width = picture.shape[-2:]
    side = max(height, width)
    square = np.zeros((3, side, side), np.uint8)
    top, left = (side - height) // 2, (side - width) // 2
    square[:, top : top + height, left : left + width] = picture
    return square


def shifted(square: NDArray[np.uint8], down: int, right: int) -> NDArray[np.uint8]:
    """A square (3, s, s) moved by some pixels, black where it has left: a crop of the picture padded with black."""
    side = square.shape[-1]
    moved = np.zeros_like(square)
    rows, columns = slice(max(down, 0), side + min(down, 0)), slice(max(right, 0), side + min(right, 0))
    source_rows = slice(max(-down, 0), side + min(-down, 0))
    source_columns = slice(max(-right, 0), side + min(-right, 0))
    moved[:, rows, columns] = square[:, source_rows, source_columns]
    return moved
