"""Input of the demo: a video with its sound, or a picture with a sound file."""

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
# Frames a second of a picture that is shown while a sound is played
STILL_FPS = 10.0


class Film(Protocol):
    """What is localized: frames at their times with a sound, on one clock that begins at 0; see :class:`Scene`."""

    width: int
    height: int
    audio_rate: int
    seconds: float
    times: NDArray[np.float64]

    def frames(self, wanted: Sequence[int], size: tuple[int, int]) -> Iterator[tuple[int, Picture]]: ...

    def sound(self, start_seconds: float, duration_seconds: float, rate: int) -> NDArray[np.float32]: ...


class Scene:
    """A video, or a picture or video with the sound of another file; frames and sound are on one clock from the
    beginning.

    ``seconds`` reach from the first frame to the end, of a video with another's sound the video's; ``times`` are those
    of the frames, (n,).

    Raises:
        UserError: no pictures, or no sound; what to give instead.
    """

    def __init__(self, pictures: Collection, sounds: Collection | None = None) -> None:
        facts = pictures.facts(0)
        self._still = facts.kind == "image"
        if facts.kind == "sound":
            with_sound = f", or a picture with --sound {Path(facts.path).name}" if sounds is None else " or a picture"
            raise UserError(f"{facts.path} has no pictures; give a video{with_sound}")
        if sounds is None and self._still:
            raise UserError(f"{facts.path} is a picture; give its sound with --sound FILE")
        heard = (sounds or pictures).facts(0)
        if not heard.has_sound:
            mend = ", so there is nothing to find; --sound FILE gives it one" if sounds is None else ""
            raise UserError(f"{heard.path} has no sound{mend}")
        self._pictures, self._sounds = pictures, sounds or pictures
        self.name, self.width, self.height = facts.path, facts.width, facts.height
        self.audio_rate, end = heard.audio_rate, heard.audio_end_seconds
        if self._still:
            self.seconds, self.times = end, np.arange(max(math.ceil(end * STILL_FPS), 1)) / STILL_FPS
        else:
            self.seconds = facts.duration_seconds if sounds else max(facts.duration_seconds, end)
            self.times = pictures.frame_times(0)

    def frames(self, wanted: Sequence[int], size: tuple[int, int]) -> Iterator[tuple[int, Picture]]:
        """The frames of these numbers (ascending) in one pass, uint8 (height, width, 3), scaled to (width, height)."""
        if not self._still:
            yield from self._pictures.all_frames(0, wanted, size)
            return
        picture = next(self._pictures.all_frames(0, [0], size))[1]
        for number in wanted:
            yield number, picture

    def sound(self, start_seconds: float, duration_seconds: float, rate: int) -> NDArray[np.float32]:
        """A segment of sound, mono, (samples,); zeros where there is none."""
        return self._sounds.audio(0, start_seconds, duration_seconds, rate)


def open_scene(path: str | Path, sound: str | Path | None = None) -> Scene:
    """A video, or a picture (or a video) with another file's sound.

    Raises:
        UserError: a file that cannot be used, without pictures or without sound; one line.
    """
    return Scene(_one(path), None if sound is None else _one(sound))


def _one(path: str | Path) -> Collection:
    if Path(path).is_dir():
        raise UserError(f"{path} is a folder; name one video")
    media = open_media(path, progress=False)
    if isinstance(media, Prepared | Subset) or len(media) != 1:
        raise UserError(f"{path} is not a single file; name one video, or one picture with --sound FILE")
    return media
