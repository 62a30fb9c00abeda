"""The frames of a clip, and the box of each object in each frame."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFilter

from avssl.world.backdrop import draw_backdrop
from avssl.world.physics import Hit, Motion
from avssl.world.plan import ClipPlan
from avssl.world.shapes import REACH
from avssl.world.sprites import Sprite, make_sprite

Box = tuple[float, float, float, float]

_OPAQUE = [255 if value > 127 else 0 for value in range(256)]
_SQUASH_SECONDS = 0.07
_SHADOW_LEVELS = 8


@dataclass(frozen=True)
class Frame:
    """One picture.

    Attributes:
        image: RGB.
        boxes: for each object left, top, right, bottom in shares of the side, tight round its silhouette as
            far as it lies in the picture; None where it does not. What others cover counts as its own.
    """

    image: Image.Image
    boxes: list[Box | None]


class Painter:
    """Paints the frames of one clip.

    Args:
        plan: the clip.
        motion: where everything is.
        size: side of the picture in pixels.
        fps: frames a second.
        hidden: numbers of objects to leave out (their boxes stay); shadows are left out with any.
    """

    def __init__(
        self, plan: ClipPlan, motion: Motion, size: int, fps: int, hidden: frozenset[int] | None = None
    ) -> None:
        self.plan, self.motion, self.size, self.fps = plan, motion, size, fps
        self.hidden = hidden
        self.sprites = [make_sprite(one, size) for one in plan.objects]
        self.theme, self._backdrop = draw_backdrop(plan.rng("backdrop"), plan.floor, size)
        if motion.posts:
            self._hang_posts()
        self._shadows = [_shadow(sprite, size) for sprite in self.sprites]
        self._hits = [[hit for hit in motion.hits if hit.object == number] for number in range(len(plan.objects))]
        self._pebble = _pebble(64)

    def frames(self) -> Iterator[Frame]:
        """All frames, in order."""
        for number in range(len(self.motion.poses)):
            yield self._frame(number)

    def _frame(self, number: int) -> Frame:
        image = self._backdrop.copy()
        now = number / self.fps
        poses = self.motion.poses[number]
        if self.hidden is None:
            for pose, shadow in zip(poses, self._shadows, strict=True):
                self._paint_shadow(image, pose, shadow)
        boxes: list[Box | None] = []
        for which, (pose, sprite) in enumerate(zip(poses, self.sprites, strict=True)):
            visible = self.hidden is None or which not in self.hidden
            if visible and self.motion.cords[which] is not None:
                self._paint_cord(image, which, pose)
            squash, shift = _squash(self._hits[which], now, self.plan.objects[which].size / 2)
            boxes.append(self._paint(image, sprite, (pose[0] + shift[0], pose[1] + shift[1], pose[2]), squash, visible))
        for x, y, radius in self.motion.pebbles[number]:
            self._paint_pebble(image, x, y, radius)
        return Frame(image, boxes)

    def _paint(
        self,
        image: Image.Image,
        sprite: Sprite,
        pose: tuple[float, float, float],
        squash: NDArray[np.float64],
        show: bool,
    ) -> Box | None:
        """Warp the sprite into the smallest rectangle of the picture that holds it."""
        size = self.size
        c, s = math.cos(pose[2]), math.sin(pose[2])
        turn = np.array([[c, -s], [s, c]])
        # From drawing units to pixels of the picture, and from there back to pixels of the sprite.
        forward = squash @ turn @ np.diag(sprite.scale) * size
        backward = np.linalg.inv(forward) * sprite.pixels_per_unit
        x, y = pose[0] * size, pose[1] * size
        reach = np.abs(forward) @ (REACH + np.abs(sprite.centre))
        left, top = math.floor(max(x - reach[0], 0)), math.floor(max(y - reach[1], 0))
        right, bottom = math.ceil(min(x + reach[0], size)), math.ceil(min(y + reach[1], size))
        if right <= left or bottom <= top:
            return None
        origin = (np.array(sprite.centre) + REACH) * sprite.pixels_per_unit + backward @ (left - x, top - y)
        data = (backward[0, 0], backward[0, 1], origin[0], backward[1, 0], backward[1, 1], origin[1])
        patch = sprite.image.transform(
            (right - left, bottom - top), Image.Transform.AFFINE, data, Image.Resampling.BILINEAR
        )
        mask = patch.getchannel("A")
        if show:
            image.paste(patch, (left, top), mask)
        edges = mask.point(_OPAQUE).getbbox()
        if edges is None:
            return None
        return (left + edges[0]) / size, (top + edges[1]) / size, (left + edges[2]) / size, (top + edges[3]) / size

    # --- what is not an object --------------------------------------------------------------------------

    def _paint_cord(self, image: Image.Image, which: int, pose: NDArray[np.float64]) -> None:
        pivot = self.motion.cords[which]
        if pivot is not None:
            ends = [(pivot[0] * self.size, pivot[1] * self.size), (pose[0] * self.size, pose[1] * self.size)]
            ImageDraw.Draw(image).line(ends, fill=(60, 52, 48), width=max(1, round(self.size / 90)))

    def _paint_pebble(self, image: Image.Image, x: float, y: float, radius: float) -> None:
        side = max(3, round(2 * radius * self.size))
        stone = self._pebble.resize((side, side), Image.Resampling.BILINEAR)
        image.paste(stone, (round(x * self.size - side / 2), round(y * self.size - side / 2)), stone)

    def _paint_shadow(self, image: Image.Image, pose: NDArray[np.float64], shadow: list[Image.Image]) -> None:
        height = max(self.plan.floor - pose[1], 0.0)
        level = min(int(_SHADOW_LEVELS * height / 0.9), _SHADOW_LEVELS - 1)
        mask = shadow[level]
        place = (round(pose[0] * self.size - mask.width / 2), round(self.plan.floor * self.size - mask.height / 2))
        image.paste((12, 10, 20), place, mask)

    def _hang_posts(self) -> None:
        """Posts stand still: they are part of the background."""
        scale = 3
        large = self._backdrop.resize((self.size * scale,) * 2, Image.Resampling.BILINEAR)
        draw = ImageDraw.Draw(large)
        unit = self.size * scale
        for x, y, radius in self.motion.posts:
            draw.line([(x * unit, -1), (x * unit, y * unit)], fill=(58, 50, 46), width=round(0.02 * unit))
            draw.line([(x * unit, -1), (x * unit, y * unit)], fill=(126, 112, 100), width=round(0.009 * unit))
            ball = _pebble(round(2 * radius * unit))
            large.paste(ball, (round((x - radius) * unit), round((y - radius) * unit)), ball)
        self._backdrop = large.resize((self.size, self.size), Image.Resampling.BOX)


def _squash(hits: list[Hit], now: float, reach: float) -> tuple[NDArray[np.float64], tuple[float, float]]:
    """How an object is pressed flat along the direction of its last hit and springs back.

    A matrix (2, 2), and the way its middle goes so that it stays in touch with what it was pressed against.
    """
    last = next((hit for hit in reversed(hits) if hit.seconds <= now + 1e-9), None)
    if last is None or now - last.seconds > 0.5:
        return np.eye(2), (0.0, 0.0)
    age = now - last.seconds
    depth = 0.2 * min(last.strength, 1.2) * math.exp(-age / _SQUASH_SECONDS) * math.cos(2 * math.pi * age / 0.24)
    normal = np.array(last.direction)
    along = np.outer(normal, normal)
    way = max(depth, 0.0) * reach
    return np.eye(2) - depth * along + 0.6 * depth * (np.eye(2) - along), (way * normal[0], way * normal[1])


def _shadow(sprite: Sprite, size: int) -> list[Image.Image]:
    """Soft ellipses: small and dark for an object on the floor, wide and faint for one high above."""
    width = abs(sprite.scale[0]) * size
    levels = []
    for level in range(_SHADOW_LEVELS):
        share = level / _SHADOW_LEVELS
        half = width * (0.85 + 0.3 * share)
        blur = 1.5 + 4.0 * share
        margin = math.ceil(2 * blur)
        canvas = Image.new("L", (round(2 * half) + 2 * margin, round(0.3 * half) + 2 * margin), 0)
        box = [margin, margin, canvas.width - margin, canvas.height - margin]
        ImageDraw.Draw(canvas).ellipse(box, fill=round(120 * (1 - share) ** 1.5))
        levels.append(canvas.filter(ImageFilter.GaussianBlur(blur)))
    return levels


def _pebble(side: int) -> Image.Image:
    """A grey ball lit from above left. RGBA."""
    y, x = np.mgrid[-1 : 1 : complex(side), -1 : 1 : complex(side)].astype(np.float32)
    radius = np.hypot(x, y)
    light = np.clip(0.85 - 0.35 * x - 0.45 * y, 0.3, 1.4) * np.where(radius > 0.82, 0.35, 1.0)
    grey = (np.array([128.0, 122.0, 116.0], dtype=np.float32) * light[..., None]).clip(0, 255)
    alpha = 255.0 * np.clip((1.0 - radius) * side / 4, 0.0, 1.0)
    return Image.fromarray(np.concatenate([grey, alpha[..., None]], axis=2).astype(np.uint8), "RGBA")
