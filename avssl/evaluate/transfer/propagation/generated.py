"""Clips of the generated world, with the masks that their settings give."""

from __future__ import annotations

from functools import partial
from pathlib import Path

import numpy as np

from avssl.errors import UserError
from avssl.evaluate.transfer.propagation.videos import LabelledVideo, Masks, VideoSet
from avssl.media.facts import Media
from avssl.media.opening import open_media
from avssl.world.masks import read_masks
from avssl.world.settings import SPLITS


def is_world(folder: Path) -> bool:
    """Whether a folder is a generated world, or one of its parts."""
    return (folder / "world.json").is_file() or (folder.name in SPLITS and (folder.parent / "world.json").is_file())


def open_world(folder: Path, split: str = "test") -> VideoSet:
    """The clips of a part of a world, or of the part that ``folder`` is; each its own source.

    Raises:
        UserError: there is no such part.
    """
    named = folder if folder.name in SPLITS else folder / split
    if not named.is_dir():
        raise UserError(f"{named}: no such part; --split is one of {', '.join(SPLITS)}")
    media = open_media(named, progress=False)
    videos = []
    for i in range(len(media)):
        facts = media.facts(i)
        video = LabelledVideo(
            Path(facts.path).stem, Path(facts.path).stem, partial(_frames, media, i), partial(_masks, facts.path),
            facts.path,
        )  # fmt: skip
        videos.append(video)
    # All clips of a world have the rate of its settings.
    pace = 1 / media.facts(0).frame_rate if len(media) else VideoSet.seconds_a_frame
    return VideoSet("world", "masks", videos, named.name, (), pace)


def _frames(media: Media, i: int) -> np.ndarray[tuple[int, ...], np.dtype[np.uint8]]:
    return media.frames(i, media.frame_times(i).tolist())


def _masks(path: str) -> Masks:
    labels = read_masks(path)
    # An object that comes in later was not marked: it is background.
    marked = [number for number in np.unique(labels[0]) if number]
    names = np.zeros(256, np.uint8)
    names[marked] = np.arange(1, len(marked) + 1)
    return Masks(names[labels], np.ones(len(labels), bool), len(marked))
