"""Which files a batch was drawn from, found only when asked for, so that drawing costs nothing more."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from avssl.errors import UserError
from avssl.media.facts import Media
from avssl.trainer.loader import Source, Steps

NAMED = 3


def files_of_batch(steps: Steps, step: int, plan: int) -> list[str]:
    """The files that this step's batch of this task was drawn from, over all ranks, each once.

    A puzzle is a pure function of its key, so the batch is drawn once more from media that write down what is
    read of them.
    """
    source = steps.sources[plan]
    witness = _Witness(source.media)
    drawn_again = Source(source.task.variant(left_to_device="nothing"), witness, source.length)
    for key in dict(steps.keys(step))[plan]:
        with suppress(UserError):  # a file that cannot be read any more has been written down by then
            drawn_again.draw(key, steps.on_bad_file, [])
    return list(dict.fromkeys(source.media.facts(item).path for item in witness.read))


def in_short(paths: Sequence[str]) -> str:
    """A few names for people: "a.wav, b.wav, c.wav … (and 28 more)"."""
    names = [Path(path).name for path in paths]
    if len(set(names)) < len(names):
        names = list(paths)
    more = len(names) - NAMED
    return ", ".join(names[:NAMED]) + (f" … (and {more} more)" if more > 0 else "")


class _Witness:
    """Media that record which items are read; otherwise the media that they wrap."""

    def __init__(self, media: Media) -> None:
        self._media = media
        self.read: list[int] = []

    @property  # type: ignore[misc]
    def __class__(self) -> type:
        # Samplers ask whether media are a part of others; what they learn must be true of the real ones.
        return type(self._media)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._media, name)

    def __len__(self) -> int:
        return len(self._media)

    def frames(self, i: int, times: Sequence[float]) -> NDArray[np.uint8]:
        self.read.append(i)
        return self._media.frames(i, times)

    def audio(self, i: int, start_seconds: float, duration_seconds: float, rate: int) -> NDArray[np.float32]:
        self.read.append(i)
        return self._media.audio(i, start_seconds, duration_seconds, rate)
