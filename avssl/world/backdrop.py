"""Backgrounds, drawn independently of the objects in front of them."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

import numpy as np
from PIL import Image, ImageDraw, ImageFilter

from avssl.world.plan import Color, rgb
from avssl.world.rng import between

THEMES: tuple[str, ...] = ("room", "meadow", "night", "stage", "paper")

_OVERSAMPLE = 2  # drawn at twice the size and averaged: Pillow draws without antialiasing


def draw_backdrop(
    rng: np.random.Generator, floor: float, size: int, posts: Sequence[tuple[float, float, float]] = ()
) -> tuple[str, Image.Image]:
    """A theme, and an RGB picture of it of ``size`` pixels with the ground at ``floor`` (0 the top edge, 1 the bottom),
    and fixed ``posts`` (x, y, radius) that hang from above."""
    theme = THEMES[int(rng.integers(len(THEMES)))]
    scene = _Scene(rng, floor, size * _OVERSAMPLE)
    _PLACES[theme](scene)
    for x, y, radius in posts:
        _hang_post(scene, x, y, radius)
    image = scene.image.resize((size, size), Image.Resampling.BOX)
    return theme, _with_vignette(image, between(rng, 0.08, 0.25))


def draw_ball(side: int) -> Image.Image:
    """A grey ball lit from above left. RGBA."""
    y, x = np.mgrid[-1 : 1 : complex(side), -1 : 1 : complex(side)].astype(np.float32)
    radius = np.hypot(x, y)
    light = np.clip(0.85 - 0.35 * x - 0.45 * y, 0.3, 1.4) * np.where(radius > 0.82, 0.35, 1.0)
    grey = (np.array([128.0, 122.0, 116.0], dtype=np.float32) * light[..., None]).clip(0, 255)
    alpha = 255.0 * np.clip((1.0 - radius) * side / 4, 0.0, 1.0)
    return Image.fromarray(np.concatenate([grey, alpha[..., None]], axis=2).astype(np.uint8), "RGBA")


class _Scene:
    """A picture being drawn, in shares of its side, with its own palette."""

    def __init__(self, rng: np.random.Generator, floor: float, pixels: int) -> None:
        self.rng, self.pixels = rng, pixels
        self.horizon = floor - between(rng, 0.05, 0.14)
        self.hue = float(rng.random())
        self.image = Image.new("RGB", (pixels, pixels))
        self.draw = ImageDraw.Draw(self.image)

    def color(self, shift: float, saturation: float, value: float) -> Color:
        """A colour with a hue ``shift`` turns from the palette's."""
        return rgb(self.hue + shift, min(max(saturation, 0.0), 1.0), min(max(value, 0.0), 1.0))

    def gradient(self, top: float, bottom: float, upper: Color, lower: Color) -> None:
        """A band over the whole width, shaded from ``upper`` to ``lower``."""
        start, end = round(top * self.pixels), round(bottom * self.pixels)
        for line in range(start, end):
            share = (line - start) / max(end - start - 1, 1)
            mixed = tuple(round(a + share * (b - a)) for a, b in zip(upper, lower, strict=True))
            self.draw.line([(0, line), (self.pixels, line)], fill=mixed)

    def box(self, x0: float, y0: float, x1: float, y1: float, color: Color) -> None:
        self.draw.rectangle([self.at(x0, y0), self.at(x1, y1)], fill=color)

    def disc(self, x: float, y: float, rx: float, ry: float, color: Color) -> None:
        self.draw.ellipse([self.at(x - rx, y - ry), self.at(x + rx, y + ry)], fill=color)

    def line(self, x0: float, y0: float, x1: float, y1: float, width: float, color: Color) -> None:
        self.draw.line([self.at(x0, y0), self.at(x1, y1)], fill=color, width=max(1, round(width * self.pixels)))

    def shape(self, points: list[tuple[float, float]], color: Color) -> None:
        self.draw.polygon([self.at(x, y) for x, y in points], fill=color)

    def at(self, x: float, y: float) -> tuple[float, float]:
        return x * self.pixels, y * self.pixels

    def some(self, low: int, high: int) -> range:
        return range(int(self.rng.integers(low, high + 1)))

    def any(self, low: float, high: float) -> float:
        return between(self.rng, low, high)


def _room(scene: _Scene) -> None:
    saturation, value = scene.any(0.12, 0.4), scene.any(0.68, 0.92)
    wall, shade = scene.color(0.0, saturation, value), scene.color(0.0, saturation + 0.05, value - 0.12)
    scene.gradient(0.0, scene.horizon, wall, shade)
    _wallpaper(scene, scene.color(0.02, saturation + 0.06, value - 0.07))
    for _ in scene.some(0, 2):
        _picture_frame(scene)
    scene.box(0.0, scene.horizon - 0.025, 1.0, scene.horizon, scene.color(0.0, 0.10, min(value + 0.1, 1.0)))
    wood = (scene.any(0.3, 0.6), scene.any(0.25, 0.5), scene.any(0.5, 0.75))
    scene.gradient(scene.horizon, 1.0, scene.color(*wood), scene.color(wood[0], wood[1], wood[2] - 0.15))
    _boards(scene, scene.color(wood[0], wood[1] + 0.1, wood[2] - 0.22))


