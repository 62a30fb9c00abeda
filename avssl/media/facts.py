"""Facts of an item that are known before it is read, and the interface of every collection."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal, NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray

Kind = Literal["video", "image", "sound"]

Items = Sequence[int] | NDArray[np.int64]  # numbers of items in a collection

SHORT_SECONDS = 1.0  # shorter items are flagged "short": tasks with sound draw a second of it


@dataclass(frozen=True, slots=True)
class Facts:
    """One usable item. All times are seconds on the item's own clock.

    Zero is the time at which the first frame is shown; sound that starts earlier has negative times. A file of sound
    alone starts with its first sample.
    """

    path: str
    kind: Kind
    duration_seconds: float
    """From zero to the end of the last frame (sound alone: of the last sample); 0 for an image."""
    width: int
    """Pixels as shown, after rotation and pixel aspect; 0 for a file of sound alone."""
    height: int
    frame_count: int
    frame_rate: float
    """Mean frames a second, for people; nothing computes a time from it. 0 if there is one frame or none."""
    audio_rate: int
    """Samples a second as stored; 0 where there is no sound."""
    audio_channels: int
    audio_start_seconds: float
    audio_end_seconds: float
    label: str | None = None
    split: str | None = None
    source: str = ""
    """What the item was cut from (a source video), never divided between train and test; by default the path."""
    flags: tuple[str, ...] = ()
    """Of "silent", "still", "short": usable, but a task may skip it. Of odd files that play: "junk" (foreign bytes
    follow its end), "joined" (several recordings, one after the other), "unknown length" (its header, written into a
    pipe, leaves the length open), "cut" (cut out of a stream: pictures before the first whole one are skipped)."""

    @property
    def has_video(self) -> bool:
        return self.kind == "video"

    @property
    def has_sound(self) -> bool:
        return self.audio_rate > 0

    @property
    def source_or_path(self) -> str:
        """The source; of a file that names none, the file itself."""
        return self.source or self.path


class Rejected(NamedTuple):
    """A file that cannot be used, and why."""

    path: str
    reason: str


class Unusable(Exception):
    """Raised where inspection finds that a file cannot be used; its text is the reason that users read."""


class Media(Protocol):
    """A collection of items: what samplers, tasks and protocols read from.

    Implementations can be pickled (workers reopen files for themselves) and answer the same question
    with the same bytes in any process.
    """

    @property
    def rejected(self) -> Sequence[Rejected]:
        """Files that cannot be used, with their reasons."""
        ...

    @property
    def fingerprint(self) -> str:
        """A hex digest of the content of the collection (paths, sizes, facts)."""
        ...

    def __len__(self) -> int: ...

    def facts(self, i: int) -> Facts: ...

    def frame_times(self, i: int) -> NDArray[np.float64]:
        """The time at which each frame of item ``i`` is first shown, ascending, the first 0.0. (n,)"""
        ...

    def frames(self, i: int, times: Sequence[float]) -> NDArray[np.uint8]:
        """The frame *shown* at each of ``times``: uint8 RGB (len(times), 3, height, width).

        That is the last one whose time is at most t (+ 1 µs); before the first frame the first, after the last the
        last. Raises MediaError, with file and time, where the file cannot be read there.
        """
        ...

    def audio(self, i: int, start_seconds: float, duration_seconds: float, rate: int) -> NDArray[np.float32]:
        """Sound from a time on, mono: float32 (round(duration_seconds * rate),), full scale ±1, zeros in gaps.

        Raises MediaError, with file and time, where the file cannot be read there or has no sound at all.
        """
        ...

    def annotation(self, i: int) -> dict[str, Any] | None:
        """The JSON object beside the file (same name, suffix ``.json``), or None. Never read for training."""
        ...
