"""Keys: the source of all randomness of the data.

A puzzle is a pure function of its key (seed, epoch, index): the same on any machine, in any worker, in
any order. Nothing in the data path uses a global random state.
"""

from __future__ import annotations

import hashlib
from functools import lru_cache
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray


class Key(NamedTuple):
    """Identifies one puzzle."""

    seed: int
    epoch: int
    index: int  # type: ignore[assignment]  # the contract's name; hides tuple.index, which is not needed here


def generator(*parts: int | str) -> np.random.Generator:
    """A random generator that depends on ``parts`` and nothing else.

    The parts are hashed, not multiplied or added: with ``seed * epoch`` epoch 0 is the same for every seed.
    """
    # With a separator, so that ("a", "bc") and ("ab", "c") differ; names that are no UTF-8 keep their own bytes.
    digest = hashlib.blake2b("\x1f".join(map(str, parts)).encode("utf-8", "surrogateescape"), digest_size=16).digest()
    # Four words seed as the one integer of these bytes would, and in less time.
    return np.random.Generator(np.random.PCG64(np.frombuffer(digest, "<u4")))


def uniform(rng: np.random.Generator, low: float, high: float) -> float:
    """The number that ``rng.uniform(low, high)`` draws, in a fifth of its time: a puzzle draws several."""
    return low + (high - low) * rng.random()


@lru_cache(maxsize=8)
def permutation(seed: int, epoch: int, length: int) -> NDArray[np.int64]:
    """The order of ``length`` items in an epoch: each item once, another order in each epoch. (length,)"""
    order = generator(seed, epoch, length, "order").permutation(length)
    order.flags.writeable = False
    return order