def _wallpaper(scene: _Scene, ink: Color) -> None:
    step = scene.any(0.06, 0.14)
    style = int(scene.rng.integers(4))
    across = math.ceil(1.0 / step) + 1
    for column in range(across):
        x = column * step
        if style == 1:
            scene.box(x, 0.0, x + step / 2, scene.horizon, ink)
        elif style >= 2:
            for row in range(math.ceil(scene.horizon / step)):
                y = (row + 0.5) * step
                if style == 2:
                    scene.disc(x + (row % 2) * step / 2, y, step / 6, step / 6, ink)
                else:
                    scene.shape([(x, y - step / 2), (x + step / 2, y), (x, y + step / 2), (x - step / 2, y)][:3], ink)


def _picture_frame(scene: _Scene) -> None:
    x, y = scene.any(0.1, 0.9), scene.any(0.08, 0.5)
    w, h = scene.any(0.06, 0.14), scene.any(0.06, 0.14)
    scene.box(x - w - 0.02, y - h - 0.02, x + w + 0.02, y + h + 0.02, scene.color(0.1, 0.4, 0.4))
    scene.box(x - w, y - h, x + w, y + h, scene.color(0.5, 0.15, 0.95))
    scene.box(x - w, y + h * 0.2, x + w, y + h, scene.color(scene.any(0.2, 0.8), 0.35, 0.7))
    scene.disc(x + w * 0.3, y - h * 0.3, h * 0.3, h * 0.3, scene.color(scene.any(0.2, 0.8), 0.45, 0.9))


def _boards(scene: _Scene, ink: Color) -> None:
    vanish = scene.any(0.2, 0.8)
    for number in range(-4, 15):
        x = number / 10.0
        scene.line(vanish + (x - vanish) * 0.75, scene.horizon, vanish + (x - vanish) * 1.6, 1.0, 0.006, ink)


def _meadow(scene: _Scene) -> None:
    sky = scene.any(0.25, 0.55)
    scene.gradient(0.0, scene.horizon, scene.color(0.0, sky, 0.92), scene.color(0.0, sky * 0.35, 0.98))
    scene.disc(scene.any(0.05, 0.95), scene.any(0.05, 0.3), 0.07, 0.07, scene.color(0.5, 0.25, 1.0))
    for _ in scene.some(1, 4):
        _cloud(scene)
    green = scene.any(0.25, 0.75)
    for layer in range(2):
        tone = scene.color(green, 0.30 + 0.12 * layer, 0.80 - 0.10 * layer)
        phase, swing = scene.any(0.0, 6.0), scene.any(0.02, 0.07)
        crest = scene.horizon - 0.10 + 0.06 * layer
        ridge = [(x / 24, crest + swing * math.sin(phase + 5.0 * x / 24)) for x in range(25)]
        scene.shape([*ridge, (1.0, 1.0), (0.0, 1.0)], tone)
    scene.gradient(scene.horizon, 1.0, scene.color(green, 0.52, 0.66), scene.color(green, 0.58, 0.50))
    for _ in range(40):
        x, y = scene.any(0.0, 1.0), scene.any(scene.horizon, 1.0)
        scene.line(x, y, x + scene.any(-0.01, 0.01), y - 0.025, 0.005, scene.color(green, 0.6, 0.44))


def _cloud(scene: _Scene) -> None:
    x, y, r = scene.any(0.0, 1.0), scene.any(0.06, 0.42), scene.any(0.03, 0.06)
    for dx, dy, share in ((-1.3, 0.2, 0.7), (0.0, -0.2, 1.0), (1.2, 0.2, 0.8), (0.0, 0.3, 1.0)):
        scene.disc(x + dx * r, y + dy * r, 1.2 * r * share, r * share, scene.color(0.0, 0.04, 1.0))


