"""The order of an epoch: the item of a key, and which others it may be paired with.

By items, any item may come next. By shards (:class:`ByShards`), the shards of a prepared set are shuffled, and the
items of a few of them at a time: so a shard is needed once an epoch, for a while, and may lie far away. Either order is
a pure function of the key, whatever the number of workers and processes.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from avssl.errors import UserError
from avssl.media.facts import Media
from avssl.media.prepared.read import Prepared
from avssl.media.selection import Subset, View
from avssl.samplers.keys import Key, generator, permutation

# Up to this share of a window the shards of the next one are asked for, one after the other: early enough that the last
# is here in time, late enough that not all are here together from the beginning.
ALL_AHEAD = 0.6

# The one that is read, the next, and the last, from which a slower worker or process may still read.
_WINDOWS_AT_HAND = 3


class Companions(NamedTuple):
    """Items that may be drawn together with a key's own, which is the one ``at`` this place."""

    items: Sequence[int] | NDArray[np.int64]
    at: int


def item_of(media: Media, key: Key) -> int:
    """The item of a key: each once in an epoch, in a new order; indices beyond begin another round.

    Within a round consecutive indices are different items, so that in a batch of positives one video is not another's
    negative twice.
    """
    if isinstance(media, ByShards):
        return media.item_of(key)
    rounds, place = divmod(key.index, len(media))
    return int(permutation(key.seed, _round(key.epoch, rounds), len(media))[place])


def companions(media: Media, key: Key, item: int) -> Companions:
    """The items that others than the key's own, ``item``, are drawn from: all, or those of its window of shards."""
    if isinstance(media, ByShards):
        return media.companions(key)
    return Companions(range(len(media)), item)


def other_index(media: Media, key: Key, length: int, rng: np.random.Generator) -> int:
    """The index of another puzzle of the same epoch, of ``length`` puzzles; by shards of the same window."""
    if not isinstance(media, ByShards):
        return int(rng.integers(length))
    near = media.companions(key)
    begin = key.index - near.at
    return int(rng.integers(begin, min(begin + len(near.items), length)))


def stored_in(media: Media) -> tuple[Prepared, NDArray[np.int32]] | None:
    """The prepared set that a collection is a part or view of, and the shard of each item; None where it is none."""
    if isinstance(media, Prepared):
        return media, media.shard_numbers()
    found = stored_in(media.base) if isinstance(media, View) else None
    if found is not None and isinstance(media, Subset):
        return found[0], found[1][media.indices]
    return found


@dataclass(frozen=True)
class _Epoch:
    """One round over all items."""

    items: NDArray[np.int64]  # in their order
    begins: NDArray[np.int64]  # place of the first item of each window, and the end of the last
    shards: list[list[int]]  # of each window

    def window(self, place: int) -> int:
        return int(np.searchsorted(self.begins, place, "right")) - 1


class ByShards(View):
    """A part of a prepared set whose epochs go by shards. What it holds is as in the collection it is made from.

    Args:
        base: part or view of a prepared set.
        window: shards whose items are shuffled together.
        length: puzzles of an epoch, where that is not one an item.

    Raises:
        UserError: ``base`` is not prepared, or its cache does not hold three windows.
    """

    def __init__(self, base: Media, window: int, length: int | None = None) -> None:
        super().__init__(base)
        found = stored_in(base)
        if found is None:
            raise UserError("--order shards is for prepared sets, and these data are none: avssl prepare DATA OUT")
        self.window = window
        self._prepared, self._shards = found
        self._length = length or len(base)
        self._epochs: dict[tuple[int, int], _Epoch] = {}
        self._last: tuple[int, ...] | None = None
        self._expected: tuple[object, ...] = ()
        self._prepared.must_hold(_WINDOWS_AT_HAND * window, np.unique(self._shards).tolist())

    def __getstate__(self) -> dict[str, Any]:
        # One object in the copy, too: what is announced must reach the one that is read from.
        return {**vars(self), "_epochs": {}, "_last": None, "_expected": ()}

    @property
    def shard_count(self) -> int:
        """Shards that hold items of this part."""
        return len(np.unique(self._shards))

    def item_of(self, key: Key) -> int:
        """As :func:`item_of`; the shards that come next are announced."""
        rounds, place = divmod(key.index, len(self))
        epoch = self._epoch(key.seed, _round(key.epoch, rounds))
        self._announce(key, rounds, place, epoch)
        return int(epoch.items[place])

    def companions(self, key: Key) -> Companions:
        """The items of the same window."""
        rounds, place = divmod(key.index, len(self))
        epoch = self._epoch(key.seed, _round(key.epoch, rounds))
        begin, end = epoch.begins[(window := epoch.window(place)) : window + 2]
        return Companions(epoch.items[begin:end], place - int(begin))

    def _announce(self, key: Key, rounds: int, place: int, epoch: _Epoch) -> None:
        """Let the set know which shards are read now, and which will be next.

        Not where keys jump from window to window, as in a loop that shuffles them: it would fetch a window for each.
        """
        window = epoch.window(place)
        here = (key.seed, key.epoch, rounds, window)
        follows = window == 0 or self._last in (None, here, (*here[:3], window - 1))
        self._last = here
        begin, end = epoch.begins[window : window + 2].tolist()
        count = 1 + int(self.window * min(1.0, (place - begin) / (end - begin) / ALL_AHEAD))
        if not follows or self._expected == (here, count):
            return
        self._expected = (here, count)
        if window + 1 < len(epoch.shards):
            later = epoch.shards[window + 1]
        else:
            more = (rounds + 1) * len(self) < self._length
            following = _round(key.epoch, rounds + 1) if more else _round(key.epoch + 1, 0)
            later = self._epoch(key.seed, following).shards[0]
        self._prepared.expect(epoch.shards[window], later[:count])

    def _epoch(self, seed: int, number: int) -> _Epoch:
        epoch = self._epochs.get((seed, number))
        if epoch is None:
            if len(self._epochs) >= 2:  # this one and the next
                self._epochs.pop(next(iter(self._epochs)))
            epoch = self._epochs[seed, number] = self._drawn(seed, number)
        return epoch

    def _drawn(self, seed: int, number: int) -> _Epoch:
        # Of all that decides the order and nothing else: workers and processes draw it alike, each for itself.
        rng = generator(seed, number, len(self), self.window, "shards")
        shards = rng.permutation(np.unique(self._shards))
        places = np.zeros(int(shards.max()) + 1, np.int64)
        places[shards] = np.arange(len(shards)) // self.window
        windows = places[self._shards]
        items = np.lexsort((rng.permutation(len(self)), windows))
        count = -(-len(shards) // self.window)
        begins = np.searchsorted(windows[items], np.arange(count + 1))
        groups = [shards[k * self.window : (k + 1) * self.window].tolist() for k in range(count)]
        return _Epoch(items, begins, groups)


def _round(epoch: int, rounds: int) -> int:
    """The number of a round over all items."""
    # No two rounds share a number as long as an epoch has fewer than a million of them.
    return epoch * 1_000_003 + rounds
