"""A vector that another program saved with NumPy, from a file that may hold anything."""

from __future__ import annotations

import io
import math
import tokenize

import numpy as np
from numpy.typing import NDArray

from avssl.errors import UserError

MOST_DIMENSIONS = 1 << 16

_HEADERS = {(1, 0): np.lib.format.read_array_header_1_0, (2, 0): np.lib.format.read_array_header_2_0}

# What NumPy's parser of headers raises at one that nobody but an attacker writes.
_NO_HEADER = (
    ValueError, TypeError, KeyError, AttributeError, OverflowError, MemoryError, RecursionError, SyntaxError,
    tokenize.TokenError,
)  # fmt: skip


def vector_of(content: bytes, name: str) -> NDArray[np.float32]:
    """The vector in a ``.npy`` file, float32 (dimensions,), scaled by a power of two so that its entries fit.

    Args:
        content: of the file; no more memory is taken than a few times its length, whatever its header says.
        name: of the file, for messages.

    Raises:
        UserError: no array, no single vector of numbers, or one that has no direction.
    """
    file = io.BytesIO(content)
    try:
        shape, _, dtype = _HEADERS[np.lib.format.read_magic(file)](file)
    except _NO_HEADER:
        raise UserError(f"{name} is no array of NumPy; save one with numpy.save") from None
    count = math.prod(shape)
    if dtype.kind not in "fiu" or not shape or min(shape) < 1 or count != max(shape):
        raise UserError(f"{name} holds an array {dtype} of shape {shape}; search with one vector of numbers")
    if count > MOST_DIMENSIONS:  # in float64 64 MB of bytes would be half a gigabyte
        raise UserError(f"{name} holds a vector of {count:,} dimensions; embeddings have {MOST_DIMENSIONS:,} at most")
    if count * dtype.itemsize > len(content) - file.tell():
        raise UserError(f"{name} is no array of NumPy: it ends before its {count} numbers do")
    values = np.frombuffer(content, dtype, count, file.tell()).astype(np.float64)
    if not np.isfinite(values).all() or not values.any():
        raise UserError(f"{name}: a vector of finite numbers that are not all zero is wanted")
    # Its length does not count, but 1e300 is infinite and 1e-60 is zero in float32.
    _, exponent = np.frexp(np.abs(values).max())
    return np.asarray(np.ldexp(values, -exponent), np.float32)
