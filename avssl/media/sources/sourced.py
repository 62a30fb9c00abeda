"""A collection with other sources than its own."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from avssl.media.facts import Facts, Items, Media
from avssl.media.selection import Subset, View, column_of, digest_of, facts_of
from avssl.media.sources.source_groups import Sources


def with_sources(media: Media, sources: Sources) -> Media:
    """The same items with the sources found as ``facts(i).source``; ``media`` itself where they are the same."""
    if len(sources.names) != len(media):
        raise ValueError(f"sources of {len(sources.names)} items do not fit the {len(media)} items of the media")
    if column_of(media, "source").tolist() == list(sources.names):
        return media
    return Sourced(media, sources.names)


def underlying(media: Media, i: int = 0) -> tuple[Media, int]:
    """The collection behind subsets and views, and the number of item ``i`` in it."""
    while isinstance(media, (Subset, Sourced)):
        media, i = media.origin(i) if len(media) else (media.base, i)
    return media, i


class Sourced(View):
    """Made by :func:`with_sources`."""

    def __init__(self, base: Media, names: tuple[str, ...]) -> None:
        super().__init__(base)
        self.names = names

    @property
    def fingerprint(self) -> str:
        return digest_of(self.base.fingerprint, *self.names)

    def facts(self, i: int) -> Facts:
        return replace(self.base.facts(i), source=self.names[i])

    def each_facts(self, items: Items | None = None, sources: Sequence[str] | None = None) -> Iterator[Facts]:
        names = self.names if items is None else [self.names[i] for i in items]
        return facts_of(self.base, items, names if sources is None else sources)

    def column(self, name: str) -> NDArray[Any]:
        return np.array(self.names, object) if name == "source" else column_of(self.base, name)
