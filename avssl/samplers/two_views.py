"""Crops and changes of colour by which two views of one picture differ."""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from avssl.samplers.keys import uniform
from avssl.samplers.views import Stored, View

# Width by height of a crop, and tries to find one that fits: torchvision's RandomResizedCrop.
_ASPECTS = (3 / 4, 4 / 3)
_LOG_ASPECTS = tuple(map(math.log, _ASPECTS))
_TRIES = 10
_SIGMAS = (0.1, 2.0)  # of a blur, in pixels: SimCLR and MoCo v2


class Rectangle(NamedTuple):
    """A rectangle of a picture, in pixels, and whether it is mirrored."""

    top: int
    left: int
    height: int
    width: int
    flip: bool


def random_rectangle(rng: np.random.Generator, height: int, width: int, low: float, flip: bool) -> Rectangle:
    """A share ``low`` to 1 of a picture's area, of an aspect of 3:4 to 4:3, anywhere, mirrored half of the time."""
    # Scalars of rng.random alone: whole numbers cost it ten times as much, and a puzzle draws many.
    mirrored = rng.random() < 0.5 and flip
    for _ in range(_TRIES):
        area = height * width * uniform(rng, low, 1.0)
        aspect = math.exp(uniform(rng, *_LOG_ASPECTS))
        w, h = round(math.sqrt(area * aspect)), round(math.sqrt(area / aspect))
        if 0 < w <= width and 0 < h <= height:
            top, left = int(rng.random() * (height - h + 1)), int(rng.random() * (width - w + 1))
            return Rectangle(top, left, h, w, mirrored)
    # The whole, or its middle where the picture is longer than any crop may be.
    w, h = min(width, round(height * _ASPECTS[1])), min(height, round(width / _ASPECTS[0]))
    return Rectangle((height - h) // 2, (width - w) // 2, h, w, mirrored)


def rectangle_view(picture: Stored, place: Rectangle, side: int) -> View:
    """The rectangle, scaled to a square of ``side`` pixels: what :func:`cut_rectangle` cuts."""
    return View(picture, place.top, place.left, place.height / side, place.width / side, place.flip)


def cut_rectangle(frame: NDArray[np.uint8], place: Rectangle, side: int) -> NDArray[np.uint8]:
    """The rectangle of a frame (3, h, w), scaled to (3, side, side) with antialiasing: uint8."""
    # Of a large picture no more is converted than the scaling looks at: a pixel of the square, and one of the picture.
    rows, above = _around(place.top, place.height, side, frame.shape[1])
    columns, before = _around(place.left, place.width, side, frame.shape[2])
    picture = Image.fromarray(np.ascontiguousarray(frame[:, rows, columns].transpose(1, 2, 0)))
    box = (before, above, before + place.width, above + place.height)
    scaled = np.asarray(picture.resize((side, side), Image.Resampling.BILINEAR, box=box))
    return np.ascontiguousarray((scaled[:, ::-1] if place.flip else scaled).transpose(2, 0, 1))


class Jitter(NamedTuple):
    """How much colours change, and of what share of the views."""

    strength: tuple[float, ...]  # largest changes of brightness, contrast, saturation and hue
    share: float
    grey: float
    blur: float


def draw_recolouring(rng: np.random.Generator, jitter: Jitter) -> NDArray[np.float32]:
    """The numbers of a :class:`~avssl.networks.recolour.Recolouring`, drawn for one view: float32 (10,)."""
    # All are drawn in any case: views of other options differ by nothing else.
    jittered, grey, blurred, sigma, hue, *drawn = rng.random(12).tolist()
    factors, order = drawn[:3], drawn[3:]
    strong = jittered < jitter.share
    numbers = []
    for share, strength in zip(factors, jitter.strength[:3], strict=True):
        # A factor that would be negative is 0, as torchvision has it: drawn between the bounds, not cut.
        low, high = max(1 - strength, 0.0), 1 + strength
        numbers.append(low + (high - low) * share if strong else 1.0)
    numbers.append(jitter.strength[3] * (2 * hue - 1) if strong else 0.0)
    numbers += [sorted(order).index(each) for each in order]  # the rank of four draws: any order is as likely
    blur = _SIGMAS[0] + (_SIGMAS[1] - _SIGMAS[0]) * sigma if blurred < jitter.blur else 0.0
    return np.array([*numbers, grey < jitter.grey, blur], np.float32)


def _around(begin: int, length: int, side: int, end: int) -> tuple[slice, int]:
    """The pixels that a scaled part depends on, and where in them it begins."""
    beyond = math.ceil(max(length / side, 1)) + 1
    first = max(begin - beyond, 0)
    return slice(first, min(begin + length + beyond, end)), begin - first
