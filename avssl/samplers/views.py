"""Stored pictures and the crops to cut out of them, where cropping is left to the device.

Which square, how large and whether mirrored is drawn here, as for squares that are cut on the host; only the pixels
come later.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

from avssl.media.facts import Media
from avssl.media.prepared.read import Prepared
from avssl.media.selection import Delegating
from avssl.media.selection import View as CollectionView
from avssl.samplers.pictures import Crop, cut

# What of making pictures is left to the device: "decoding" is that of JPEGs, and cutting, too.
Left = Literal["nothing", "cutting", "decoding"]


class Stored(NamedTuple):
    """A picture as it is stored."""

    data: NDArray[np.uint8]  # its pixels, RGB (3, height, width), or the bytes of its JPEG (bytes,)
    height: int
    width: int

    @property
    def is_jpeg(self) -> bool:
        return self.data.ndim == 1


class View(NamedTuple):
    """A square of a stored picture, scaled with antialiasing; all in pixels of the picture.

    Pixel (i, k) is centred ``(i + 0.5) * down`` below ``top`` and ``(k + 0.5) * right`` to the right of ``left``.
    """

    picture: Stored
    top: float
    left: float
    # From one pixel of the square to the next.
    down: float
    right: float
    flip: bool = False  # mirror it
    coarse: int = 0  # pixels a side that the square is scaled down to, and up again; 0: it is not


def crop_view(picture: Stored, crop: Crop, side: int) -> View:
    """The crop of a picture, scaled to ``side`` pixels: what :func:`avssl.samplers.pictures.cut` cuts."""
    step = crop.size / side
    return View(picture, crop.top, crop.left, step, step, crop.flip)


def cut_or_leave(
    pictures: Sequence[Stored], crop: Crop, side: int, left: Left
) -> tuple[NDArray[np.uint8], tuple[View, ...]]:
    """The same crop of several pictures: uint8 (n, 3, side, side) and no view, or no pixels (n, 0) and the views."""
    if left != "nothing":
        return np.empty((len(pictures), 0), np.uint8), tuple(crop_view(picture, crop, side) for picture in pictures)
    squares = [cut(picture.data, crop, side) for picture in pictures]
    return squares[0][None] if len(squares) == 1 else np.stack(squares), ()


def patch_views(
    picture: Stored, height: int, width: int, corners: NDArray[np.int64], patch: int, flip: bool, coarse: Sequence[int]
) -> list[View]:
    """Patches of a picture that is scaled to (height, width) and mirrored if ``flip``, at these corners (n, 2)."""
    down, right = picture.height / height, picture.width / width
    views = []
    for (top, left), each in zip(corners.tolist(), coarse, strict=True):
        begin = width - left - patch if flip else left
        views.append(View(picture, top * down, begin * right, down, right, flip, each))
    return views


def stored_frames(media: Media, item: int, times: Sequence[float], left: Left) -> list[Stored]:
    """The frames shown at these times, decoded; where decoding is left to the device the JPEGs of a prepared set.

    Raises:
        MediaError: with file and time, where the file cannot be read there.
    """
    found = _prepared(media, item) if left == "decoding" else None
    if found is not None:
        prepared, number = found
        facts = prepared.facts(number)
        return [Stored(data, facts.height, facts.width) for data in prepared.jpegs(number, times)]
    frames = media.frames(item, times)
    return [Stored(frame, *frame.shape[-2:]) for frame in frames]


def prepared_of(media: Media) -> Prepared | None:
    """The prepared set that all of a collection lies in, if there is one."""
    while isinstance(media, CollectionView):
        media = media.base
    return media if isinstance(media, Prepared) else None


def _prepared(media: Media, item: int) -> tuple[Prepared, int] | None:
    """The prepared set that an item lies in, and its number there."""
    while isinstance(media, Delegating):
        media, item = media.origin(item)
    return (media, item) if isinstance(media, Prepared) else None
