"""Coloured, shaded pictures of single objects, and their outlines."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageFilter

from avssl.world.plan import ObjectPlan
from avssl.world.shapes import BODY, INK, LIGHT, REACH, SECOND, draw_parts, outline

_PIXELS = 160
_OVERSAMPLE = 2.5  # sprite pixels for each picture pixel, each of which is the mean of four sprite pixels

Array = NDArray[np.float32]


@dataclass(frozen=True)
class Sprite:
    """A picture of one object, and the map from sprite coordinates to the picture."""

    image: Image.Image  # RGBa, its colours multiplied by alpha, so that it can be warped without dark fringes
    pixels_per_unit: float  # sprite pixels for each drawing unit
    scale: tuple[float, float]  # picture sides for each drawing unit, across and down
    middle: tuple[float, float]  # the middle of the silhouette's bounding box in sprite pixels
    corners: NDArray[np.float64]  # round the silhouette, in drawing units from its middle. (n, 2)


def object_scale(plan: ObjectPlan) -> tuple[float, float]:
    """Picture sides for each drawing unit, across and down: equal sizes for kinds of any proportion."""
    points = outline(plan.kind)
    width, height = np.ptp(points, axis=0)
    # Elongated kinds are drawn a little smaller, or their length would fill the picture.
    norm = plan.size / float(0.6 * np.sqrt(width * height) + 0.4 * max(width, height))
    mirror = -1.0 if plan.mirrored else 1.0
    return mirror * norm * plan.stretch, norm / plan.stretch


def hull(plan: ObjectPlan) -> NDArray[np.float64]:
    """Corners round the upright object, relative to its middle, in picture sides. (n, 2)"""
    return np.asarray(_corners(plan.kind) * np.array(object_scale(plan)))


def make_sprite(plan: ObjectPlan, size: int) -> Sprite:
    """The sprite of an object for pictures of ``size`` pixels."""
    masks, light, gloss = _layers(plan.kind)
    body, second, pale = (np.array(color, dtype=np.float32) for color in plan.colors)
    ink = 0.16 * body + 12.0
    alpha = masks.sum(axis=0)
    flat = np.moveaxis(masks, 0, -1) @ np.stack([body, second, pale, ink]) / np.maximum(alpha, 1e-3)[..., None]
    shaded = flat * light[..., None] + gloss[..., None] * (255.0 - flat)
    rgba = np.concatenate([shaded, 255.0 * alpha[..., None]], axis=2).clip(0.0, 255.0).astype(np.uint8)
    scale = object_scale(plan)
    # At most twice the size of the masks: more would show no more detail.
    pixels = round(min(2 * _PIXELS, _OVERSAMPLE * size * 2 * REACH * max(abs(scale[0]), scale[1])))
    image = Image.fromarray(rgba, "RGBA").convert("RGBa").resize((pixels, pixels), Image.Resampling.BILINEAR)
    scaling = pixels / (2 * REACH)
    x, y = (_middle(plan.kind) + REACH) * scaling
    return Sprite(image, scaling, scale, (float(x), float(y)), _corners(plan.kind))


@lru_cache(maxsize=32)
def _middle(kind: str) -> NDArray[np.float64]:
    points = outline(kind)
    return np.asarray((points.min(axis=0) + points.max(axis=0)) / 2)


@lru_cache(maxsize=32)
def _corners(kind: str) -> NDArray[np.float64]:
    """The outermost points in 24 directions, relative to the middle: a light convex hull. (n, 2)"""
    points = outline(kind) - _middle(kind)
    angles = np.linspace(0.0, 2 * np.pi, 24, endpoint=False)
    furthest = (points @ np.stack([np.cos(angles), np.sin(angles)])).argmax(axis=0)
    return np.asarray(points[list(dict.fromkeys(furthest.tolist()))])


@lru_cache(maxsize=32)
def _layers(kind: str) -> tuple[Array, Array, Array]:
    """Soft masks of the four parts (4, h, w), light (h, w) about 1, gloss (h, w) in 0 to 1."""
    parts = draw_parts(kind)
    factor = parts.shape[0] // _PIXELS
    masks = np.stack([_reduced((parts == part).astype(np.float32), factor) for part in (BODY, SECOND, LIGHT, INK)])
    filled = masks[:3].sum(axis=0)
    # The blurred silhouette is taken for a height map; its slope towards a lamp above left gives the light.
    height = 0.6 * _blurred(filled, 12.0) + 0.4 * _blurred(filled, 4.0)
    slope_y, slope_x = np.gradient(height)
    lamp = 9.0 * (0.6 * slope_x + 0.8 * slope_y)
    light = np.clip(0.95 + lamp, 0.55, 1.22)
    gloss = np.clip(2.0 * (lamp - 0.16), 0.0, 0.45) * filled
    return masks.astype(np.float32), light.astype(np.float32), gloss.astype(np.float32)


def _reduced(mask: Array, factor: int) -> Array:
    side = mask.shape[0] // factor
    return np.asarray(mask.reshape(side, factor, side, factor).mean(axis=(1, 3)), dtype=np.float32)


def _blurred(mask: Array, radius: float) -> Array:
    image = Image.fromarray((255.0 * mask).astype(np.uint8))
    return np.asarray(image.filter(ImageFilter.GaussianBlur(radius)), dtype=np.float32) / 255.0
