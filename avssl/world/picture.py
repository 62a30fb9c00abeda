"""The frames of a clip, and the box of each object in each frame."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFilter

from avssl.world.backdrop import draw_backdrop, draw_ball
from avssl.world.physics import Hit, Motion
from avssl.world.plan import ClipPlan
from avssl.world.sprites import Sprite, make_sprite

Box = tuple[float, float, float, float]
Pose = tuple[float, float, float]
Matrix = tuple[float, float, float, float]  # two by two, row by row

_SQUASH_SECONDS = 0.07  # in which it decays to 1/e
_SHADOW_LEVELS = 8


@dataclass(frozen=True)
class Frame:
    image: Image.Image  # RGB
    # For each object left, top, right, bottom in shares of the side, tight around its silhouette inside of the picture,
    # occluded parts included; None where it is outside.
    boxes: list[Box | None]
    # What is seen at each pixel: 0 the backdrop, 1 the first object, …; pebbles and cords are not told apart from what
    # is behind them. uint8 (size, size)
    labels: NDArray[np.uint8]


class Painter:
    """Paints the frames of one clip, without the ``hidden`` objects (their boxes stay) and then without shadows."""

    def __init__(
        self, plan: ClipPlan, motion: Motion, size: int, fps: int, hidden: frozenset[int] | None = None
    ) -> None:
        self.plan, self.motion, self.size, self.fps = plan, motion, size, fps
        self.hidden = hidden
        self.sprites = [make_sprite(one, size) for one in plan.objects]
        self.theme, self._backdrop = draw_backdrop(plan.rng("backdrop"), plan.floor, size, motion.posts)
        self._shadows = [_shadow(sprite, size) for sprite in self.sprites]
        self._hits = [[hit for hit in motion.hits if hit.object == number] for number in range(len(plan.objects))]
        self._pebble = draw_ball(64)

    def frames(self) -> Iterator[Frame]:
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
        labels = np.zeros((self.size, self.size), np.uint8)
        for which, pose in enumerate(poses):
            visible = self.hidden is None or which not in self.hidden
            if visible and self.motion.cords[which] is not None:
                self._paint_cord(image, which, pose)
            squash, shift = _squash(self._hits[which], now, self.plan.objects[which].size / 2)
            moved = (float(pose[0]) + shift[0], float(pose[1]) + shift[1], float(pose[2]))
            boxes.append(self._paint(image, labels, which, moved, squash, visible))
        for x, y, radius in self.motion.pebbles[number]:
            self._paint_pebble(image, x, y, radius)
        return Frame(image, boxes, labels)

    def _paint(
        self, image: Image.Image, labels: NDArray[np.uint8], which: int, pose: Pose, squash: Matrix, show: bool
    ) -> Box | None:
        """Warp a sprite into the smallest rectangle of the picture that holds it, and find its edges there."""
        size, sprite = self.size, self.sprites[which]
        forward = _drawing_to_picture(sprite, pose[2], squash, size)
        x, y = pose[0] * size, pose[1] * size
        corners = sprite.corners @ np.array([forward[::2], forward[1::2]])
        low, high = corners.min(axis=0), corners.max(axis=0)
        left, top = max(math.floor(x + low[0]) - 1, 0), max(math.floor(y + low[1]) - 1, 0)
        right, bottom = min(math.ceil(x + high[0]) + 1, size), min(math.ceil(y + high[1]) + 1, size)
        if right <= left or bottom <= top:
            return None
        a, b, c, d = (value * sprite.pixels_per_unit for value in _inverse(forward))
        middle_x, middle_y = sprite.middle
        start_x, start_y = middle_x + a * (left - x) + b * (top - y), middle_y + c * (left - x) + d * (top - y)
        # The mean of four nearest samples for each pixel: as smooth as bilinear sampling here, in half the time.
        patch = sprite.image.transform(
            (2 * (right - left), 2 * (bottom - top)),
            Image.Transform.AFFINE,
            (a / 2, b / 2, start_x, c / 2, d / 2, start_y),
            Image.Resampling.NEAREST,
        )
        patch = patch.reduce(2).convert("RGBA")
        inside = np.asarray(patch)[..., 3] > 127
        if show:
            image.paste(patch, (left, top), patch)
            labels[top:bottom, left:right][inside] = which + 1
        return _edges(inside, left, top, size)

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


def _drawing_to_picture(sprite: Sprite, angle: float, squash: Matrix, size: int) -> Matrix:
    """From drawing units to pixels of the picture: squash · turn · scale."""
    cos, sin = math.cos(angle) * size, math.sin(angle) * size
    across, down = sprite.scale
    a, b, c, d = across * cos, -down * sin, across * sin, down * cos
    p, q, r, s = squash
    return p * a + q * c, p * b + q * d, r * a + s * c, r * b + s * d


def _inverse(matrix: Matrix) -> Matrix:
    a, b, c, d = matrix
    determinant = a * d - b * c
    return d / determinant, -b / determinant, -c / determinant, a / determinant


def _edges(inside: NDArray[np.bool_], left: int, top: int, size: int) -> Box | None:
    columns, rows = np.flatnonzero(inside.any(axis=0)), np.flatnonzero(inside.any(axis=1))
    if not len(columns):
        return None
    return (
        (left + int(columns[0])) / size,
        (top + int(rows[0])) / size,
        (left + int(columns[-1]) + 1) / size,
        (top + int(rows[-1]) + 1) / size,
    )


def _squash(hits: list[Hit], now: float, reach: float) -> tuple[Matrix, tuple[float, float]]:
    """How an object is pressed flat along the direction of its last hit and springs back: a matrix, and a shift of its
    middle so that it stays in touch with what it hit."""
    last = next((hit for hit in reversed(hits) if hit.seconds <= now + 1e-9), None)
    if last is None or now - last.seconds > 0.5:  # by then e^-7 of it is left
        return (1.0, 0.0, 0.0, 1.0), (0.0, 0.0)
    age = now - last.seconds
    depth = 0.2 * min(last.strength, 1.2) * math.exp(-age / _SQUASH_SECONDS) * math.cos(2 * math.pi * age / 0.24)
    x, y = last.direction
    # Pressed by `depth` along the direction, stretched by 0.6 of it across.
    round_about, along = 1.0 + 0.6 * depth, -1.6 * depth
    way = max(depth, 0.0) * reach
    return (round_about + along * x * x, along * x * y, along * x * y, round_about + along * y * y), (way * x, way * y)


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
