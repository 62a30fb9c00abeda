"""Inputs of fine-tuning: a random view of an item in training, fixed views in evaluation."""

from __future__ import annotations

from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from avssl.evaluate.data.features import inputs, window_starts
from avssl.evaluate.data.labelled import Labelled
from avssl.media.facts import Facts, Media
from avssl.networks.encoder import ImageEncoder, WaveformEncoder
from avssl.samplers.pictures import cut, random_crop

# The most that decoded sounds may take in memory; beyond that each is read from its file when it is shown
KEPT_BYTES = 2**30


class ItemViews(Protocol):
    """Items as the network sees them."""

    def training(self, item: int, rng: np.random.Generator) -> NDArray[Any]:
        """One augmented view of an item, drawn again each time: (3, side, side) uint8, or (samples,) float32."""
        ...

    def evaluation(self, item: int) -> NDArray[Any]:
        """The fixed views of an item whose scores are averaged: (views, …)."""
        ...


class Pictures:
    """Random squares of a random frame, mirrored half of the time; evaluated by the centre square of fixed frames.

    The smallest square in training has ``crop_low`` of the shorter side; ``flip`` where mirrored pictures are of the
    same class.
    """

    def __init__(self, data: Labelled, encoder: ImageEncoder, views: int, crop_low: float, flip: bool) -> None:
        self._data, self._encoder = data, encoder
        self._views, self._low, self._flip = views, crop_low, flip

    def training(self, item: int, rng: np.random.Generator) -> NDArray[np.uint8]:
        media, i = self._data.locate(item)
        frame = media.frames(i, [float(rng.uniform(0, media.facts(i).duration_seconds))])[0]
        crop = random_crop(rng, frame.shape[1], frame.shape[2], self._low, 1.0, self._flip)
        return cut(frame, crop, self._encoder.side)

    def evaluation(self, item: int) -> NDArray[Any]:
        media, i = self._data.locate(item)
        views = 1 if media.facts(i).kind == "image" else self._views
        return inputs(self._encoder, media, i, views)


class Sounds:
    """A random window of a sound; evaluated by windows at equal distances. Sounds are decoded once if they fit."""

    def __init__(self, data: Labelled, encoder: WaveformEncoder, views: int) -> None:
        self._data, self._encoder, self._views = data, encoder, views
        self._kept: dict[int, NDArray[np.int16]] = {}
        self._bytes = 0

    def training(self, item: int, rng: np.random.Generator) -> NDArray[np.float32]:
        media, i = self._data.locate(item)
        facts = media.facts(i)
        first, last = facts.audio_start_seconds, facts.audio_end_seconds - self._encoder.seconds
        # A sound shorter than the window lies in its middle.
        start = float(rng.uniform(first, last)) if last > first else (first + last) / 2
        return self._window(item, media, i, facts, start)

    def evaluation(self, item: int) -> NDArray[np.float32]:
        media, i = self._data.locate(item)
        facts = media.facts(i)
        starts = window_starts(facts, self._encoder.seconds, self._views)
        return np.stack([self._window(item, media, i, facts, start) for start in starts])

    def _window(self, item: int, media: Media, i: int, facts: Facts, start: float) -> NDArray[np.float32]:
        rate, seconds = self._encoder.rate, self._encoder.seconds
        samples = round(seconds * rate)
        whole = self._whole(item, media, i, facts)
        if whole is None:
            return media.audio(i, start, seconds, rate)
        first = round((start - facts.audio_start_seconds) * rate)
        # As media.audio would read it from the file: zeros beyond the ends
        found = np.zeros(samples, np.float32)
        low, high = max(first, 0), min(first + samples, len(whole))
        if high > low:
            found[low - first : high - first] = whole[low:high].astype(np.float32) / 32767
        return found

    def _whole(self, item: int, media: Media, i: int, facts: Facts) -> NDArray[np.int16] | None:
        if item not in self._kept:
            seconds = facts.audio_end_seconds - facts.audio_start_seconds
            size = 2 * round(seconds * self._encoder.rate)
            if self._bytes + size > KEPT_BYTES:
                return None
            waveform = media.audio(i, facts.audio_start_seconds, seconds, self._encoder.rate)
            self._kept[item] = (waveform.clip(-1, 1) * 32767).astype(np.int16)  # half of what float32 takes
            self._bytes += size
        return self._kept[item]
