"""What is measured of an item to find its source: five frames and at most the first twenty seconds of its sound."""

from __future__ import annotations

import io
from dataclasses import dataclass, field, fields
from typing import Any

import numpy as np
from numpy.typing import NDArray

from avssl.media.facts import Facts, Media
from avssl.media.sources.audio_landmarks import RATE, landmarks, steady_tones
from avssl.media.sources.borders import border_of
from avssl.media.sources.image_similarity import thumbnail

FRAMES = 5
SOUND_SECONDS = 20.0
FORMAT = 4  # to be raised whenever the same item would be measured differently


def _empty(kind: type, *shape: int) -> Any:
    return field(default_factory=lambda: np.zeros((0, *shape), kind))


@dataclass(frozen=True)
class Trace:
    """What is measured of one item."""

    grey: NDArray[np.uint8] = _empty(np.uint8, 24, 24)  # thumbnails, (k, 24, 24); k is 5, 1 of an image, 0 of a sound
    colour: NDArray[np.uint8] = _empty(np.uint8, 6, 6, 3)  # coarse thumbnails of the same frames, (k, 6, 6, 3)
    # The colour of a constant border and its widths (left, top, right, bottom) as shares of the shorter side, (7,);
    # empty without one.
    border: NDArray[np.float32] = _empty(np.float32)
    peaks: NDArray[np.uint32] = _empty(np.uint32)  # hashes of the landmarks of the sound, (n,)
    times: NDArray[np.uint16] = _empty(np.uint16)  # of the landmarks, in hops, (n,)
    tones: NDArray[np.float32] = _empty(np.float32)  # frequencies of steady tones in Hz, strongest first, (m,)

    def to_bytes(self) -> bytes:
        buffer = io.BytesIO()
        np.savez(buffer, **{one.name: getattr(self, one.name) for one in fields(self)})
        return buffer.getvalue()

    @staticmethod
    def from_bytes(data: bytes) -> Trace:
        with np.load(io.BytesIO(data), allow_pickle=False) as arrays:
            return Trace(**{one.name: arrays[one.name] for one in fields(Trace)})


def frame_times(facts: Facts) -> list[float]:
    """The times of the frames that are measured, in the middle of equal parts."""
    if facts.kind != "video":
        return [0.0]
    return [facts.duration_seconds * (k + 0.5) / FRAMES for k in range(FRAMES)]


def measure(media: Media, i: int) -> Trace:
    """Measure an item; raises MediaError where it cannot be read."""
    facts = media.facts(i)
    found: dict[str, NDArray[Any]] = {}
    if facts.kind != "sound":
        frames = media.frames(i, frame_times(facts))
        found["grey"], found["colour"] = map(np.stack, zip(*map(thumbnail, frames), strict=True))
        if facts.kind == "video":
            found["border"] = border_of(frames)
    if facts.has_sound:
        wave = sound_of(media, i)
        found["peaks"], found["times"] = landmarks(wave)
        found["tones"] = steady_tones(wave)
    return Trace(**found)


def sound_of(media: Media, i: int) -> NDArray[np.float32]:
    """The sound that is measured, at 8 kHz. (n,)"""
    facts = media.facts(i)
    start, end = facts.audio_start_seconds, facts.audio_end_seconds
    if facts.has_video:
        start, end = max(start, 0.0), min(end, facts.duration_seconds)
    return media.audio(i, start, max(min(end - start, SOUND_SECONDS), 0.0), RATE)
