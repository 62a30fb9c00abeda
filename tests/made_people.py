"""Made people: coloured dots in noise for joints, in the form of COCO; and writers of Matlab's struct arrays."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image, ImageDraw

JOINTS = ("left_shoulder", "right_shoulder", "left_hip", "right_hip", "nose")
COLOURS = ((255, 0, 0), (0, 255, 0), (40, 40, 255), (255, 255, 0), (255, 0, 255))
MIDDLES = np.array([[0.7, 0.35], [0.3, 0.35], [0.7, 0.75], [0.3, 0.75], [0.5, 0.2]])
"""Where each joint is on the average, in shares of the person's box."""

WIDTH, HEIGHT = 80, 64


def write_people(folder: Path, count: int = 30, seed: int = 0, name: str = "person_keypoints.json") -> Path:
    """A picture a person; each joint is a dot of its own colour, a tenth of them not annotated."""
    rng = np.random.default_rng(seed)
    (folder / "images").mkdir(parents=True, exist_ok=True)
    images, people = [], []
    for number in range(count):
        size = rng.uniform(30, 44)
        corner = rng.uniform((2, 2), (WIDTH - size - 2, HEIGHT - size - 2))
        places = np.round(corner + (MIDDLES + rng.uniform(-0.2, 0.2, (len(JOINTS), 2))) * size)
        picture = rng.normal(90, 25, (HEIGHT, WIDTH, 3)).clip(0, 255).astype(np.uint8)
        drawn = draw_dots(picture, places, COLOURS)
        file = f"{seed}-{number:03d}.png"
        drawn.save(folder / "images" / file)
        images.append({"id": number, "file_name": file, "width": WIDTH, "height": HEIGHT})
        seen = np.where(rng.random(len(JOINTS)) < 0.1, 0, 2)
        seen[[0, 3]] = 2  # the torso
        keypoints = np.concatenate([places * (seen > 0)[:, None], seen[:, None]], axis=1)
        people.append(
            {
                "id": number,
                "image_id": number,
                "category_id": 1,
                "iscrowd": 0,
                "num_keypoints": int((seen > 0).sum()),
                "bbox": [*corner.tolist(), size, size],
                "keypoints": keypoints.ravel().astype(int).tolist(),
            }
        )
    skeleton = [[1, 2], [1, 3], [2, 4], [3, 4]]
    category = {"id": 1, "name": "person", "keypoints": list(JOINTS), "skeleton": skeleton}
    found = {"images": images, "annotations": people, "categories": [category]}
    (folder / name).write_text(json.dumps(found))
    return folder / name


def draw_dots(
    picture: np.ndarray, places: np.ndarray, colours: Sequence[tuple[int, int, int]], radius: float = 3
) -> Any:
    """The picture (h, w, 3) with a dot at each place (x, y)."""
    image = Image.fromarray(picture)
    pen = ImageDraw.Draw(image)
    for (x, y), colour in zip(places, colours, strict=True):
        pen.ellipse((x - radius, y - radius, x + radius, y + radius), fill=colour)
    return image


def structs(rows: Sequence[Mapping[str, Any]]) -> np.ndarray:
    """What savemat writes as a struct array, 1 × n; of no rows the empty array that Matlab has there."""
    if not rows:
        return np.zeros((0, 0))
    made = np.empty((1, len(rows)), [(name, object) for name in rows[0]])
    for k, row in enumerate(rows):
        for name, value in row.items():
            made[0, k][name] = value
    return made
