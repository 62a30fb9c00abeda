"""Which items of the training data are negatives of a puzzle that is compared with a memory bank."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from avssl.errors import UserError

# Rounds of drawing again what is of the own source; after them the rest stays, in data of hardly another source.
_ROUNDS = 16


def draw_other_items(
    rng: np.random.Generator, item: int, count: int, items: int, sources: NDArray[Any] | None = None
) -> NDArray[np.int64]:
    """``count`` of ``items`` items other than ``item``, all equally likely, with replacement: (count,)

    Args:
        sources: the source of each item (items,), where items of the own source are no negatives.

    Raises:
        UserError: there is no other item.
    """
    if items < 2:
        raise UserError("a memory bank compares an item with others: give two at least")
    found = _others(rng, item, count, items)
    for _ in range(0 if sources is None else _ROUNDS):
        assert sources is not None
        own = sources[found] == sources[item]
        if not own.any():
            break
        found[own] = _others(rng, item, int(own.sum()), items)
    return found


def _others(rng: np.random.Generator, item: int, count: int, items: int) -> NDArray[np.int64]:
    drawn = rng.integers(items - 1, size=count)
    return drawn + (drawn >= item)
