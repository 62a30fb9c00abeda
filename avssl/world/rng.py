"""Randomness by name: equal names give equal draws, in any process and in any order."""

from __future__ import annotations

import hashlib

import numpy as np


def generator(*parts: int | str) -> np.random.Generator:
    """A generator that depends on ``parts`` alone."""
    # Joined by the ASCII unit separator, which no part contains: ("ab", "c") differs from ("a", "bc").
    digest = hashlib.blake2b("\x1f".join(map(str, parts)).encode(), digest_size=16).digest()
    return np.random.Generator(np.random.PCG64(int.from_bytes(digest, "little")))


def between(rng: np.random.Generator, low: float, high: float) -> float:
    """A uniform draw from [low, high)."""
    return float(rng.uniform(low, high))


def log_between(rng: np.random.Generator, low: float, high: float) -> float:
    """A log-uniform draw from [low, high): pitches, proportions."""
    return float(low * (high / low) ** rng.random())
