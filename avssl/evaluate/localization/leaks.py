"""Whether a training list and a test list share clips, source videos, or pictures that look the same."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from avssl.errors import MediaError, UserError
from avssl.evaluate.localization.annotations import (
    SUFFIXES,
    clip_name,
    read_annotations,
    read_names,
    source_of,
    stem_of,
)
from avssl.media.facts import Media

NEAR_BITS = 6
"""Pictures whose 64-bit difference hashes differ in at most so many bits count as near-duplicates."""
FLAT_BITS = 4
"""A hash with fewer set (or unset) bits is of a plain picture and says nothing."""
FRAMES = 3

MEDIA_SUFFIXES = SUFFIXES | {".mpg", ".mpeg", ".m4v", ".wmv", ".ts", ".3gp", ".ogv"}


@dataclass(frozen=True)
class Leaks:
    """What two sets share.

    Attributes:
        train, test: how many names each has.
        clips: test names that are also in train.
        videos: test names whose source video has another or the same clip in train.
    """

    train: int
    test: int
    clips: tuple[str, ...]
    videos: tuple[str, ...]


def names_of(path: str | Path) -> list[str]:
    """The names in a list (CSV, text), an annotation file (JSON), or of the media in a folder.

    Raises:
        UserError: nothing there, or nothing in it.
    """
    place = Path(path)
    if place.is_dir():
        found = sorted({stem_of(f.name) for f in place.rglob("*") if f.suffix.lower() in MEDIA_SUFFIXES})
        found = found or sorted(f.stem for f in place.glob("*.xml"))
        if not found:
            raise UserError(f"{path}: no media and no annotations are in this folder")
        return found
    if not place.is_file():
        raise UserError(f"{path}: no such list or folder")
    if place.suffix.lower() == ".json":
        return sorted({item.picture for item in read_annotations(place).items})
    return read_names(place)


def compare(train: Sequence[str], test: Sequence[str]) -> Leaks:
    """Names of two sets, compared as clips and as source videos (YouTube id, UCF101 group, ESC-50 recording)."""
    clips = {clip_name(name) for name in train}
    videos = {source_of(name) for name in train}
    return Leaks(
        len(train),
        len(test),
        tuple(name for name in test if clip_name(name) in clips),
        tuple(name for name in test if source_of(name) in videos),
    )


@dataclass(frozen=True)
class Twins:
    """Two pictures that look the same: where each is, and in how many of 64 bits they differ."""

    train: str
    test: str
    bits: int


def near_duplicates(train: Media, test: Media) -> list[Twins]:
    """Test items of which a frame looks like one of a training item: the nearest training item of each.

    Three frames of each item are reduced to 64 bits: whether each cell of a 9×8 grey thumbnail is darker than its
    right neighbour (difference hash). Plain pictures are left out.
    """
    known, owners = _hashes(train)
    if not len(known):
        return []
    found = []
    for i in range(len(test)):
        best: Twins | None = None
        for bits in _item_hashes(test, i):
            distance = _bits_set(known ^ bits)
            at = int(distance.argmin())
            if distance[at] <= NEAR_BITS and (best is None or distance[at] < best.bits):
                best = Twins(train.facts(owners[at]).path, test.facts(i).path, int(distance[at]))
        if best is not None:
            found.append(best)
    return found


def difference_hash(frame: NDArray[np.uint8]) -> np.uint64:
    """64 bits of a picture (3, height, width)."""
    from PIL import Image

    small = Image.fromarray(frame.transpose(1, 2, 0)).convert("L").resize((9, 8), Image.Resampling.BOX)
    grey = np.asarray(small, np.int16)
    bits = (grey[:, 1:] > grey[:, :-1]).ravel()
    return np.uint64(int.from_bytes(np.packbits(bits).tobytes(), "big"))


# --- how --------------------------------------------------------------------------------------------------


def _hashes(media: Media) -> tuple[NDArray[np.uint64], list[int]]:
    all_bits: list[np.uint64] = []
    owners: list[int] = []
    for i in range(len(media)):
        bits = _item_hashes(media, i)
        all_bits += bits
        owners += [i] * len(bits)
    return np.asarray(all_bits, np.uint64), owners


def _item_hashes(media: Media, i: int) -> list[np.uint64]:
    facts = media.facts(i)
    if facts.kind == "sound":
        return []
    times = [facts.duration_seconds * (k + 0.5) / FRAMES for k in range(FRAMES)]
    try:
        frames = media.frames(i, times if facts.kind == "video" else times[:1])
    except MediaError:
        return []  # the caller has said what cannot be used
    bits = [difference_hash(frame) for frame in frames]
    return [b for b in bits if FLAT_BITS <= int(_bits_set(np.asarray([b]))[0]) <= 64 - FLAT_BITS]


def _bits_set(words: NDArray[np.uint64]) -> NDArray[np.int64]:
    """How many bits of each word are set: (n,)."""
    count: NDArray[np.int64] = np.unpackbits(words.view(np.uint8).reshape(-1, 8), axis=1).sum(1, dtype=np.int64)
    return count
