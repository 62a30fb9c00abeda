"""Coarse maps on a finer grid, by the interpolations of torch and OpenCV, with NumPy alone."""

from __future__ import annotations

from typing import Literal

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Upsampling = Literal["bilinear", "bilinear-corners", "bicubic", "bicubic-corners"]


def upsample(m: NDArray[np.floating], side: int, how: Upsampling = "bilinear") -> Floats:
    """A map (h, w) on the grid (side, side), before it is compared with a truth of that size.

    Args:
        m: of any size; one that is finer is sampled, without antialiasing.
        side: pixels.
        how: "bilinear" and "bicubic" have half-pixel centres (OpenCV's INTER_LINEAR, torch without ``align_corners``);
            "-corners" puts the corners of both grids on each other (``align_corners=True``). Cubic weights are those of
            Keys (1981) with a = −0.75, as in torch and OpenCV; beyond the edge its value is repeated.

    Raises:
        ValueError: the map is no array (h, w).
    """
    if m.ndim != 2 or not m.size:
        raise ValueError(f"a map has the shape (h, w), not {m.shape}")
    mode, _, corners = how.partition("-")
    down, right = (_interpolation(size, side, mode, corners == "corners") for size in m.shape)
    found: Floats = down @ m.astype(np.float64) @ right.T
    return found


def _interpolation(size: int, side: int, mode: str, corners: bool) -> Floats:
    """The matrix (side, size) of the interpolation along one axis."""
    steps = np.arange(side)
    if corners:
        places = steps * ((size - 1) / (side - 1)) if side > 1 else np.zeros(1)
    else:
        places = (steps + 0.5) * (size / side) - 0.5
        if mode == "bilinear":
            places = places.clip(min=0)
    first = np.floor(places).astype(int)
    taps = (0, 1) if mode == "bilinear" else (-1, 0, 1, 2)
    matrix = np.zeros((side, size))
    for tap in taps:
        distance = np.abs(places - first - tap)
        weight = 1 - distance if mode == "bilinear" else _keys(distance)
        np.add.at(matrix, (steps, (first + tap).clip(0, size - 1)), weight)
    return matrix


def _keys(distance: Floats) -> Floats:
    a = -0.75
    near = ((a + 2) * distance - (a + 3)) * distance**2 + 1
    far = ((a * distance - 5 * a) * distance + 8 * a) * distance - 4 * a
    return np.where(distance <= 1, near, far)
