"""Where a stream lies: in a file that is read at any place, or in pieces (DASH) of which those needed are fetched."""

from __future__ import annotations

import io
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple, Protocol

import av
from av.container import InputContainer

TIMEOUT_SECONDS = 20.0
# The lengths that a manifest gives are rounded: so much before and after what is wanted is fetched, too.
MARGIN_SECONDS = 0.5


class Opened(NamedTuple):
    """A stream that can be read.

    Attributes:
        origin: its time of the video's beginning, in seconds.
        seconds: of the whole video; infinite where that is not known.
    """

    container: InputContainer
    origin: float
    seconds: float


class Stream(Protocol):
    """Pictures, sound, or both."""

    def open(self, start: float, end: float) -> Opened:
        """Open it to be read between two times of the video, in seconds; raises PyAV's errors."""
        ...


@dataclass(frozen=True)
class Address:
    """A file: its URL and the lines of the request that go with it."""

    url: str
    headers: Mapping[str, str] = field(default_factory=dict)

    def open(self, start: float, end: float) -> Opened:
        """Open it where it lies; it is read from any time on."""
        lines = "".join(f"{name}: {value}\r\n" for name, value in self.headers.items())
        container = av.open(self.url, options={"headers": lines} if lines else {}, timeout=TIMEOUT_SECONDS)
        whole = container.duration / av.time_base if container.duration else float("inf")
        return Opened(container, _began(container), whole)


class Piece(NamedTuple):
    """One of the files that a stream consists of; without seconds the one that all others need before them."""

    url: str
    seconds: float | None


@dataclass(frozen=True)
class Pieces:
    """The files of a stream in order, and what fetches one."""

    pieces: Sequence[Piece]
    fetch: Callable[[str], bytes]

    def open(self, start: float, end: float) -> Opened:
        """Open what holds these seconds; of the first piece it is read when the stream begins.

        Raises:
            whatever ``fetch`` raises; PyAV's errors.
        """
        head = b"".join(self.fetch(piece.url) for piece in self.pieces if piece.seconds is None)
        timed = [(piece.url, piece.seconds) for piece in self.pieces if piece.seconds is not None]
        wanted, time = [], 0.0
        for url, seconds in timed:
            if time - MARGIN_SECONDS < end and time + seconds + MARGIN_SECONDS > start:
                wanted.append(url)
            time += seconds
        first = self.fetch(timed[0][0]) if timed else b""
        with av.open(io.BytesIO(head + first), "r") as beginning:
            origin = _began(beginning)
        rest = (first if url == timed[0][0] else self.fetch(url) for url in wanted)
        return Opened(av.open(io.BytesIO(head + (b"".join(rest) or first)), "r"), origin, time)


def _began(container: InputContainer) -> float:
    return (container.start_time or 0) / av.time_base
