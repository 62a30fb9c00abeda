"""A collection whose facts tell the sources that were found."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from avssl.media.facts import Facts, Media, Rejected
from avssl.media.selection import Selectable, Subset, digest_of
from avssl.media.sources.found import Sources


def with_sources(media: Media, sources: Sources) -> Media:
    """The same items, whose ``facts(i).source`` is the one found. All else is as in ``media``.

    Returns:
        ``media`` itself where every source is the one that it tells already.
    """
    if len(sources.names) != len(media):
        raise ValueError(f"sources of {len(sources.names)} items do not fit the {len(media)} items of the media")
    if all(media.facts(i).source == name for i, name in enumerate(sources.names)):
        return media
    return Sourced(media, sources.names)


def underlying(media: Media, i: int = 0) -> tuple[Media, int]:
    """The collection that parts and views of it were made from, and the number that item ``i`` has there."""
    while isinstance(media, (Subset, Sourced)):
        if isinstance(media, Subset) and len(media):
            i = int(media.indices[i])
        media = media.base
    return media, i


class Sourced(Selectable):
    """Items of another collection with other sources. Made by :func:`with_sources`."""

    def __init__(self, base: Media, names: tuple[str, ...]) -> None:
        self.base = base
        self.names = names

    def __len__(self) -> int:
        return len(self.base)

    @property
    def rejected(self) -> Sequence[Rejected]:
        return self.base.rejected

    @property
    def fingerprint(self) -> str:
        return digest_of(self.base.fingerprint, *self.names)

    @property
    def stamp(self) -> str:
        """As of the base collection: changes with the files it was made from."""
        return str(getattr(self.base, "stamp", ""))

    def facts(self, i: int) -> Facts:
        return replace(self.base.facts(i), source=self.names[i])

    def frame_times(self, i: int) -> NDArray[np.float64]:
        return self.base.frame_times(i)

    def frames(self, i: int, times: Sequence[float]) -> NDArray[np.uint8]:
        return self.base.frames(i, times)

    def audio(self, i: int, start_seconds: float, duration_seconds: float, rate: int) -> NDArray[np.float32]:
        return self.base.audio(i, start_seconds, duration_seconds, rate)

    def annotation(self, i: int) -> dict[str, Any] | None:
        return self.base.annotation(i)
