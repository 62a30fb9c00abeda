"""Two collections as one: the items of the second after those of the first."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from avssl.media.facts import Facts, Media, Rejected
from avssl.media.selection import Selectable, digest_of


class Both(Selectable):
    """The items of two collections. A source that is merely the file's name within its folder becomes the path."""

    def __init__(self, first: Media, second: Media) -> None:
        self.first, self.second = first, second

    def __len__(self) -> int:
        return len(self.first) + len(self.second)

    @property
    def rejected(self) -> Sequence[Rejected]:
        return [*self.first.rejected, *self.second.rejected]

    @property
    def fingerprint(self) -> str:
        return digest_of(self.first.fingerprint, self.second.fingerprint)

    @property
    def stamp(self) -> str:
        """Changes with the files of either."""
        return digest_of(*(str(getattr(part, "stamp", "")) for part in (self.first, self.second)))

    def part(self, i: int) -> tuple[Media, int]:
        """The collection that item ``i`` is of, and its number there."""
        return (self.first, i) if i < len(self.first) else (self.second, i - len(self.first))

    def facts(self, i: int) -> Facts:
        media, item = self.part(i)
        facts = media.facts(item)
        told = facts.source and not facts.path.endswith(facts.source)
        return facts if told else replace(facts, source=facts.path)

    def frame_times(self, i: int) -> NDArray[np.float64]:
        media, item = self.part(i)
        return media.frame_times(item)

    def frames(self, i: int, times: Sequence[float]) -> NDArray[np.uint8]:
        media, item = self.part(i)
        return media.frames(item, times)

    def audio(self, i: int, start_seconds: float, duration_seconds: float, rate: int) -> NDArray[np.float32]:
        media, item = self.part(i)
        return media.audio(item, start_seconds, duration_seconds, rate)

    def annotation(self, i: int) -> dict[str, Any] | None:
        media, item = self.part(i)
        return media.annotation(item)
