"""Files to rows of embeddings: frames, and the sound around each, in the common space.

Rows come in blocks, so that memory does not grow with the length of what is embedded.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from avssl.errors import UserError
from avssl.media.facts import Facts, Media
from avssl.networks.model import Model
from avssl.system.console import Progress

# Rows of one item that go through the network together, at most
BATCH = 32

# Of frames that are decoded together, at most: a frame of 4K video alone has as many
PIXELS = 2**23

Rows = NDArray[np.float32]


@dataclass(frozen=True)
class Block:
    """Rows of one item, one below the other."""

    path: str
    seconds: Sequence[float]  # the time of each row, on the item's clock
    image: Rows | None  # float32 (rows, 128) of the frames shown then; None where there are no pictures
    audio: Rows | None  # float32 (rows, 128) of the sound around each time; None where there is no sound

    def rows(self, first: int, end: int) -> Block:
        """Some of its rows."""
        image, audio = (None if rows is None else rows[first:end] for rows in (self.image, self.audio))
        return Block(self.path, self.seconds[first:end], image, audio)


def embed(model: Model, media: Media, hop: float | None = None, on_progress: Progress | None = None) -> Iterator[Block]:
    """The embeddings of a collection, item by item, a row every ``hop`` seconds; None takes the middle of each.

    Raises:
        UserError: the model has no space where picture and sound meet.
        MediaError: a file cannot be read.
    """
    if model.fusion is None:
        raise UserError(
            "this run has no space where picture and sound meet; take a run of: avssl train av-correspondence"
        )
    counts = [len(row_times(media.facts(i), hop)) for i in range(len(media))]
    done = 0
    for i, count in enumerate(counts):
        facts = media.facts(i)
        times = row_times(facts, hop)
        # A frame of 4K video alone has as many pixels as a batch of small ones.
        size = max(1, min(BATCH, PIXELS // max(1, facts.width * facts.height)))
        for first in range(0, count, size):
            some = times[first : first + size]
            yield Block(facts.path, some, _seen(model, media, i, some), _heard(model, media, i, some))
            done += len(some)
            if on_progress is not None:
                on_progress(done, sum(counts))


def row_times(facts: Facts, hop: float | None) -> list[float]:
    """The times of an item that get a row, in seconds: its middle, or (k + ½) · hop as long as they fit."""
    if hop is None or facts.duration_seconds <= hop:
        return [facts.duration_seconds / 2]
    # 0.3 / 0.1 is less than 3 by rounding, which must not cost a row
    return [(k + 0.5) * hop for k in range(int(facts.duration_seconds / hop + 1e-9))]


def _seen(model: Model, media: Media, item: int, times: Sequence[float]) -> Rows | None:
    if model.vision is None or media.facts(item).kind == "sound":
        return None
    return _array(model.image(media.frames(item, times)))


def _heard(model: Model, media: Media, item: int, times: Sequence[float]) -> Rows | None:
    if model.audio_encoder is None or not media.facts(item).has_sound:
        return None
    length, rate = model.audio_encoder.seconds, model.audio_encoder.rate
    sounds = [media.audio(item, time - length / 2, length, rate) for time in times]
    return _array(model.audio(np.stack(sounds), rate))


def _array(embeddings: Tensor) -> Rows:
    return np.asarray(embeddings.cpu().numpy(), np.float32)
