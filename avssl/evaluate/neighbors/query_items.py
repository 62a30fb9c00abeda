"""Query items of a collection: a frame, a patch of it, or the sound around it, each an item of its own."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from avssl.errors import UserError
from avssl.evaluate.data.features import even_times
from avssl.media.facts import Facts, Media
from avssl.media.selection import View, digest_of
from avssl.samplers.keys import generator
from avssl.system.console import counted

What = Literal["frames", "patches", "sounds"]
WHAT: tuple[What, ...] = ("frames", "patches", "sounds")


@dataclass(frozen=True)
class QueryItem:
    """One entry."""

    item: int  # number of the item in the collection
    seconds: float  # the frame shown then, or the middle of the sound
    # Left and top of a patch, as shares of the width and the height that are left beside it
    corner: tuple[float, float] | None = None


class QueryItems(View):
    """Query items as a collection of media: each has one frame, whatever the time, and its sound in its middle.

    ``patch`` is the side of a patch as a share of the picture's shorter side.
    """

    def __init__(self, base: Media, entries: Sequence[QueryItem], patch: float = 1.0) -> None:
        super().__init__(base)
        self.entries, self.patch = tuple(entries), patch

    @property
    def fingerprint(self) -> str:
        # Features are kept by fingerprint: every entry must be in it
        parts = [f"{entry.item} {entry.seconds!r} {entry.corner!r}" for entry in self.entries]
        return digest_of(self.base.fingerprint, repr(self.patch), *parts)

    def __len__(self) -> int:
        return len(self.entries)

    def facts(self, i: int) -> Facts:
        """Of the item, but that its sound has no length: a window in its middle lies around its time."""
        entry = self.entries[i]
        facts = self.base.facts(entry.item)
        return replace(facts, audio_start_seconds=entry.seconds, audio_end_seconds=entry.seconds)

    def frame_times(self, i: int) -> NDArray[np.float64]:
        return np.zeros(1)

    def frames(self, i: int, times: Sequence[float]) -> NDArray[np.uint8]:
        entry = self.entries[i]
        frame = self.base.frames(entry.item, [entry.seconds])[0]
        if entry.corner is not None:
            height, width = frame.shape[1:]
            side = max(1, round(min(height, width) * self.patch))
            left, top = round(entry.corner[0] * (width - side)), round(entry.corner[1] * (height - side))
            frame = frame[:, top : top + side, left : left + side]
        return np.repeat(frame[None], len(times), axis=0)

    def only(self, chosen: Sequence[int]) -> QueryItems:
        """The entries of these indices, in this order."""
        return QueryItems(self.base, [self.entries[i] for i in chosen], self.patch)

    def origin(self, i: int) -> tuple[Media, int]:
        return self.base, self.entries[i].item

    def sources(self) -> list[str]:
        """What each entry was cut from."""
        return [self.base.facts(entry.item).source for entry in self.entries]


def find_query_items(
    media: Media, what: What, each: int, *, seconds: float = 1.0, patch: float = 0.25, seed: int = 0
) -> QueryItems:
    """At most ``each`` frames, patches or windows of sound of each item that has them; of an image always one frame.

    Frames and sounds (of so many seconds) lie in the middle of equal shares of the item; patches anywhere in the
    frames, drawn by the seed, with sides of so large a share of the shorter side.

    Raises:
        UserError: no item has any.
    """
    found: list[QueryItem] = []
    for i in range(len(media)):
        facts = media.facts(i)
        if what == "sounds":
            if facts.has_sound:
                found += [QueryItem(i, middle) for middle in _windows(facts, seconds, each)]
        elif facts.kind != "sound":
            count = 1 if what == "frames" and facts.kind == "image" else each
            for k, time in enumerate(even_times(facts, count)):
                # By item and number: more patches of an item leave the first where they were
                place = generator(seed, "patch", i, k).random(2) if what == "patches" else None
                found.append(QueryItem(i, time, None if place is None else (float(place[0]), float(place[1]))))
    if not found:
        raise UserError(f"none of the {counted(len(media), 'item')} has {'sound' if what == 'sounds' else 'a picture'}")
    return QueryItems(media, found, patch)


def _windows(facts: Facts, seconds: float, each: int) -> list[float]:
    """Middles of windows that do not overlap, within the sound: fewer than ``each`` where it is short."""
    first, last = facts.audio_start_seconds, facts.audio_end_seconds
    count = max(1, min(each, int((last - first) / seconds)))
    return [first + (k + 0.5) / count * (last - first) for k in range(count)]