def _night(scene: _Scene) -> None:
    scene.gradient(0.0, scene.horizon, scene.color(0.0, 0.65, 0.22), scene.color(0.08, 0.5, 0.46))
    for _ in range(45):
        r = scene.any(0.002, 0.006)
        scene.disc(scene.any(0.0, 1.0), scene.any(0.0, scene.horizon), r, r, scene.color(0.5, 0.1, scene.any(0.6, 1.0)))
    x, y, r = scene.any(0.1, 0.9), scene.any(0.1, 0.3), scene.any(0.05, 0.09)
    scene.disc(x, y, r, r, scene.color(0.5, 0.12, 0.97))
    scene.disc(x + 0.4 * r, y - 0.2 * r, 0.85 * r, 0.85 * r, scene.color(0.02, 0.62, 0.27))
    left = -0.05
    while left < 1.0:
        width, height = scene.any(0.08, 0.18), scene.any(0.08, 0.34)
        scene.box(left, scene.horizon - height, left + width, scene.horizon, scene.color(0.04, 0.5, 0.27))
        for row in range(int(height / 0.06)):
            for column in range(int(width / 0.05)):
                if scene.rng.random() < 0.4:
                    x, y = left + 0.02 + 0.05 * column, scene.horizon - height + 0.02 + 0.06 * row
                    scene.box(x, y, x + 0.018, y + 0.025, scene.color(0.5, 0.45, 0.85))
        left += width + scene.any(0.0, 0.03)
    scene.gradient(scene.horizon, 1.0, scene.color(0.1, 0.3, 0.42), scene.color(0.1, 0.35, 0.30))


def _stage(scene: _Scene) -> None:
    dark, light = scene.color(0.0, 0.6, scene.any(0.35, 0.5)), scene.color(0.0, 0.55, scene.any(0.55, 0.7))
    folds = scene.any(7.0, 14.0)
    for column in range(scene.pixels):
        share = 0.5 + 0.5 * math.sin(
            folds * 2 * math.pi * column / scene.pixels + 0.6 * math.sin(9.0 * column / scene.pixels)
        )
        mixed = tuple(round(a + share * (b - a)) for a, b in zip(dark, light, strict=True))
        scene.draw.line([(column, 0), (column, scene.pixels * scene.horizon)], fill=mixed)
    edge = scene.any(0.06, 0.12)
    for column in range(8):
        scene.disc((column + 0.5) / 8, 0.0, 1 / 15, edge, scene.color(0.12, 0.5, 0.75))
    scene.gradient(scene.horizon, 1.0, scene.color(0.3, 0.30, 0.62), scene.color(0.3, 0.35, 0.45))
    _boards(scene, scene.color(0.3, 0.4, 0.38))
    glow = Image.new("L", scene.image.size, 0)
    middle, width = scene.any(0.25, 0.75), scene.any(0.2, 0.35)
    beam = [(middle - 0.05, -0.1), (middle + 0.05, -0.1), (middle + width, 1.0), (middle - width, 1.0)]
    ImageDraw.Draw(glow).polygon([scene.at(x, y) for x, y in beam], fill=80)
    glow = glow.filter(ImageFilter.GaussianBlur(scene.pixels / 30))
    scene.image.paste(scene.color(0.5, 0.08, 1.0), (0, 0), glow)


def _paper(scene: _Scene) -> None:
    base = scene.any(0.8, 0.97)
    scene.gradient(0.0, 1.0, scene.color(0.0, 0.10, base), scene.color(0.05, 0.22, base - 0.08))
    for _ in scene.some(4, 10):
        x, y, r = scene.any(0.0, 1.0), scene.any(0.0, scene.horizon), scene.any(0.03, 0.16)
        tone = scene.color(scene.any(-0.2, 0.2), scene.any(0.15, 0.4), base - scene.any(0.0, 0.15))
        corners, turn = int(scene.rng.integers(3, 9)), scene.any(0.0, 6.0)
        angles = [turn + 2 * math.pi * k / corners for k in range(corners)]
        scene.shape([(x + r * math.cos(a), y + r * math.sin(a)) for a in angles], tone)
    shelf = scene.color(scene.any(0.3, 0.7), 0.35, 0.72)
    scene.gradient(scene.horizon, 1.0, shelf, scene.color(0.5, 0.4, 0.55))
    scene.line(0.0, scene.horizon, 1.0, scene.horizon, 0.008, scene.color(0.5, 0.4, 0.45))


_PLACES: dict[str, Callable[[_Scene], None]] = {
    "room": _room,
    "meadow": _meadow,
    "night": _night,
    "stage": _stage,
    "paper": _paper,
}


def _with_vignette(image: Image.Image, depth: float) -> Image.Image:
    side = np.linspace(-1.0, 1.0, image.width, dtype=np.float32)
    light = 1.0 - np.float32(depth) * (side[:, None] ** 2 + side[None, :] ** 2) / 2
    return Image.fromarray((np.asarray(image, dtype=np.float32) * light[..., None]).astype(np.uint8))


def _hang_post(scene: _Scene, x: float, y: float, radius: float) -> None:
    scene.line(x, -0.1, x, y, 0.02, (58, 50, 46))
    scene.line(x, -0.1, x, y, 0.009, (126, 112, 100))
    ball = draw_ball(round(2 * radius * scene.pixels))
    scene.image.paste(ball, (round((x - radius) * scene.pixels), round((y - radius) * scene.pixels)), ball)
