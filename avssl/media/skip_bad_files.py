"""Work on a collection that continues without its bad files (``--on-bad-file skip``)."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import TypeVar

import numpy as np

from avssl.errors import MediaError
from avssl.media.facts import Media
from avssl.media.selection import Subset
from avssl.system.console import log

T = TypeVar("T")

FEW = 10  # bad files are skipped up to this number or a tenth of the items: more are no accident


class PassedOver(str):
    """A line about a bad file that is left out; ``path`` names the file."""

    path: str

    def __new__(cls, line: str, path: str) -> PassedOver:
        new = super().__new__(cls, line)
        new.path = path
        return new

    def __reduce__(self) -> tuple[type[PassedOver], tuple[str, str]]:  # it travels in the batches of worker processes
        return (type(self), (str(self), self.path))


_met: ContextVar[set[str] | None] = ContextVar("met", default=None)


@contextmanager
def each_bad_file_once() -> Iterator[None]:
    """A block in which each bad file is logged once: every epoch meets it again."""
    met = _met.get()
    token = _met.set(set() if met is None else met)
    try:
        yield
    finally:
        _met.reset(token)


def log_bad_file(line: str, path: str) -> None:
    """Log a line about a bad file, unless it was met before (:func:`each_bad_file_once`)."""
    met = _met.get()
    if met is None or path not in met:
        log(line)
    if met is not None:
        met.add(path)


def on_readable(media: Media, work: Callable[[Media], T], *, skip: bool, skipped: list[str] | None = None) -> T:
    """``work(media)``, and again without each file that turns out to be bad.

    Args:
        work: a pure function of a collection; it starts over with each file that is left out.
        skip: whether bad files may be left out.
        skipped: takes a line about each of them; None: it is logged.

    Raises:
        MediaError: a file is bad, and is not to be skipped, or there are too many.
    """
    part, most = media, max(FEW, len(media) // 10)
    while True:
        try:
            return work(part)
        except MediaError as error:
            kept = [i for i in range(len(part)) if part.facts(i).path != error.path]
            if not skip or not kept or len(kept) == len(part) or len(media) - len(kept) > most:
                raise
            line = f"skipped: {error}"
            if skipped is None:
                log_bad_file(line, error.path)
            else:
                skipped.append(line)
            part = Subset(part, np.array(kept, np.int64))
