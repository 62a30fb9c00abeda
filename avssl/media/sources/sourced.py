"""A collection with the sources that were found."""

from __future__ import annotations

from dataclasses import replace

from avssl.media.facts import Facts, Media
from avssl.media.selection import Subset, View, digest_of
from avssl.media.sources.source_groups import Sources


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
        media, i = media.origin(i) if len(media) else (media.base, i)
    return media, i


class Sourced(View):
    """Items of another collection with other sources. Made by :func:`with_sources`."""

    def __init__(self, base: Media, names: tuple[str, ...]) -> None:
        super().__init__(base)
        self.names = names

    @property
    def fingerprint(self) -> str:
        return digest_of(self.base.fingerprint, *self.names)

    def facts(self, i: int) -> Facts:
        return replace(self.base.facts(i), source=self.names[i])
