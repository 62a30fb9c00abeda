"""Pillow's antialiased scaling of a square, to the bit, in a quarter of its time: compiled by numba.

Pillow scales along the rows, rounds, and scales along the columns. A pixel is the sum of a few others with weights of
22 bits; the same sums are taken here of sixteen rows at once, so that the processor's vectors are full. Importing this
module compiles it, which takes some seconds the first time on a machine and is kept (by numba, beside this file or in
the user's cache).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import ParamSpec, TypeVar

import numpy as np
from numba import njit
from numpy.typing import NDArray

_BITS = 22  # Pillow's PRECISION_BITS: 32 less 8 of a value, and 2 that sums may need
_HALF = np.int32(1 << (_BITS - 1))
# Rows scaled at once: 64 bytes a column, a line of the processor's cache.
_ROWS = 16

P = ParamSpec("P")
T = TypeVar("T")


def _compiled(function: Callable[P, T]) -> Callable[P, T]:
    compiled: Callable[P, T] = njit(nogil=True)(function)
    return compiled


def _kept(signature: str) -> Callable[[Callable[P, T]], Callable[P, T]]:
    """Compile for these types at once, and keep the code for the next process where there is a place to."""

    def compiled(function: Callable[P, T]) -> Callable[P, T]:
        made: Callable[P, T]
        try:
            made = njit(signature, nogil=True, cache=True)(function)
        except RuntimeError:  # no folder that can be written
            made = njit(signature, nogil=True)(function)
        return made

    return compiled


@_compiled
def _weights(
    length: int, start: float, end: float, side: int
) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.int32]]:
    """For each pixel of the result: its first pixel of the original, how many there are, and their weights.

    A triangle over two pixels, wider where the result is smaller (Pillow's ``precompute_coeffs``, which takes the
    box in single precision).
    """
    low, high = np.float32(start), np.float32(end)
    scale = np.float64(np.float32(high - low)) / side
    support = max(scale, 1.0)
    most = int(np.ceil(support)) * 2 + 1
    first, count = np.empty(side, np.int64), np.empty(side, np.int64)
    weights, shares = np.zeros((side, most), np.int32), np.empty(most)
    for i in range(side):
        centre = np.float64(low) + (i + 0.5) * scale
        begin = max(int(centre - support + 0.5), 0)
        first[i], count[i] = begin, min(int(centre + support + 0.5), length) - begin
        total = 0.0
        for k in range(count[i]):
            shares[k] = max(1.0 - abs((begin + k - centre + 0.5) * (1.0 / support)), 0.0)
            total += shares[k]
        for k in range(count[i]):
            weights[i, k] = int(0.5 + shares[k] / total * (1 << _BITS))
    return first, count, weights


@_compiled
def _blend(
    result: NDArray[np.uint8],
    lines: NDArray[np.uint8],
    first: NDArray[np.int64],
    count: NDArray[np.int64],
    weights: NDArray[np.int32],
) -> None:
    """Each line of the result as the weighted sum of some of the others.

    Two and three are written out, and everything is cast to 32 bits: otherwise it is no code for vectors.
    """
    width = result.shape[1]
    sums = np.empty(width, np.int32)
    for i in range(len(first)):
        a = first[i]
        if count[i] == 2:
            u, v = weights[i, 0], weights[i, 1]
            for x in range(width):
                result[i, x] = np.int32(_HALF + u * np.int32(lines[a, x]) + v * np.int32(lines[a + 1, x])) >> _BITS
        elif count[i] == 3:
            u, v, w = weights[i, 0], weights[i, 1], weights[i, 2]
            for x in range(width):
                two = np.int32(u * np.int32(lines[a, x]) + v * np.int32(lines[a + 1, x]))
                result[i, x] = np.int32(_HALF + two + w * np.int32(lines[a + 2, x])) >> _BITS
        else:
            sums[:] = _HALF
            for k in range(count[i]):
                u = weights[i, k]
                for x in range(width):
                    sums[x] = np.int32(sums[x] + u * np.int32(lines[a + k, x]))
            for x in range(width):
                result[i, x] = sums[x] >> _BITS


@_compiled
def _scaled_rows(
    pixels: NDArray[np.uint32], top: int, end: int, left: float, size: float, flip: bool, side: int
) -> NDArray[np.uint32]:
    """Rows ``top`` to ``end``, scaled along each: (end - top, side)."""
    width = pixels.shape[1]
    first, count, weights = _weights(width, left, left + size, side)
    scaled = np.empty((end - top, side), np.uint32)
    columns, results = np.zeros((width, _ROWS), np.uint32), np.empty((side, _ROWS), np.uint32)
    for y in range(top, end, _ROWS):
        rows = min(_ROWS, end - y)
        for row in range(rows):
            for x in range(width):
                columns[x, row] = pixels[y + row, x]
        _blend(results.view(np.uint8), columns.view(np.uint8), first, count, weights)
        for row in range(rows):
            if flip:
                for i in range(side):
                    scaled[y - top + row, side - 1 - i] = results[i, row]
            else:
                for i in range(side):
                    scaled[y - top + row, i] = results[i, row]
    return scaled


@_kept("void(uint32[:,::1], float64, float64, float64, boolean, uint8[:,:,::1])")
def resample(
    pixels: NDArray[np.uint32], left: float, top: float, size: float, flip: bool, result: NDArray[np.uint8]
) -> None:
    """Scale a square of a picture into ``result`` (3, side, side).

    Args:
        pixels: (h, w), red in the lowest byte of each, then green and blue.
        left, top, size: of the square, in pixels, inside of the picture.
        flip: mirror it.
    """
    side = result.shape[1]
    first, count, weights = _weights(pixels.shape[0], top, top + size, side)
    begin, end = first[0], first[side - 1] + count[side - 1]
    rows = _scaled_rows(pixels, begin, end, left, size, flip, side)
    band = np.empty((_ROWS, side), np.uint32)  # a few rows at a time stay in the processor's nearest cache
    for y in range(0, side, _ROWS):
        some = slice(y, min(y + _ROWS, side))
        _blend(band.view(np.uint8), rows.view(np.uint8), first[some] - begin, count[some], weights[some])
        for row in range(len(first[some])):
            for x in range(side):
                pixel = band[row, x]
                result[0, y + row, x], result[1, y + row, x], result[2, y + row, x] = pixel, pixel >> 8, pixel >> 16
