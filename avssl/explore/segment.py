"""A few seconds of an item, as input of localization and films."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from avssl.errors import UserError
from avssl.localization.scenes import STILL_FPS
from avssl.media.facts import Media

_BATCH, _PIXELS = 16, 1 << 25
"""Frames that are decoded at a time, and their pixels together: 16 frames of 8K would be 1.6 GB."""
_SILENT_RATE = 16_000


@dataclass(frozen=True)
class OtherSound:
    """A sound in the place of an item's own.

    Attributes:
        waveform: mono, (samples,).
        rate: samples a second.
    """

    waveform: NDArray[np.float32]
    rate: int

    def between(self, start_seconds: float, duration_seconds: float, rate: int) -> NDArray[np.float32]:
        """A segment at another rate, zeros before and after the sound."""
        import soxr

        first, count = round(start_seconds * self.rate), round(duration_seconds * self.rate)
        samples = np.zeros(count, np.float32)
        low, high = max(first, 0), min(first + count, len(self.waveform))
        if low < high:
            samples[low - first : high - first] = self.waveform[low:high]
        wanted = round(duration_seconds * rate)
        found = soxr.resample(samples, self.rate, rate) if rate != self.rate else samples
        return np.asarray(np.pad(found, (0, max(wanted - len(found), 0)))[:wanted], np.float32)


class PlayedSegment:
    """The frames and the sound of an item from one time to another; its own clock begins at 0.

    Args:
        media: the collection.
        item: the number of an item with pictures.
        start_seconds: on the item's clock.
        seconds: at most; it ends with the item. Of a picture, so long.
        sound: instead of its own.

    Attributes:
        seconds, times, width, height, audio_rate: as of :class:`avssl.localization.scenes.Scene`.

    Raises:
        UserError: the item has no pictures.
    """

    def __init__(
        self, media: Media, item: int, start_seconds: float, seconds: float, sound: OtherSound | None = None
    ) -> None:
        facts = media.facts(item)
        if facts.kind == "sound":
            raise UserError(f"{Path(facts.path).name} has no pictures, only sound")
        self._media, self._item, self._sound = media, item, sound
        self.still = facts.kind == "image"
        self.name, self.width, self.height = facts.path, facts.width, facts.height
        if self.still:
            self.start = 0.0
            self.seconds = seconds if sound is None else min(len(sound.waveform) / sound.rate, seconds)
            self.times = np.arange(max(round(self.seconds * STILL_FPS), 1)) / STILL_FPS
        else:
            self.start = min(max(start_seconds, 0.0), max(facts.duration_seconds - 0.1, 0.0))
            self.seconds = min(seconds, facts.duration_seconds - self.start)
            times = media.frame_times(item)
            # The frame that is shown when it begins was first shown before.
            first = max(int(np.searchsorted(times, self.start + 1e-6, "right")) - 1, 0)
            self.times = np.maximum(times[first : np.searchsorted(times, self.start + self.seconds)] - self.start, 0.0)
        self.has_sound = sound is not None or facts.has_sound
        self.audio_rate = sound.rate if sound else facts.audio_rate or _SILENT_RATE

    def frames(self, wanted: Sequence[int], size: tuple[int, int]) -> Iterator[tuple[int, NDArray[np.uint8]]]:
        """The frames of these numbers (ascending), uint8 (height, width, 3), scaled to (width, height)."""
        batch = max(1, min(_BATCH, _PIXELS // max(self.width * self.height, 1)))
        for place in range(0, len(wanted), batch):
            numbers = wanted[place : place + batch]
            times = [0.0] if self.still else [self.start + float(self.times[number]) for number in numbers]
            found = self._media.frames(self._item, times)
            for k, number in enumerate(numbers):
                picture = Image.fromarray(np.ascontiguousarray(found[min(k, len(found) - 1)].transpose(1, 2, 0)))
                yield number, np.asarray(picture.resize(size, Image.Resampling.BILINEAR, reducing_gap=2.0))

    def sound(self, start_seconds: float, duration_seconds: float, rate: int) -> NDArray[np.float32]:
        """A segment of sound, mono, (samples,); zeros where there is none."""
        if self._sound is not None:
            return self._sound.between(start_seconds, duration_seconds, rate)
        if not self.has_sound:
            return np.zeros(round(duration_seconds * rate), np.float32)
        return self._media.audio(self._item, self.start + start_seconds, duration_seconds, rate)
