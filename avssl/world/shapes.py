"""The silhouette of each kind, upright and without colour: a map of its body parts.

Drawing coordinates: x to the right, y down, roughly within ±1.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFilter

Point = tuple[float, float]

# Parts: the first three take the object's colours, ink is a dark shade of the first.
BODY, SECOND, LIGHT, INK = 1, 2, 3, 4

REACH = 1.2  # the canvas shows coordinates from -REACH to REACH

_PIXELS = 640  # a multiple of the sprites' size: the maps are averaged down, as Pillow draws without antialiasing
_OUTLINE = 0.06


class Pen:
    """Draws parts; later ones cover earlier ones."""

    def __init__(self) -> None:
        self.image = Image.new("L", (_PIXELS, _PIXELS), 0)
        self._draw = ImageDraw.Draw(self.image)

    def polygon(self, points: Sequence[Point], part: int) -> None:
        self._draw.polygon([_pixel(point) for point in points], fill=part)

    def curve(self, points: Sequence[Point], part: int) -> None:
        """A closed smooth curve through ``points``."""
        self.polygon(_smooth(points, closed=True), part)

    def ellipse(self, x: float, y: float, rx: float, ry: float, part: int) -> None:
        self._draw.ellipse([_pixel((x - rx, y - ry)), _pixel((x + rx, y + ry))], fill=part)

    def line(self, points: Sequence[Point], width: float, part: int, smooth: bool = False) -> None:
        """A line with round ends."""
        track = _smooth(points, closed=False) if smooth else list(points)
        thickness = max(1, round(width * _PIXELS / (2 * REACH)))
        self._draw.line([_pixel(point) for point in track], fill=part, width=thickness, joint="curve")
        for x, y in (track[0], track[-1]):
            self.ellipse(x, y, width / 2, width / 2, part)


def draw_parts(kind: str) -> NDArray[np.uint8]:
    """The map of parts with the outline, uint8 (640, 640); 0 is the background."""
    pen = Pen()
    _DRAWINGS[kind](pen)
    return _outlined(pen.image)


@lru_cache(maxsize=32)
def outline(kind: str) -> NDArray[np.float64]:
    """Points on the silhouette of ``kind`` with its outline, in drawing coordinates. (n, 2)"""
    inside = draw_parts(kind) > 0
    rows = np.flatnonzero(inside.any(axis=1))
    left = inside[rows].argmax(axis=1)
    right = _PIXELS - inside[rows, ::-1].argmax(axis=1)
    columns = np.concatenate([left, left, right, right]).astype(np.float64)
    lines = np.concatenate([rows, rows + 1, rows, rows + 1]).astype(np.float64)
    return np.stack([columns, lines], axis=1) * (2 * REACH / _PIXELS) - REACH


def _pixel(point: Point) -> Point:
    scale = _PIXELS / (2 * REACH)
    return (point[0] + REACH) * scale, (point[1] + REACH) * scale


def _outlined(parts: Image.Image) -> NDArray[np.uint8]:
    radius = round(_OUTLINE * _PIXELS / (2 * REACH))
    silhouette = parts.point([0] + [255] * 255)
    # Blurring and thresholding low dilates the silhouette with round corners.
    grown = silhouette.filter(ImageFilter.GaussianBlur(radius)).point([255 if v > 20 else 0 for v in range(256)])
    values = np.array(parts)
    values[(values == 0) & (np.array(grown) > 0)] = INK
    return values


def _smooth(points: Sequence[Point], closed: bool) -> list[Point]:
    """A Catmull-Rom curve through ``points``: twelve steps from each to the next."""
    track = np.array(points, dtype=np.float64)
    before, after = (track[-1:], track[:2]) if closed else (track[:1], track[-1:])
    padded = np.concatenate([before, track, after])
    steps = np.linspace(0.0, 1.0, 12, endpoint=False)[:, None]
    pieces = []
    for p0, p1, p2, p3 in zip(padded, padded[1:], padded[2:], padded[3:], strict=False):
        square, cube = 2 * p0 - 5 * p1 + 4 * p2 - p3, 3 * p1 - p0 - 3 * p2 + p3
        pieces.append(0.5 * (2 * p1 + (p2 - p0) * steps + square * steps**2 + cube * steps**3))
    curve = [(float(x), float(y)) for x, y in np.concatenate(pieces)]
    return curve if closed else [*curve, points[-1]]


def _mirrored(half: Sequence[Point]) -> list[Point]:
    """A closed outline from its right half, top to bottom."""
    return [*half, *((-x, y) for x, y in reversed(half))]


def _turned(points: Sequence[Point], degrees: float, centre: Point = (0.0, 0.0)) -> list[Point]:
    angle = np.deg2rad(degrees)
    c, s = float(np.cos(angle)), float(np.sin(angle))
    cx, cy = centre
    return [(cx + c * (x - cx) - s * (y - cy), cy + s * (x - cx) + c * (y - cy)) for x, y in points]


def _circle(x: float, y: float, rx: float, ry: float) -> list[Point]:
    angles = np.linspace(0.0, 2 * np.pi, 48, endpoint=False)
    return [(x + rx * float(np.cos(a)), y + ry * float(np.sin(a))) for a in angles]


def _bell(pen: Pen) -> None:
    pen.ellipse(0, -0.80, 0.20, 0.20, SECOND)
    pen.ellipse(0, -0.80, 0.09, 0.09, INK)
    pen.ellipse(0, 0.72, 0.20, 0.20, INK)
    pen.ellipse(0, 0.70, 0.15, 0.15, SECOND)
    profile = [(0.10, -0.68), (0.34, -0.58), (0.46, -0.25), (0.52, 0.12), (0.66, 0.38), (0.88, 0.56)]
    pen.polygon(_mirrored(_smooth(profile, closed=False)), BODY)
    pen.polygon([(-0.90, 0.54), (0.90, 0.54), (0.90, 0.68), (-0.90, 0.68)], SECOND)
    pen.line([(-0.50, 0.14), (0.50, 0.14)], 0.05, INK)
    pen.line([(-0.49, 0.04), (0.49, 0.04)], 0.05, LIGHT)


def _drum(pen: Pen) -> None:
    pen.ellipse(0, 0.46, 0.92, 0.30, SECOND)
    pen.polygon([(-0.92, -0.34), (0.92, -0.34), (0.92, 0.46), (-0.92, 0.46)], SECOND)
    pen.ellipse(0, 0.30, 0.92, 0.28, BODY)
    pen.polygon([(-0.92, -0.26), (0.92, -0.26), (0.92, 0.30), (-0.92, 0.30)], BODY)
    zigzag = [(-0.90, 0.36), (-0.60, -0.10), (-0.30, 0.55), (0.0, -0.05), (0.30, 0.55), (0.60, -0.10), (0.90, 0.36)]
    pen.line(zigzag, 0.06, LIGHT)
    pen.ellipse(0, -0.26, 0.92, 0.30, SECOND)
    pen.ellipse(0, -0.38, 0.92, 0.30, INK)
    pen.ellipse(0, -0.40, 0.88, 0.27, LIGHT)


def _guitar(pen: Pen) -> None:
    tilt = 18.0
    waist = [(0.16, -0.22), (0.40, -0.12), (0.44, 0.10), (0.34, 0.28), (0.52, 0.48), (0.56, 0.72), (0.40, 0.95)]
    neck = [(-0.09, 0.3), (-0.075, -0.84), (0.075, -0.84), (0.09, 0.3)]
    head = [(-0.13, -0.80), (-0.17, -1.08), (0.17, -1.08), (0.13, -0.80)]
    pen.polygon(_turned(head, tilt), SECOND)
    pen.polygon(_turned(_smooth(_mirrored([(0.0, -0.24), *waist, (0.0, 1.02)]), closed=True), tilt), BODY)
    pen.polygon(_turned(neck, tilt), SECOND)
    pen.polygon(_turned(_circle(0, 0.24, 0.22, 0.22), tilt), LIGHT)
    pen.polygon(_turned(_circle(0, 0.24, 0.17, 0.17), tilt), INK)
    pen.line(_turned([(-0.22, 0.74), (0.22, 0.74)], tilt), 0.09, INK)
    for x in (-0.05, 0.05):
        pen.line(_turned([(x, -0.98), (x * 1.2, 0.74)], tilt), 0.028, LIGHT)


def _trumpet(pen: Pen) -> None:
    pen.line([(-0.98, -0.18), (-0.80, -0.18)], 0.24, SECOND)
    loop = [(-0.36, 0.52), (-0.62, 0.18), (-0.36, -0.16), (0.30, -0.16), (0.56, 0.18), (0.30, 0.52)]
    pen.line([*loop, loop[0]], 0.25, INK)
    pen.line([*loop, loop[0]], 0.16, BODY)
    for x in (-0.28, -0.02, 0.24):
        pen.line([(x, -0.44), (x, 0.60)], 0.19, SECOND)
        pen.line([(x, -0.58), (x, -0.44)], 0.08, LIGHT)
        pen.ellipse(x, -0.60, 0.12, 0.07, LIGHT)
    pen.line([(-0.85, -0.18), (0.55, -0.18)], 0.17, BODY)
    flare = [(0.38, -0.27), (0.62, -0.32), (0.82, -0.48), (0.98, -0.80)]
    lower = [(x, -0.36 - y) for x, y in reversed(flare)]
    pen.polygon([*_smooth(flare, closed=False), *_smooth(lower, closed=False)], BODY)
    pen.ellipse(0.98, -0.18, 0.13, 0.62, SECOND)
    pen.ellipse(0.99, -0.18, 0.07, 0.48, INK)


def _maracas(pen: Pen) -> None:
    hub = (0.0, 0.42)
    for side in (-1.0, 1.0):
        tilt = 36.0 * side
        handle = _turned([(0.0, -0.1), (0.0, 1.12)], tilt, hub)
        pen.line(handle, 0.24, INK)
        pen.line(handle, 0.16, SECOND)
        pen.polygon(_turned(_circle(0, -0.42, 0.44, 0.54), tilt, hub), INK)
        pen.polygon(_turned(_circle(0, -0.42, 0.39, 0.49), tilt, hub), BODY)
        band = [(-0.36, -0.50), (-0.12, -0.32), (0.12, -0.50), (0.36, -0.32)]
        pen.line(_turned(band, tilt, hub), 0.09, LIGHT)
        pen.line(_turned([(-0.33, -0.18), (0.33, -0.18)], tilt, hub), 0.07, SECOND)


def _xylophone(pen: Pen) -> None:
    pen.line([(-0.98, -0.42), (0.98, -0.20)], 0.12, INK)
    pen.line([(-0.98, 0.42), (0.98, 0.20)], 0.12, INK)
    for number, x in enumerate(np.linspace(-0.86, 0.86, 6)):
        half = 0.72 - 0.065 * number
        part = BODY if number % 2 == 0 else SECOND
        pen.line([(float(x), -half), (float(x), half)], 0.24, part)
        for y in (-0.55, 0.55):
            pen.ellipse(float(x), y * half / 0.72, 0.05, 0.05, INK)


def _frog(pen: Pen) -> None:
    for side in (-1.0, 1.0):
        pen.ellipse(side * 0.66, 0.36, 0.34, 0.44, BODY)
        pen.line([(side * 0.50, 0.78), (side * 0.98, 0.80)], 0.18, SECOND)
    pen.curve(_mirrored([(0.0, -0.42), (0.50, -0.36), (0.76, 0.0), (0.66, 0.5), (0.36, 0.80), (0.0, 0.86)]), BODY)
    pen.ellipse(0, 0.50, 0.44, 0.32, LIGHT)
    for side in (-1.0, 1.0):
        pen.ellipse(side * 0.42, -0.48, 0.28, 0.28, BODY)
        pen.ellipse(side * 0.42, -0.50, 0.20, 0.20, LIGHT)
        pen.ellipse(side * 0.42, -0.48, 0.11, 0.13, INK)
        pen.line([(side * 0.26, 0.45), (side * 0.30, 0.82)], 0.16, SECOND)
    pen.line([(-0.48, 0.0), (-0.22, 0.12), (0.22, 0.12), (0.48, 0.0)], 0.07, INK, smooth=True)


def _bird(pen: Pen) -> None:
    pen.line([(-0.05, 0.6), (-0.10, 0.98)], 0.09, SECOND)
    pen.line([(0.18, 0.6), (0.16, 0.98)], 0.09, SECOND)
    pen.polygon([(0.40, 0.02), (1.10, -0.28), (1.08, 0.02), (1.00, 0.20), (0.50, 0.46)], SECOND)
    pen.polygon([(-0.72, -0.62), (-1.12, -0.40), (-0.68, -0.26)], SECOND)
    body = [(-0.42, -0.88), (-0.10, -0.66), (0.10, -0.28), (0.62, 0.02), (0.56, 0.46), (0.16, 0.72), (-0.34, 0.64)]
    pen.curve([*body, (-0.66, 0.28), (-0.72, -0.20), (-0.80, -0.60)], BODY)
    pen.curve([(-0.60, 0.10), (-0.30, 0.05), (-0.02, 0.45), (-0.06, 0.66), (-0.36, 0.60)], LIGHT)
    pen.curve([(-0.12, -0.06), (0.30, -0.06), (0.84, 0.20), (0.46, 0.42), (0.08, 0.36)], INK)
    pen.curve([(-0.06, -0.02), (0.30, -0.01), (0.74, 0.19), (0.44, 0.36), (0.10, 0.31)], SECOND)
    pen.ellipse(-0.50, -0.56, 0.12, 0.12, LIGHT)
    pen.ellipse(-0.52, -0.56, 0.07, 0.07, INK)


_DRAWINGS: dict[str, Callable[[Pen], None]] = {
    "bell": _bell,
    "drum": _drum,
    "guitar": _guitar,
    "trumpet": _trumpet,
    "maracas": _maracas,
    "xylophone": _xylophone,
    "frog": _frog,
    "bird": _bird,
}
