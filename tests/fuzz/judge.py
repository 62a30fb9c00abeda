"""What became of one damaged file: refused, read rightly, named as damaged when read, or wrong."""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import NDArray

LEVELS = 12
"""A picture is wrong if it is further than this, in the mean, from every frame of the original."""
LONGEST_SECONDS = 3600.0
"""No file of two seconds lasts as long, whatever its headers say."""

Fate = Literal["refused", "right", "damage named when read", "WRONG PICTURE", "WRONG FACTS"]


@dataclass(frozen=True)
class Job:
    path: str
    pictures: str
    """A .npy file with the pictures that may be shown: (n, 3, height, width)."""
    done: str
    """What was done to the file."""


@dataclass(frozen=True)
class Judged:
    fate: Fate
    words: str


def tried(job: Job) -> Judged | str:
    """The judgement, or the fault of the program that was met on the way."""
    try:
        return judge(job)
    except Exception as error:  # any fault is what is looked for: it is counted and shown
        return f"FAULT: {type(error).__name__}: {error}"


def judge(job: Job) -> Judged:
    """Look at the file, read all of its pictures and sound. Whatever else is raised is a fault of the program."""
    from avssl.errors import MediaError
    from avssl.media.indexing.inspect import inspect

    found = inspect(job.path)
    if found.reason is not None:
        return Judged("refused", found.reason)
    length = found.duration_seconds
    if found.kind != "image" and not (math.isfinite(length) and 0 < length < LONGEST_SECONDS):
        return Judged("WRONG FACTS", f"{length} s")
    truth = np.load(job.pictures)
    worst, named = 0.0, ""
    for picture in _pictures(job.path, found):
        if isinstance(picture, MediaError):
            named = picture.reason
            continue
        worst = max(worst, distance(picture, truth))
    if worst > LEVELS:
        return Judged("WRONG PICTURE", f"{worst:.0f} levels from every frame; flags {found.flags}")
    try:
        _read_sound(job.path, found)
    except MediaError as error:
        named = error.reason
    return Judged("damage named when read", named) if named else Judged("right", ", ".join(found.flags))


def distance(picture: NDArray[np.uint8], truth: NDArray[np.uint8]) -> float:
    """Mean absolute difference to the nearest of the true pictures (n, 3, h, w); 255 if sizes differ."""
    if picture.shape != truth.shape[1:]:
        return 255.0
    return float(np.abs(truth.astype(np.int16) - picture).mean((1, 2, 3)).min(initial=255))


def _pictures(path: str, found: object) -> list[object]:
    """Every picture as random access shows it, or the error that names its damage."""
    from avssl.errors import MediaError
    from avssl.media.decoding.images import read_image
    from avssl.media.decoding.video import read_frames
    from avssl.media.indexing.inspect import Inspection

    assert isinstance(found, Inspection)
    if found.kind == "image":
        try:
            return [read_image(path)]
        except MediaError as error:
            return [error]
    shown: list[object] = []
    for seconds in found.frame_times[:: max(len(found.frame_times) // 24, 1)].tolist() if found.width else []:
        try:
            shown.append(read_frames(path, found.clock, [seconds])[0])
        except MediaError as error:
            shown.append(error)
    return shown


def _read_sound(path: str, found: object) -> None:
    from avssl.media.decoding.sound import read_audio
    from avssl.media.indexing.inspect import Inspection

    assert isinstance(found, Inspection)
    if not found.audio_rate:
        return
    samples = read_audio(path, found.clock, found.audio_start_seconds, min(found.audio_end_seconds, 30.0), 16_000)
    assert np.isfinite(samples).all(), f"{Path(path).name}: samples that are not numbers"
