"""Shaded planes and balls whose normals are known, written as the readers take them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from PIL import Image

HEIGHT, WIDTH = 48, 64


def surface(rng: np.random.Generator, height: int = HEIGHT, width: int = WIDTH):
    """A ball before a tilted plane, lit by three coloured lamps: uint8 (h, w, 3), unit vectors (h, w, 3), bool (h, w).

    The lamps shine from three sides, so that colour tells the normal. As in real sets there is no truth where depth
    jumps (a ring about the rim of the ball) nor in a strip at the border.
    """
    plane = np.array([rng.uniform(-0.6, 0.6), rng.uniform(-0.6, 0.6), 1.0])
    normals = np.broadcast_to(plane / np.linalg.norm(plane), (height, width, 3)).copy()
    radius = rng.uniform(0.25, 0.4) * height
    centre = rng.uniform(radius, width - radius), rng.uniform(radius, height - radius)
    y, x = np.mgrid[:height, :width] + 0.5
    u, v = (x - centre[0]) / radius, (y - centre[1]) / radius
    distance = np.sqrt(u**2 + v**2)
    ball = distance < 1
    normals[ball] = np.stack([-u, -v, np.sqrt(np.clip(1 - u**2 - v**2, 0, 1))], 2)[ball]  # x to the left, y up
    lamps = np.array([[0.8, 0.2, 0.55], [-0.6, 0.6, 0.55], [-0.2, -0.8, 0.55]])
    shade = 20 + 200 * (0.5 + 0.5 * normals @ lamps.T)  # half of Lambert: no side is black
    valid = np.ones((height, width), bool)
    valid[:, :4] = False
    valid[np.abs(distance - 0.97) * radius < 3] = False
    return (shade + rng.normal(0, 2, shade.shape)).clip(0, 255).astype(np.uint8), normals, valid


def code(normals: np.ndarray, valid: np.ndarray) -> np.ndarray:
    """As bytes: value / 127.5 − 1, and 128 where there is no truth."""
    return np.where(valid[..., None], ((normals + 1) * 127.5).round(), 128).astype(np.uint8)


def write_surfaces(folder: Path, train: int = 4, test: int = 2, seed: int = 0) -> Path:
    """Folders train/ and test/ with NAME_image.png, NAME_normal.png, NAME_valid.png."""
    rng = np.random.default_rng(seed)
    for part, count in (("train", train), ("test", test)):
        (folder / part).mkdir(parents=True)
        for k in range(1, count + 1):
            picture, normals, valid = surface(rng)
            for name, pixels in (
                ("image", picture),
                ("normal", code(normals, valid)),
                ("valid", valid.astype(np.uint8) * 255),
            ):
                Image.fromarray(pixels).save(folder / part / f"{k:04d}_{name}.png")
    return folder


def arrays(count: int, seed: int = 0) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """uint8 (count, h, w, 3), float32 (count, h, w, 3) with 0 where there is no truth, bool (count, h, w)."""
    rng = np.random.default_rng(seed)
    pictures, normals, valid = zip(*(surface(rng) for _ in range(count)), strict=True)
    masks = np.stack(valid)
    return np.stack(pictures), (np.stack(normals) * masks[..., None]).astype(np.float32), masks
