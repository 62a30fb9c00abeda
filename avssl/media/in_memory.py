"""Small pictures kept decoded: reading one again costs nothing."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from avssl.media.facts import Facts, Items, Media
from avssl.media.selection import View, column_of, digest_of, facts_of

KEPT_BYTES = 512 * 2**20  # of pictures in a process; each worker keeps its own


def in_memory(media: Media, limit_bytes: int = KEPT_BYTES) -> Media:
    """The same media with each picture decoded once, if all are images and fit; else ``media`` itself."""
    total = 0
    for facts in facts_of(media):
        total += 3 * facts.width * facts.height
        if facts.kind != "image" or total > limit_bytes:
            return media
    return InMemory(media)


class InMemory(View):
    """Images of another collection, decoded on first use. Pickles without the pictures."""

    def __init__(self, base: Media) -> None:
        super().__init__(base)
        self._facts: dict[int, Facts] = {}
        self._pictures: dict[int, NDArray[np.uint8]] = {}

    def __getstate__(self) -> dict[str, Any]:
        return {**vars(self), "_facts": {}, "_pictures": {}}

    @property
    def stamp(self) -> str:
        return str(getattr(self.base, "stamp", digest_of(self.base.fingerprint)))

    def facts(self, i: int) -> Facts:
        found = self._facts.get(i)
        if found is None:
            found = self._facts[i] = self.base.facts(i)
        return found

    def each_facts(self, items: Items | None = None, sources: Sequence[str] | None = None) -> Iterator[Facts]:
        return facts_of(self.base, items, sources)

    def column(self, name: str) -> NDArray[Any]:
        return column_of(self.base, name)

    def frames(self, i: int, times: Sequence[float]) -> NDArray[np.uint8]:
        """As the base gives them; of one time a view that must not be written to."""
        picture = self._pictures.get(i)
        if picture is None:
            # Stored channels last, as cropping and scaling need it; channels first is a view, at no cost.
            decoded = np.ascontiguousarray(self.base.frames(i, [0.0]).transpose(0, 2, 3, 1))
            decoded.flags.writeable = False
            picture = decoded.transpose(0, 3, 1, 2)
            self._pictures[i] = picture
        return picture if len(times) == 1 else np.repeat(picture, len(times), axis=0)
