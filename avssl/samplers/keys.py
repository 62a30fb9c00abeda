"""Keys: the source of all randomness of the data.

A puzzle is a pure function of its key (seed, epoch, index): the same on any machine, in any worker, in
any order. Nothing in the data path uses a global random state.
"""

from __future__ import annotations

import hashlib
import struct
from collections.abc import Callable
from functools import lru_cache
from typing import Any, NamedTuple

import numpy as np
from numpy.random.bit_generator import ISeedSequence
from numpy.typing import NDArray

_WORDS = struct.Struct("<4I")


class _Seeding:
    """Who computes the first state of a generator from four words: compiled code, or, where it is None, NumPy."""

    compiled: Callable[[int, int, int, int], NDArray[np.uint64]] | None = None


_SEEDING = _Seeding()


class _State(ISeedSequence):
    """What a generator is seeded with, computed already."""

    __slots__ = ("_state",)

    def __init__(self, state: NDArray[np.uint64]) -> None:
        self._state = state

    def generate_state(self, n_words: int, dtype: object = np.uint32) -> NDArray[np.uint64]:
        """PCG64 asks once, for four words of 64 bits."""
        return self._state


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
    first_state = _SEEDING.compiled
    if first_state is None:
        return np.random.Generator(np.random.PCG64(np.frombuffer(digest, "<u4")))
    state: Any = _State(first_state(*_WORDS.unpack(digest)))  # NumPy's stubs know no seed sequence but its own
    return np.random.Generator(np.random.PCG64(state))


def seed_compiled() -> None:
    """From now on seed by compiled code, where numba can be had and it gives what NumPy gives: the same generators."""
    try:
        from avssl.samplers.seeding import first_state
    except ImportError:  # numba comes some months after a new Python or NumPy
        return
    words = np.random.default_rng(0).integers(2**32, size=(8, 4))
    expected = [np.random.SeedSequence(some).generate_state(4, np.uint64) for some in words.tolist()]
    if np.array_equal(expected, [first_state(*some) for some in words.tolist()]):
        _SEEDING.compiled = first_state


def uniform(rng: np.random.Generator, low: float, high: float) -> float:
    """The number that ``rng.uniform(low, high)`` draws, in a fifth of its time: a puzzle draws several."""
    return low + (high - low) * rng.random()


@lru_cache(maxsize=8)
def permutation(seed: int, epoch: int, length: int) -> NDArray[np.int64]:
    """The order of ``length`` items in an epoch: each item once, another order in each epoch. (length,)"""
    order = generator(seed, epoch, length, "order").permutation(length)
    order.flags.writeable = False
    return order
