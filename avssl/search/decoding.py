"""Decoding frames and sounds of moments in separate processes: a file that crashes one costs only itself."""

from __future__ import annotations

import pickle
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from avssl.errors import MediaError
from avssl.media.facts import Media
from avssl.system.process_pool import Lost, each, spare_cores

HANGS_AFTER_SECONDS = 120.0

AHEAD = 4
"""Answers that wait to be embedded: each may be 25 MB of frames."""


@dataclass(frozen=True, slots=True)
class Wanted:
    """Moments of one item.

    Attributes:
        item: its number in the collection.
        times: the moments, seconds.
        frames: whether their frames are wanted.
        sound: (seconds, rate) of the sound around each, if it is wanted.
    """

    item: int
    times: Sequence[float]
    frames: bool
    sound: tuple[float, int] | None


class Decoded(NamedTuple):
    """What was decoded of one :class:`Wanted`.

    Attributes:
        frames: the centre squares, uint8 (n, 3, side, side); None where none are wanted.
        sounds: float32 (n, samples); None where none are wanted.
    """

    frames: NDArray[np.uint8] | None
    sounds: NDArray[np.float32] | None


def decoded(media: Media, jobs: Sequence[Wanted], workers: int | None = None) -> Iterator[tuple[int, Decoded | str]]:
    """(place in ``jobs``, what was decoded, or why it could not be), in the order of finishing.

    Args:
        workers: processes; None takes the cores there are, 0 works in this process, where no crash is caught.
    """
    # Pickled once: in a worker the collection is opened by the first job and kept.
    token = pickle.dumps(media)
    orders = [(token, job) for job in jobs]
    ahead = max(AHEAD, spare_cores())
    for place, found in each(_decode, orders, workers, lambda order: HANGS_AFTER_SECONDS, ahead):
        yield place, found.reason if isinstance(found, Lost) else found


@lru_cache(maxsize=1)
def _opened(token: bytes) -> Media:
    media: Media = pickle.loads(token)
    return media


def _decode(order: tuple[bytes, Wanted]) -> Decoded | str:
    token, wanted = order
    media = _opened(token)
    try:
        frames = _centre(media.frames(wanted.item, wanted.times)) if wanted.frames else None
        if wanted.sound is None:
            return Decoded(frames, None)
        length, rate = wanted.sound
        sounds = [media.audio(wanted.item, time - length / 2, length, rate) for time in wanted.times]
        return Decoded(frames, np.stack(sounds))
    except MediaError as error:
        return error.reason or str(error)


def _centre(frames: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """What the model looks at: less to hand over."""
    height, width = frames.shape[-2:]
    short = min(height, width)
    top, left = (height - short) // 2, (width - short) // 2
    # A view would keep the whole frames alive, and be pickled with them.
    return np.ascontiguousarray(frames[..., top : top + short, left : left + short])
