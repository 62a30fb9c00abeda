"""One picture of an item: an image itself, or a frame of a video."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from avssl.media.facts import Facts, Media
from avssl.media.selection import facts_of
from avssl.samplers.keys import Key
from avssl.samplers.order import companions
from avssl.samplers.order import item_of as item_of  # noqa: PLC0414  tasks of one's own take it from here
from avssl.samplers.pictures import Cropping
from avssl.samplers.views import Left, View, cut_or_leave, stored_frames


class Picture(NamedTuple):
    """A square picture and where it comes from."""

    item: int
    seconds: float
    pixels: NDArray[np.uint8]  # (3, side, side), RGB; empty where it is to be cut on the device
    views: tuple[View, ...] = ()  # the view that is to be cut there; else none


def unusable(facts: Facts) -> str | None:
    """Why no picture can be taken from an item; None if one can."""
    return "sound, not a picture" if facts.kind == "sound" else None


def any_moves(media: Media) -> bool:
    """Whether there is a video, of which any frame may be drawn; of images there are no more than items."""
    return any(facts.has_video for facts in facts_of(media))


def enough_for_statistics(media: Media, most: int = 1024, moving: int = 256) -> int:
    """How many pictures to look at for a mean or a count: images each once, and of a few videos some frames each."""
    return min(most, max(len(media), moving) if any_moves(media) else len(media))


def other_item(media: Media, item: int, rng: np.random.Generator, key: Key) -> int:
    """Another item than the key's own, all that may stand beside it equally likely; the same where it is alone."""
    items, at = companions(media, key, item)
    if len(items) == 1:
        return item
    return int(items[(at + 1 + int(rng.integers(len(items) - 1))) % len(items)])


def draw_picture(
    media: Media, item: int, cropping: Cropping, rng: np.random.Generator, *, augment: bool, left: Left = "nothing"
) -> Picture:
    """A square of the image, or of one frame of the video, anywhere in time.

    Args:
        cropping: which squares; not augmented it is the largest, in the middle.
        augment: whether place, size and mirroring are random.
        left: what is left to the device.
    """
    seconds = 0.0
    if media.facts(item).has_video:
        times = media.frame_times(item)
        seconds = float(times[rng.integers(len(times))])
    (frame,) = stored_frames(media, item, [seconds], left)
    crop = cropping.place(rng if augment else None, frame.height, frame.width)
    squares, views = cut_or_leave([frame], crop, cropping.side, left)
    return Picture(item, seconds, squares[0], views)
