"""The origin of the items of an index: which data, which file, which part of it, and in which state."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from avssl.media import hf_dataset
from avssl.media.collection import Collection, FileState
from avssl.media.facts import Media
from avssl.media.selection import Delegating, digest_of, stamp_of
from avssl.system.console import counted
from avssl.system.remote import is_remote


@dataclass(frozen=True)
class Data:
    """What an index was made of: a folder, a table, a prepared set, or some files.

    Attributes:
        source: as :func:`avssl.open` takes it, absolute.
        state: changes when any of its files does.
    """

    source: str | tuple[str, ...]
    state: str = ""

    @staticmethod
    def of(data: str | Sequence[str], media: Media) -> Data:
        """The data, opened."""
        source = absolute(data) if isinstance(data, str) else tuple(absolute(one) for one in data)
        return Data(source, f"{media.fingerprint} {stamp_of(media)}")

    @staticmethod
    def read(plain: Mapping[str, Any]) -> Data:
        """What :meth:`plain` gave."""
        source = plain["source"]
        return Data(source if isinstance(source, str) else tuple(source), plain["state"])

    def plain(self) -> dict[str, Any]:
        """As JSON keeps it."""
        return {"source": self.source if isinstance(self.source, str) else list(self.source), "state": self.state}

    @property
    def named(self) -> str:
        """For people."""
        return self.source if isinstance(self.source, str) else f"the list of {counted(len(self.source), 'file')}"


def absolute(source: str) -> str:
    """The same data whatever folder a command is typed in."""
    if hf_dataset.is_hf_dataset(source):
        return hf_dataset.absolute(source)
    return source if is_remote(source) else os.path.abspath(Path(source).expanduser())  # noqa: PTH100


@dataclass(frozen=True, slots=True)
class Place:
    """Where an item lies.

    Attributes:
        number: in its data.
        path: of its file.
        zero_seconds: where its zero lies in the file.
        key: a digest that changes with the file and with the part of it that the item is.
    """

    number: int
    path: str
    zero_seconds: float
    key: str


def place_of(media: Media, i: int) -> Place:
    """Where an item of a collection lies."""
    facts = media.facts(i)
    base, number = media, i
    while isinstance(base, Delegating):
        base, number = base.origin(number)
    if not isinstance(base, Collection):  # a prepared set is in one state as a whole
        return Place(i, facts.path, 0.0, digest_of(base.fingerprint, str(number)))
    state = base.file_state(number)
    return Place(i, facts.path, state.zero_seconds, _key_of(facts.path, state, facts.duration_seconds))


def key_on_disk(path: str, zero_seconds: float, duration_seconds: float) -> str | None:
    """The key that an item of a file of its own has as the file lies there now; None where there is no such file.

    Nothing is opened: a search asks this of every result. Of an item of a tar or a prepared set it is another key.
    """
    try:
        stat = Path(path).stat()
    except OSError:
        return None
    return _key_of(path, FileState(zero_seconds, -1, stat.st_size, stat.st_mtime_ns), duration_seconds)


def _key_of(path: str, state: FileState, duration_seconds: float) -> str:
    return digest_of(path, *map(str, state), f"{duration_seconds:.6f}")
