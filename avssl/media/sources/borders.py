"""Constant borders: lines of one colour along the edges of the picture that end abruptly."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

DEEPEST = 0.2  # of the shorter side: one colour further inwards is a plain picture, no border
TOLERANCE = 14.0  # levels by which coding may change a pixel of a border
# The least share of pixels of the colour inside of a border, and the greatest just behind its edge.
FILLED, LEFT = 0.93, 0.6
# Levels between the strongest and the weakest channel: below, it is a black, white or grey border as many videos have.
SATURATED = 40.0


def border_of(frames: NDArray[np.uint8]) -> NDArray[np.float32]:
    """The border that all frames (k, 3, h, w) share: red, green, blue, then its width at left, top, right and bottom as
    shares of the shorter side. Empty where there is none on two opposite sides."""
    nothing = np.zeros(0, np.float32)
    shorter = min(frames.shape[-2:])
    deep = int(DEEPEST * shorter)
    if len(frames) < 2 or deep < 4:
        return nothing
    # One pixel inwards: the outermost ones suffer from coding and scaling.
    columns = frames[:, :, 1:-1, [1, -2]].reshape(len(frames), 3, -1)
    ring = np.concatenate([frames[:, :, 1, 1:-1], frames[:, :, -2, 1:-1], columns], axis=2)
    colour = _main_colour(ring)
    widths = []
    for side in range(4):
        lines = _lines(frames, side, deep + 3)  # (k, 3, depth, along)
        filled = np.abs(lines.astype(np.float32) - colour[None, :, None, None]).max(1) <= TOLERANCE
        # A border goes from corner to corner (a curtain ends at the floor); what follows is tested in the middle alone,
        # as near corners the border of the next side follows.
        widths.append(_width(filled.mean((0, 2)), filled[:, :, deep + 3 : -deep - 3].mean((0, 2)), deep))
    if not ((widths[0] and widths[2]) or (widths[1] and widths[3])):
        return nothing
    return np.array([*colour, *(width / shorter for width in widths)], np.float32)


def distinctive(border: NDArray[np.float32]) -> bool:
    """Whether there is a border, and of an unusual colour."""
    return len(border) > 0 and float(border[:3].max() - border[:3].min()) >= SATURATED


def _main_colour(ring: NDArray[np.uint8]) -> NDArray[np.float32]:
    """The most frequent colour of the outermost pixels. (3,)"""
    pixels = ring.transpose(0, 2, 1).reshape(-1, 3)
    cells, counts = np.unique(pixels // 32, axis=0, return_counts=True)
    most = cells[counts.argmax()]
    near = np.abs(pixels.astype(np.int16) - (most.astype(np.int16) * 32 + 16)).max(1) <= 32
    colour: NDArray[np.float32] = np.median(pixels[near], axis=0).astype(np.float32)
    return colour


def _lines(frames: NDArray[np.uint8], side: int, depth: int) -> NDArray[np.uint8]:
    """Lines along a side (left, top, right, bottom), from the edge inwards: (k, 3, depth, along)."""
    return np.rot90(frames, (3, 0, 1, 2)[side], axes=(2, 3))[:, :, :depth]


def _width(whole: NDArray[np.float64], middle: NDArray[np.float64], deep: int) -> int:
    """The number of lines of the colour, if it ends abruptly, else 0; by the shares of each line with and without its
    corners that have the colour."""
    inside = whole[1:] >= FILLED
    count = int(inside.argmin()) if not inside.all() else len(inside)
    if count == 0 or count + 1 >= deep:
        return 0
    behind = middle[count + 1 : count + 4]
    return count + 1 if float(behind.min()) <= LEFT else 0
