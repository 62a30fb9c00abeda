"""Work on a collection that goes on without its bad files, where that is asked for."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

import numpy as np

from avssl.errors import MediaError
from avssl.media.facts import Media
from avssl.media.selection import Subset

T = TypeVar("T")

FEW = 10
"""Bad files that are passed over in any collection; beyond them a tenth of its items. More are no accident."""


class PassedOver(str):
    """A line about a bad file that is left out; ``path`` names the file."""

    path: str

    def __new__(cls, line: str, path: str) -> PassedOver:
        """``line`` as text that knows its file."""
        new = super().__new__(cls, line)
        new.path = path
        return new

    def __reduce__(self) -> tuple[type[PassedOver], tuple[str, str]]:
        return (type(self), (str(self), self.path))


def once_a_file(say: Callable[[str], None]) -> Callable[[str], None]:
    """``say``, but of each bad file only the first line: it is met again and again as long as a training lasts."""
    told: set[str] = set()

    def once(line: str) -> None:
        if isinstance(line, PassedOver):
            if line.path in told:
                return
            told.add(line.path)
        say(line)

    return once


def on_readable(media: Media, work: Callable[[Media], T], *, skip: bool, say: Callable[[str], None]) -> T:
    """``work(media)``; where a file is bad and may be skipped, again without it.

    Args:
        media: what is worked on.
        work: a pure function of a collection; it is begun anew with each file that is left out.
        skip: whether bad files may be left out.
        say: takes a line about each of them.

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
            say(PassedOver(f"passed over: {error}", error.path))
            part = Subset(part, np.array(kept, np.int64))
