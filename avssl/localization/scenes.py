"""What the demo shows: a video with its sound, or a picture with a sound file, behind one face."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from avssl.errors import UserError
from avssl.media.collection import Collection
from avssl.media.opening import open_media
from avssl.media.prepared.read import Prepared
from avssl.media.selection import Subset

Picture = NDArray[np.uint8]
STILL_FPS = 10.0
"""Frames a second of a picture that is shown while a sound is played."""


class Scene(Protocol):
    """Frames at their times, and the sound on the same clock. Pictures are uint8 (height, width, 3)."""

    name: str
    width: int
    height: int
    seconds: float
    """From the first frame to the end of pictures and sound."""
    times: NDArray[np.float64]
    audio_rate: int

    def frames(self, wanted: Sequence[int], size: tuple[int, int]) -> Iterator[tuple[int, Picture]]:
        """The frames of these numbers (ascending) in one pass, scaled to (width, height)."""
        ...

    def sound(self, start_seconds: float, duration_seconds: float, rate: int) -> NDArray[np.float32]:
        """A stretch of sound, mono, (samples,); zeros where there is none."""
        ...


class VideoScene:
    """One video."""

    def __init__(self, media: Collection, item: int = 0) -> None:
        facts = media.facts(item)
        if facts.kind == "sound":
            raise UserError(
                f"{facts.path} has no pictures; give a video, or a picture with --sound {Path(facts.path).name}"
            )
        if facts.kind == "image":
            raise UserError(f"{facts.path} is a picture; give its sound with --sound FILE")
        if not facts.has_sound:
            raise UserError(f"{facts.path} has no sound, so there is nothing to find; --sound FILE gives it one")
        self._media, self._item = media, item
        self.name, self.width, self.height = facts.path, facts.width, facts.height
        self.times = media.frame_times(item)
        self.seconds = max(facts.duration_seconds, facts.audio_end_seconds)
        self.audio_rate = facts.audio_rate

    def frames(self, wanted: Sequence[int], size: tuple[int, int]) -> Iterator[tuple[int, Picture]]:
        return self._media.all_frames(self._item, wanted, size)

    def sound(self, start_seconds: float, duration_seconds: float, rate: int) -> NDArray[np.float32]:
        return self._media.audio(self._item, start_seconds, duration_seconds, rate)


class DubbedScene:
    """A picture or a video with the sound of another file, both from their beginnings."""

    def __init__(self, pictures: Collection, sounds: Collection) -> None:
        facts, heard = pictures.facts(0), sounds.facts(0)
        if facts.kind == "sound":
            raise UserError(f"{facts.path} has no pictures; give a picture or a video")
        if not heard.has_sound:
            raise UserError(f"{heard.path} has no sound")
        self._pictures, self._sounds = pictures, sounds
        self.name, self.width, self.height = facts.path, facts.width, facts.height
        self._still = facts.kind == "image"
        end = heard.audio_end_seconds
        self.seconds = end if self._still else facts.duration_seconds
        count = max(math.ceil(end * STILL_FPS), 1)
        self.times = np.arange(count) / STILL_FPS if self._still else pictures.frame_times(0)
        self.audio_rate = heard.audio_rate

    def frames(self, wanted: Sequence[int], size: tuple[int, int]) -> Iterator[tuple[int, Picture]]:
        if not self._still:
            yield from self._pictures.all_frames(0, wanted, size)
            return
        picture = next(self._pictures.all_frames(0, [0], size))[1]
        for number in wanted:
            yield number, picture

    def sound(self, start_seconds: float, duration_seconds: float, rate: int) -> NDArray[np.float32]:
        return self._sounds.audio(0, start_seconds, duration_seconds, rate)


def open_scene(path: str | Path, sound: str | Path | None = None) -> Scene:
    """A video, or a picture (or a video) with another file's sound.

    Raises:
        UserError: a file that cannot be used, without pictures or without sound; one line.
    """
    if sound is None:
        return VideoScene(_one(path))
    return DubbedScene(_one(path), _one(sound))


def _one(path: str | Path) -> Collection:
    if Path(path).is_dir():
        raise UserError(f"{path} is a folder; name one video")
    media = open_media(path, progress=False)
    if isinstance(media, Prepared | Subset) or len(media) != 1:
        raise UserError(f"{path} is no single file; name one video, or one picture with --sound FILE")
    return media
