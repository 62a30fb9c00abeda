"""Sets of permutations that differ from each other as much as possible."""

from __future__ import annotations

import math
from functools import lru_cache
from itertools import permutations as all_permutations

import numpy as np
from numpy.typing import NDArray

from avssl.errors import UserError
from avssl.samplers.keys import generator


@lru_cache(maxsize=4)
def permutation_set(count: int, tiles: int, seed: int) -> NDArray[np.int64]:
    """``count`` permutations of ``tiles`` tiles, chosen greedily: (count, tiles), read-only.

    The first is drawn at random; then always that which is farthest, by Hamming distance, from the nearest of those
    chosen; among equals the one with the greatest mean distance, then at random. Choosing by the mean alone, as
    public code does, leaves pairs at distance 2: one swap of two tiles, which cannot be seen where both are plain.

    Args:
        count: 1 to ``tiles``!.
        tiles: 9 of the published jigsaw; 4 for 2 × 2.
        seed: of the set.

    Raises:
        UserError: there are fewer than ``count``.
    """
    check_count(count, tiles)
    total = math.factorial(tiles)
    candidates = np.array(list(all_permutations(range(tiles))), np.uint8)
    # In a drawn order, so that the first of equals is a draw; a row for each place, as they are compared by places.
    places = np.ascontiguousarray(candidates[generator(seed, count, tiles, "permutations").permutation(total)].T)
    nearest = np.full(total, tiles + 1, np.int32)
    summed = np.zeros(total, np.int32)
    chosen = [0]
    # Running minima and sums over all candidates (362,880 of nine tiles): without them each choice compares all pairs.
    while True:
        distance = np.zeros(total, np.uint8)
        for row in places:
            distance += row != row[chosen[-1]]
        np.minimum(nearest, distance, out=nearest)
        summed += distance
        if len(chosen) == count:
            break
        nearest[chosen[-1]] = -1  # a permutation is not chosen twice
        # The nearest distance decides, and among equals the sum of all, which is less than this factor.
        chosen.append(int((nearest * np.int64(total * tiles) + summed).argmax()))
    found = places[:, chosen].T.astype(np.int64)
    found.flags.writeable = False
    return found


def check_count(count: int, tiles: int) -> None:
    """Raise UserError, unless a set of ``count`` different permutations of ``tiles`` tiles exists."""
    total = math.factorial(tiles)
    if not 1 <= count <= total:
        raise UserError(f"--permutations ({count}) must lie between 1 and {total}, as {tiles} tiles have no more")
