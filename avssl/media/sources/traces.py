"""What is measured of an item to find what it was cut from: a few pictures, and the first seconds of its sound.

Five frames and at most twenty seconds of sound are read of an item, however long it is.
"""

from __future__ import annotations

import io
from dataclasses import dataclass, fields

import numpy as np
from numpy.typing import NDArray

from avssl.media.facts import Facts, Media
from avssl.media.sources.audio_landmarks import RATE, landmarks, steady_tones
from avssl.media.sources.borders import border_of
from avssl.media.sources.image_similarity import thumbnail

FRAMES = 5
SOUND_SECONDS = 20.0
FORMAT = 4  # raised whenever the same item would be measured otherwise


@dataclass(frozen=True)
class Trace:
    """One item."""

    grey: NDArray[np.uint8]  # thumbnails in grey, uint8 (k, 24, 24); k is 5, 1 of an image, 0 of a sound
    colour: NDArray[np.uint8]  # coarse ones in colour, uint8 (k, 6, 6, 3)
    # colour of a border that stays the same, and its width in shares of the shorter side (left, top, right, bottom; 0
    # where there is none): float32 (7,); empty where there is no border.
    border: NDArray[np.float32]
    # landmarks of the sound, uint32 (n,); when each begins, in hops: times, uint16 (n,).
    peaks: NDArray[np.uint32]
    times: NDArray[np.uint16]
    tones: NDArray[np.float32]  # frequencies of steady tones in Hz, strongest first, float32 (m,)

    def to_bytes(self) -> bytes:
        """As the cache keeps it."""
        buffer = io.BytesIO()
        np.savez(buffer, **{field.name: getattr(self, field.name) for field in fields(self)})
        return buffer.getvalue()

    @staticmethod
    def from_bytes(data: bytes) -> Trace:
        """What :meth:`to_bytes` gave."""
        with np.load(io.BytesIO(data), allow_pickle=False) as arrays:
            return Trace(**{field.name: arrays[field.name] for field in fields(Trace)})


def frame_times(facts: Facts) -> list[float]:
    """When the pictures of an item are taken, in seconds."""
    if facts.kind != "video":
        return [0.0]
    return [facts.duration_seconds * (k + 0.5) / FRAMES for k in range(FRAMES)]


def measure(media: Media, i: int) -> Trace:
    """Look at an item.

    Raises:
        MediaError: it cannot be read.
    """
    facts = media.facts(i)
    grey = np.zeros((0, 24, 24), np.uint8)
    colour, border = np.zeros((0, 6, 6, 3), np.uint8), np.zeros(0, np.float32)
    if facts.kind != "sound":
        frames = media.frames(i, frame_times(facts))
        pairs = [thumbnail(frame) for frame in frames]
        grey, colour = np.stack([pair[0] for pair in pairs]), np.stack([pair[1] for pair in pairs])
        if facts.kind == "video":
            border = border_of(frames)
    peaks, times, tones = np.zeros(0, np.uint32), np.zeros(0, np.uint16), np.zeros(0, np.float32)
    if facts.has_sound:
        wave = sound_of(media, i)
        peaks, times = landmarks(wave)
        tones = steady_tones(wave)
    return Trace(grey, colour, border, peaks, times, tones)


def sound_of(media: Media, i: int) -> NDArray[np.float32]:
    """The stretch of sound that is measured, at 8 kHz. (n,)"""
    facts = media.facts(i)
    start, end = facts.audio_start_seconds, facts.audio_end_seconds
    if facts.has_video:
        start, end = max(start, 0.0), min(end, facts.duration_seconds)
    return media.audio(i, start, max(min(end - start, SOUND_SECONDS), 0.0), RATE)
