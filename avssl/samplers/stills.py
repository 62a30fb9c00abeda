"""One whole picture of an item, any shape: an image itself, or a frame of a video at a time drawn from a key."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from avssl.media.facts import Media
from avssl.samplers.keys import Key, generator
from avssl.samplers.whole_pictures import item_of


class Still(NamedTuple):
    """A picture and where it comes from."""

    item: int
    seconds: float
    pixels: NDArray[np.uint8]
    """(3, height, width), RGB."""


def draw_still(media: Media, key: Key) -> Still:
    """The picture of this key: each item once in an epoch; of a video any of its frames, all equally likely."""
    item = item_of(media, key)
    seconds = 0.0
    if media.facts(item).has_video:
        times = media.frame_times(item)
        seconds = float(times[generator(*key, "frame").integers(len(times))])
    return Still(item, seconds, media.frames(item, [seconds])[0])


def resized(picture: NDArray[np.uint8], height: int, width: int) -> NDArray[np.uint8]:
    """A picture (3, h, w) scaled to (3, height, width), antialiased; the same bytes where that is its size."""
    if picture.shape[-2:] == (height, width):
        return picture
    image = Image.fromarray(np.ascontiguousarray(picture.transpose(1, 2, 0)))
    scaled = np.asarray(image.resize((width, height), Image.Resampling.BILINEAR))
    return scaled.transpose(2, 0, 1)


def with_short_side(picture: NDArray[np.uint8], side: float) -> NDArray[np.uint8]:
    """A picture scaled so that its shorter side is ``side`` pixels, its aspect kept."""
    height, width = picture.shape[-2:]
    scale = side / min(height, width)
    return resized(picture, max(round(height * scale), 1), max(round(width * scale), 1))


def with_pixels(picture: NDArray[np.uint8], count: float, least_side: int = 1) -> NDArray[np.uint8]:
    """A picture scaled to about ``count`` pixels in all, its aspect kept; no side shorter than ``least_side``."""
    height, width = picture.shape[-2:]
    scale = max(np.sqrt(count / (height * width)), least_side / min(height, width))
    return resized(picture, max(round(height * scale), least_side), max(round(width * scale), least_side))
