"""NumPy's way from the seed of a generator to its first state, compiled: NumPy's own takes most of a generator's time.

A puzzle has up to four generators. Only imported where numba is in any case.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from avssl.samplers.compiling import kept

# Constants of NumPy's SeedSequence, after M. E. O'Neill's seed_seq_fe (2015).
_FIRST_IN, _NEXT_IN = 0x43B0D7E5, 0x931E8875
_FIRST_OUT, _NEXT_OUT = 0x8B51F9DD, 0x58F38DED
_LEFT, _RIGHT = 0xCA01F9DD, 0x4973F715
_WORD = 0xFFFFFFFF
_POOL = 4


@kept("uint64[::1](uint32, uint32, uint32, uint32)")
def first_state(a: int, b: int, c: int, d: int) -> NDArray[np.uint64]:
    """``SeedSequence([a, b, c, d]).generate_state(4, np.uint64)``, of four words of 32 bits."""
    pool = np.array((a, b, c, d), np.uint64)
    constant = np.uint64(_FIRST_IN)
    word, shift = np.uint64(_WORD), np.uint64(16)
    for source in range(-1, _POOL):  # first each word by itself, then each into the three others
        for target in range(_POOL):
            if source == target:
                continue
            value = (pool[target if source < 0 else source] ^ constant) & word
            constant = (constant * np.uint64(_NEXT_IN)) & word
            value = (value * constant) & word
            value ^= value >> shift
            if source >= 0:
                value = (np.uint64(_LEFT) * pool[target] - np.uint64(_RIGHT) * value) & word
                value ^= value >> shift
            pool[target] = value
    state = np.zeros(_POOL, np.uint64)
    constant = np.uint64(_FIRST_OUT)
    for place in range(2 * _POOL):
        value = pool[place % _POOL] ^ constant
        constant = (constant * np.uint64(_NEXT_OUT)) & word
        value = (value * constant) & word
        value ^= value >> shift
        state[place // 2] |= value << np.uint64(32 * (place % 2))
    return state
