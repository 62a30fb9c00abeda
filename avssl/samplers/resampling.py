"""Pillow's antialiased scaling of a square, to the bit, in a quarter of its time: compiled by numba.

Pillow scales along the rows, rounds, and scales along the columns. A pixel is the sum of a few others with weights of
22 bits; the same sums are taken here of sixteen rows at once, so that the processor's vectors are full. To lie side by
side these rows are transposed, in blocks of 8×8 pixels that fit into registers: by single pixels that takes as long as
the sums. The columns are summed as soon as their rows are there, while these are in the cache. Importing this module
compiles it, which takes some seconds the first time on a machine and is kept (by numba, beside this file or in the
user's cache).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, ParamSpec, TypeVar

import numpy as np
from llvmlite import ir
from numba import njit, types
from numba.extending import intrinsic
from numpy.typing import NDArray

from avssl.samplers.compiling import kept

_BITS = 22  # Pillow's PRECISION_BITS: 32 less 8 of a value, and 2 that sums may need
_HALF = np.int32(1 << (_BITS - 1))
# Rows scaled at once: 64 bytes a column, a line of the processor's cache.
_ROWS = 16
# Rows and columns transposed at once: as many registers of 256 bits.
_BLOCK = 8

P = ParamSpec("P")
T = TypeVar("T")


def _compiled(function: Callable[P, T]) -> Callable[P, T]:
    compiled: Callable[P, T] = njit(nogil=True)(function)
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
    start: int,
    end: int,
    begin: int,
) -> None:
    """Lines ``start`` to ``end`` of the result, each the weighted sum of some of the others.

    The first of these has the number ``begin``. Two and three are written out, and everything is cast to 32 bits:
    otherwise it is no code for vectors.
    """
    width = result.shape[1]
    sums = np.empty(width, np.int32)
    for i in range(start, end):
        a = first[i] - begin
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


def _block_transposed(_: Any, target: Any, target_start: Any, source: Any, source_start: Any) -> Any:
    """Copy a block of pixels of 32 bits, its columns as rows, between arrays (h, w), from one place to another."""

    def code(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        vector = ir.VectorType(ir.IntType(32), _BLOCK)

        def places(array: int) -> list[Any]:
            made = context.make_array(signature.args[array])(context, builder, arguments[array])
            width = builder.extract_value(made.shape, 1)
            offsets = [builder.mul(width, ir.Constant(width.type, row)) for row in range(_BLOCK)]
            starts = [builder.gep(made.data, [builder.add(arguments[array + 1], offset)]) for offset in offsets]
            return [builder.bitcast(start, vector.as_pointer()) for start in starts]

        rows = [builder.load(place, align=4) for place in places(2)]
        for step in (1, 2, 4):  # each swaps the two corners of blocks twice as large as the last
            low = [lane if not lane & step else lane - step + _BLOCK for lane in range(_BLOCK)]
            high = [lane + step if not lane & step else lane + _BLOCK for lane in range(_BLOCK)]
            for row in range(_BLOCK):
                if not row & step:
                    pair = rows[row], rows[row + step]
                    rows[row], rows[row + step] = (
                        builder.shuffle_vector(*pair, ir.Constant(vector, lanes)) for lanes in (low, high)
                    )
        for row, place in zip(rows, places(0), strict=True):
            builder.store(row, place, align=4)
        return context.get_dummy_value()

    return types.void(target, types.intp, source, types.intp), code


_transpose_block: Callable[..., None] = intrinsic(_block_transposed)


@_compiled
def _transpose(source: NDArray[np.uint32], target: NDArray[np.uint32]) -> None:
    """Write the columns of one array as rows into the other, as far as both reach."""
    height, width = min(source.shape[0], target.shape[1]), min(source.shape[1], target.shape[0])
    whole_height, whole_width = height - height % _BLOCK, width - width % _BLOCK
    for y in range(0, whole_height, _BLOCK):
        for x in range(0, whole_width, _BLOCK):
            _transpose_block(target, x * target.shape[1] + y, source, y * source.shape[1] + x)
    for y in range(height):
        for x in range(whole_width if y < whole_height else 0, width):
            target[x, y] = source[y, x]


@_compiled
def _split(pixels: NDArray[np.uint32], planes: NDArray[np.uint8]) -> None:
    """Rows of pixels (n, side) as red, green and blue: (3, n or more, side)."""
    for y in range(len(pixels)):
        for x in range(pixels.shape[1]):
            pixel = pixels[y, x]
            planes[0, y, x], planes[1, y, x], planes[2, y, x] = pixel, pixel >> 8, pixel >> 16


@kept("void(uint32[:,::1], float64, float64, float64, boolean, uint8[:,:,::1])")
def resample(
    pixels: NDArray[np.uint32], left: float, top: float, size: float, flip: bool, result: NDArray[np.uint8]
) -> None:
    """Scale a square of a picture into ``result`` (3, side, side).

    Args:
        pixels: (h, w), red in the lowest byte of each, then green and blue.
        left, top, size: of the square, in pixels, inside of the picture.
        flip: mirror it.
    """
    side, width = result.shape[1], pixels.shape[1]
    across, down = _weights(width, left, left + size, side), _weights(pixels.shape[0], top, top + size, side)
    if flip:
        across = (across[0][::-1].copy(), across[1][::-1].copy(), across[2][::-1].copy())
    first, count, weights = down
    columns, blended = np.zeros((width, _ROWS), np.uint32), np.empty((side, _ROWS), np.uint32)
    turned = np.empty((_ROWS, side), np.uint32)
    # Rows scaled along, of which columns are summed as soon as they are there: so few stay in the nearest cache.
    planes = np.empty((3, _ROWS + weights.shape[1], side), np.uint8)
    begin, ready, done = first[0], 0, 0
    for y in range(begin, first[side - 1] + count[side - 1], _ROWS):
        _transpose(pixels[y : min(y + _ROWS, len(pixels))], columns)
        _blend(blended.view(np.uint8), columns.view(np.uint8), across[0], across[1], across[2], 0, side, 0)
        _transpose(blended, turned)
        _split(turned, planes[:, ready:])
        ready += _ROWS
        end = done
        while end < side and first[end] + count[end] <= begin + ready:
            end += 1
        for colour in range(3):
            _blend(result[colour], planes[colour], first, count, weights, done, end, begin)
        done = end
        if done < side:
            gone = first[done] - begin
            for colour in range(3):
                for row in range(gone, ready):
                    for x in range(side):
                        planes[colour, row - gone, x] = planes[colour, row, x]
            begin, ready = first[done], ready - gone
