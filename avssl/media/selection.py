"""Subsets, unions and views of collections: collections themselves, at no cost."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import replace
from functools import partial
from itertools import chain
from typing import TYPE_CHECKING, Any, Protocol, overload

import numpy as np
from numpy.typing import NDArray

from avssl.errors import UserError
from avssl.media.facts import Facts, Items, Media, Rejected
from avssl.system.console import counted

if TYPE_CHECKING:
    from avssl.media.item import Item


class _HasFacts(Protocol):
    def __len__(self) -> int: ...

    def facts(self, i: int) -> Facts: ...


class Selectable:
    """What every collection offers: its items, and subsets of it, which are collections, too."""

    @overload
    def __getitem__(self: Media, i: int) -> Item: ...
    @overload
    def __getitem__(self: Media, i: slice) -> Subset: ...
    def __getitem__(self: Media, i: int | slice) -> Item | Subset:
        """Item ``i`` (from the end if negative), or a subset; raises IndexError where there is no such item."""
        from avssl.media.item import Item

        if not isinstance(i, slice) and not -len(self) <= i < len(self):
            raise IndexError(f"items are numbered 0 to {len(self) - 1}, not {i}")
        numbers = range(len(self))[i]
        return Item(self, numbers) if isinstance(numbers, int) else Subset(self, np.array(numbers, np.int64))

    def __iter__(self: Media) -> Iterator[Item]:
        from avssl.media.item import Item

        return (Item(self, i) for i in range(len(self)))

    def _repr_html_(self: Media) -> str:
        from avssl.media.item import collection_html

        return collection_html(self)

    def subset(self: Media, indices: Iterable[int]) -> Subset:
        """The items with these numbers, in this order; raises IndexError where there is no such item."""
        chosen = np.fromiter(indices, np.int64)
        if len(chosen) and (chosen.min() < 0 or chosen.max() >= len(self)):
            raise IndexError(f"items are numbered 0 to {len(self) - 1}, not {chosen.min()} or {chosen.max()}")
        return Subset(self, chosen)

    def each_facts(
        self: _HasFacts, items: Items | None = None, sources: Sequence[str] | None = None
    ) -> Iterator[Facts]:
        """``facts(i)`` of all items, or of these, in order; with other sources, if given. Faster than one by one."""
        numbers = range(len(self)) if items is None else items
        if sources is None:
            return (self.facts(int(i)) for i in numbers)
        return (replace(self.facts(int(i)), source=name) for i, name in zip(numbers, sources, strict=True))

    def column(self: _HasFacts, name: str) -> NDArray[Any]:
        """One of the facts of all items: numbers; texts and all else as objects. (items,)"""
        kind = {"int": np.int64, "float": np.float64}.get(Facts.__annotations__[name], object)
        values = np.empty(len(self), kind)
        for i, facts in enumerate(facts_of(self)):
            values[i] = getattr(facts, name)
        return values

    def filter(self: Media, predicate: Callable[[Facts], bool]) -> Subset:
        """The items whose facts satisfy ``predicate`` now."""
        return Subset(self, np.array([i for i, facts in enumerate(facts_of(self)) if predicate(facts)], np.int64))

    def split_by_source(self: Media, fraction: float, seed: int = 0) -> tuple[Subset, Subset]:
        """Divide into (rest, held out) so that no source (``Facts.source``) is in both.

        Whole sources are held out, in an order drawn from ``seed``, until they have ``fraction`` of the items; both
        parts get at least one. A source falls on the same side wherever the folder lies and however its files are
        ordered.

        Raises:
            UserError: all items come from one source.
        """
        if not 0 < fraction < 1:
            raise ValueError(f"fraction ({fraction}) must lie between 0 and 1")
        sources = column_of(self, "source").tolist()
        counts = Counter(sources)
        if len(counts) < 2:
            one = f"cannot hold out a part of {counted(len(self), 'item')} that all come from one source"
            raise UserError(f"{one}; add items of another, or give held-out data")
        held_out: set[str] = set()
        held = 0
        for source in held_out_order(counts, seed):
            too_much = held + counts[source] > fraction * len(sources)
            if (held_out and too_much) or len(held_out) == len(counts) - 1:
                break
            held_out.add(source)
            held += counts[source]
        chosen = np.array([source in held_out for source in sources])
        return Subset(self, np.flatnonzero(~chosen)), Subset(self, np.flatnonzero(chosen))


def held_out_order(sources: Iterable[str], seed: int) -> list[str]:
    """Sources in the order in which they are held out: by a hash, so that one more leaves the others in place."""
    return sorted(sources, key=lambda name: digest_of(str(seed), name))


class Delegating(Selectable):
    """Items of other collections: a subclass defines which (:meth:`origin`), and what differs."""

    def origin(self, i: int) -> tuple[Media, int]:
        """The collection that item ``i`` is read from, and its number in it."""
        raise NotImplementedError

    def facts(self, i: int) -> Facts:
        media, item = self.origin(i)
        return media.facts(item)

    def frame_times(self, i: int) -> NDArray[np.float64]:
        media, item = self.origin(i)
        return media.frame_times(item)

    def frames(self, i: int, times: Sequence[float]) -> NDArray[np.uint8]:
        media, item = self.origin(i)
        return media.frames(item, times)

    def audio(self, i: int, start_seconds: float, duration_seconds: float, rate: int) -> NDArray[np.float32]:
        media, item = self.origin(i)
        return media.audio(item, start_seconds, duration_seconds, rate)

    def annotation(self, i: int) -> dict[str, Any] | None:
        media, item = self.origin(i)
        return media.annotation(item)


class View(Delegating):
    """The items of one other collection."""

    def __init__(self, base: Media) -> None:
        self.base = base

    def __len__(self) -> int:
        return len(self.base)

    @property
    def rejected(self) -> Sequence[Rejected]:
        return self.base.rejected

    @property
    def fingerprint(self) -> str:
        return self.base.fingerprint

    @property
    def stamp(self) -> str:
        return stamp_of(self.base)

    def origin(self, i: int) -> tuple[Media, int]:
        return self.base, i


class Subset(View):
    """Some items of another collection. Made by ``subset``, ``filter`` and ``split_by_source``."""

    indices: NDArray[np.int64]

    def __init__(self, base: Media, indices: NDArray[np.int64]) -> None:
        if isinstance(base, Subset):
            indices = base.indices[indices]
            base = base.base
        super().__init__(base)
        self.indices = indices.astype(np.int64)

    def __len__(self) -> int:
        return len(self.indices)

    @property
    def fingerprint(self) -> str:
        return digest_of(self.base.fingerprint, self.indices.astype("<i8").tobytes())

    @property
    def stamp(self) -> str:
        return digest_of(super().stamp, self.indices.astype("<i8").tobytes())

    def origin(self, i: int) -> tuple[Media, int]:
        return self.base, int(self.indices[i])

    def each_facts(self, items: Items | None = None, sources: Sequence[str] | None = None) -> Iterator[Facts]:
        return facts_of(self.base, self.indices if items is None else self.indices[np.asarray(items, int)], sources)

    def column(self, name: str) -> NDArray[Any]:
        column: NDArray[Any] = column_of(self.base, name)[self.indices]
        return column


class Sourced(View):
    """The items of another collection with other sources; made by ``with_sources``."""

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


class Concatenated(Delegating):
    """The items of two collections, one after the other.

    Default sources are names within a folder; two folders may have the same, so that they become paths.
    """

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
        return digest_of(stamp_of(self.first), stamp_of(self.second))

    def origin(self, i: int) -> tuple[Media, int]:
        return (self.first, i) if i < len(self.first) else (self.second, i - len(self.first))

    def facts(self, i: int) -> Facts:
        return _named_by_path(super().facts(i))

    def each_facts(self, items: Items | None = None, sources: Sequence[str] | None = None) -> Iterator[Facts]:
        if items is not None or sources is not None:
            return super().each_facts(items, sources)
        return map(_named_by_path, chain(facts_of(self.first), facts_of(self.second)))


def _named_by_path(facts: Facts) -> Facts:
    is_named = facts.source and not facts.path.endswith(facts.source)
    return facts if is_named else replace(facts, source=facts.path)


def underlying(media: Media, i: int = 0) -> tuple[Media, int]:
    """The collection behind subsets and views, and the number of item ``i`` in it."""
    while isinstance(media, (Subset, Sourced)):
        media, i = media.origin(i) if len(media) else (media.base, i)
    return media, i


def facts_of(media: _HasFacts, items: Items | None = None, sources: Sequence[str] | None = None) -> Iterator[Facts]:
    """The facts of all items of any collection, or of these; see :meth:`Selectable.each_facts`."""
    each = getattr(media, "each_facts", partial(Selectable.each_facts, media))
    found: Iterator[Facts] = each(items, sources)
    return found


def column_of(media: _HasFacts, name: str) -> NDArray[Any]:
    """One of the facts of all items of any collection; see :meth:`Selectable.column`."""
    column: NDArray[Any] = getattr(media, "column", partial(Selectable.column, media))(name)
    return column


def stamp_of(media: Media) -> str:
    """A text that changes when any file of a collection is rewritten; "" where there is none."""
    return str(getattr(media, "stamp", ""))


def digest_of(*parts: str | bytes) -> str:
    """A short hex digest of texts and bytes."""
    state = hashlib.blake2b(digest_size=16)
    for part in parts:
        data = part.encode("utf-8", "surrogateescape") if isinstance(part, str) else part
        state.update(len(data).to_bytes(8, "little") + data)  # with the length, ("ab", "c") differs from ("a", "bc")
    return state.hexdigest()
