"""Queries: a picture, a sound, a moment of a video, or a vector that another program computed."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from avssl.errors import MediaError, UserError
from avssl.media.facts import Facts, Media
from avssl.media.opening import open_media
from avssl.search.decoding import Wanted, decoded
from avssl.search.rows import Kind
from avssl.search.vector_file import vector_of
from avssl.system.console import counted

SoundFormat = Callable[[], tuple[float, int]]

SILENT_BELOW = 1e-3
"""−60 dB of full scale: what media call silent."""


@dataclass(frozen=True)
class Query:
    """What is searched with.

    Attributes:
        path: of its file, absolute.
        of: which half it is.
        content: a frame uint8 (3, height, width), a sound float32 (samples,), or a vector (dimensions,).
        seconds: when in its file; None of a picture and of a vector.
        rate: of a sound; None of all else.
    """

    path: str
    of: Kind
    content: NDArray[Any]
    seconds: float | None = None
    rate: int | None = None


def read_query(
    path: str | Path, by: Kind | None, at_seconds: float | None, sound_format: SoundFormat, workers: int | None = 1
) -> Query:
    """Read what is searched with, media in a process of their own.

    Args:
        path: a picture, a sound, a video, or a ``.npy`` of one vector.
        by: which half of it; None is the sound of a video that has one, else its picture.
        at_seconds: when; None is its middle.
        sound_format: gives (seconds, rate) of a sound that the model hears; asked only if one is wanted.
        workers: 0 decodes in this process.

    Raises:
        UserError: it is no such thing, has no such half, is silent there, or is shorter.
    """
    if not Path(path).exists():
        raise UserError(f"{path}: no such file")
    if Path(path).suffix.lower() == ".npy":
        return _vector(Path(path), by)
    if Path(path).is_dir():
        raise UserError(f"{path} is a folder; search with one picture, sound or video")
    media = open_media(path, progress=False)  # with all its checks: a damaged query would find nonsense
    if len(media) != 1:
        raise UserError(f"{path} holds {counted(len(media), 'item')}; search with one picture, sound or video")
    facts = media.facts(0)
    half = _half(facts, by)
    seconds = _time(facts, half, at_seconds)
    sound = sound_format() if half == "audio" else None
    content = _content(media, half, seconds, sound, workers)
    still = facts.kind == "image"
    return Query(facts.path, half, content, None if still else seconds, None if sound is None else sound[1])


def _vector(path: Path, by: Kind | None) -> Query:
    if by is None:
        raise UserError(f"{path}: say with --by image or --by audio what this vector is of")
    try:
        content = path.read_bytes()
    except OSError as error:
        raise UserError(f"{path} cannot be read: {error.strerror}") from None
    return Query(os.path.abspath(path), by, vector_of(content, str(path)))  # noqa: PTH100


def _half(facts: Facts, by: Kind | None) -> Kind:
    has = {"image": facts.kind != "sound", "audio": facts.has_sound}
    if by is None:
        return "audio" if has["audio"] else "image"
    if not has[by]:
        what, other = ("picture", "audio") if by == "image" else ("sound", "image")
        raise UserError(f"{facts.path} has no {what} to search by; --by {other} searches by what it has")
    return by


def _time(facts: Facts, half: Kind, at_seconds: float | None) -> float:
    # Sound may begin before the first frame and outlast the last.
    first, last = 0.0, facts.duration_seconds
    if half == "audio":
        first, last = min(first, facts.audio_start_seconds), max(last, facts.audio_end_seconds)
    if at_seconds is None:
        return (first + last) / 2
    if facts.kind != "image" and not first <= at_seconds <= last:
        raise UserError(f"--at {at_seconds:g}: {facts.path} lasts from {first:g} to {last:.2f} s")
    return at_seconds


def _content(
    media: Media, half: Kind, seconds: float, sound: tuple[float, int] | None, workers: int | None
) -> NDArray[Any]:
    wanted = Wanted(0, [seconds], half == "image", sound)
    _, found = next(iter(decoded(media, [wanted], workers)))
    path = media.facts(0).path
    if isinstance(found, str):
        raise MediaError(path, found, seconds)
    if half == "image":
        assert found.frames is not None
        return np.asarray(found.frames[0])
    assert found.sounds is not None
    if np.abs(found.sounds[0]).max(initial=0) < SILENT_BELOW:
        raise UserError(f"{path} is silent at {seconds:.2f} s: nothing to search by; --at names another time")
    return np.asarray(found.sounds[0])
