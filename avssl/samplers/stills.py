"""One whole picture of an item, of any shape: an image itself, or a frame of a video at a time drawn from a key."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from avssl.media.facts import Media
from avssl.samplers.keys import Key, generator
from avssl.samplers.views import Left, Stored, stored_frames
from avssl.samplers.whole_pictures import item_of


class Still(NamedTuple):
    """A picture and where it comes from."""

    item: int
    seconds: float
    picture: Stored

    @property
    def pixels(self) -> NDArray[np.uint8]:
        """(3, height, width), RGB; of a picture that is decoded."""
        return self.picture.data


def draw_still(media: Media, key: Key, left: Left = "nothing") -> Still:
    """The picture of this key: each item once in an epoch; of a video any of its frames, all equally likely."""
    return still_of(media, item_of(media, key), left, *key, "frame")


def still_of(media: Media, item: int, left: Left, *parts: int | str) -> Still:
    """The picture of an item; of a video any of its frames, drawn by the generator of ``parts``."""
    seconds = 0.0
    if media.facts(item).has_video:
        # By the times of its frames, never by a nominal rate, which files get wrong.
        times = media.frame_times(item)
        seconds = float(times[generator(*parts).integers(len(times))])
    return Still(item, seconds, stored_frames(media, item, [seconds], left)[0])


def resized(picture: NDArray[np.uint8], height: int, width: int) -> NDArray[np.uint8]:
    """A picture (3, h, w) scaled to (3, height, width), antialiased; the same bytes where that is its size."""
    if picture.shape[-2:] == (height, width):
        return picture
    image = Image.fromarray(np.ascontiguousarray(picture.transpose(1, 2, 0)))
    scaled = np.asarray(image.resize((width, height), Image.Resampling.BILINEAR))
    return scaled.transpose(2, 0, 1)


def size_with_pixels(height: int, width: int, count: float, least_side: int = 1) -> tuple[int, int]:
    """Height and width of a picture scaled to about ``count`` pixels in all, its aspect kept; no side is shorter than
    ``least_side``."""
    scale = max(np.sqrt(count / (height * width)), least_side / min(height, width))
    return max(round(height * scale), least_side), max(round(width * scale), least_side)
