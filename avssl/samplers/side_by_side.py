"""Arrays adjacent in memory in the order of allocation, so that a batch of them needs no copy.

A picture is then written once, to where its batch will be. How many there are is known from the batch before.
"""

from __future__ import annotations

import threading
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import DTypeLike, NDArray


class _Blocks(threading.local):
    """What a thread has stacked last of each shape and type, and the block that is being filled."""

    def __init__(self) -> None:
        self.counts: dict[object, int] = {}
        self.filling: dict[object, tuple[NDArray[Any], int]] = {}


_BLOCKS = _Blocks()


def empty(shape: tuple[int, ...], dtype: DTypeLike) -> NDArray[Any]:
    """As ``np.empty``, where possible right behind the last of the same shape and type."""
    kind = shape, np.dtype(dtype)
    count = _BLOCKS.counts.get(kind, 1)
    if count == 1:
        return np.empty(shape, dtype)
    block, used = _BLOCKS.filling.pop(kind) if kind in _BLOCKS.filling else (np.empty((count, *shape), dtype), 0)
    if used + 1 < count:
        _BLOCKS.filling[kind] = block, used + 1
    found: NDArray[Any] = block[used]
    return found


def stacked(arrays: Sequence[NDArray[Any]]) -> NDArray[Any]:
    """As ``np.stack``; where these lie side by side and fill their block, the block itself, which is theirs, too."""
    first, count = arrays[0], len(arrays)
    block = first.base
    # Views of one picture are taken of what was asked for with an axis for the pictures of a puzzle.
    for kind in ((first.shape, first.dtype), ((1, *first.shape), first.dtype)):
        _BLOCKS.counts[kind] = count
        _BLOCKS.filling.pop(kind, None)
    if not isinstance(block, np.ndarray) or block.dtype != first.dtype or block.nbytes != count * first.nbytes:
        return np.stack(arrays)
    place = _address(block)
    for array in arrays:
        alike = array.base is block and array.shape == first.shape and array.flags.c_contiguous
        if not alike or _address(array) != place:
            return np.stack(arrays)
        place += array.nbytes
    return block.reshape(count, *first.shape)


def _address(array: NDArray[Any]) -> int:
    address: int = array.__array_interface__["data"][0]
    return address
