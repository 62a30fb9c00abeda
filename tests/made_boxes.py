"""Coloured shapes with their boxes, written as Pascal VOC and as COCO lay pictures out."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
from PIL import Image

SIDE = 64
NAMES = ("disc", "square")
_COLOURS = {"disc": (60, 90, 220), "square": (220, 60, 50)}

Objects = list[tuple[str, tuple[int, int, int, int]]]
"""Name and box: left and top edge, right and lower edge, in pixels from the picture's edge."""


def scene(rng: np.random.Generator) -> tuple[np.ndarray, Objects]:
    """Noise with one to three shapes that do not overlap: uint8 (64, 64, 3)."""
    picture = rng.normal(110, 12, (SIDE, SIDE, 3))
    objects: Objects = []
    for _ in range(int(rng.integers(1, 4))):
        for _ in range(20):
            width, height = (int(n) for n in rng.integers(14, 28, 2))
            left, top = int(rng.integers(0, SIDE - width)), int(rng.integers(0, SIDE - height))
            right, bottom = left + width, top + height
            if all(left >= b[2] + 2 or right <= b[0] - 2 or top >= b[3] + 2 or bottom <= b[1] - 2 for _, b in objects):
                break
        else:
            continue
        name = NAMES[int(rng.integers(2))]
        y, x = (np.mgrid[:height, :width] + 0.5) / np.array([height, width])[:, None, None] - 0.5
        inside = np.ones((height, width), bool) if name == "square" else x**2 + y**2 <= 0.25
        picture[top:bottom, left:right][inside] = np.array(_COLOURS[name]) + rng.normal(0, 8, 3)
        objects.append((name, (left, top, right, bottom)))
    return picture.clip(0, 255).astype(np.uint8), objects


def write_voc(folder: Path, train: int = 6, test: int = 4, seed: int = 0) -> Path:
    """A folder as of VOC2007, with the lists ``trainval`` and ``test``."""
    rng = np.random.default_rng(seed)
    for name in ("JPEGImages", "Annotations", "ImageSets/Main"):
        (folder / name).mkdir(parents=True)
    for part, count in (("trainval", train), ("test", test)):
        stems = [f"{part}{k:03d}" for k in range(count)]
        (folder / "ImageSets" / "Main" / f"{part}.txt").write_text("\n".join(stems) + "\n")
        for stem in stems:
            picture, objects = scene(rng)
            Image.fromarray(picture).save(folder / "JPEGImages" / f"{stem}.jpg", quality=95)
            (folder / "Annotations" / f"{stem}.xml").write_text(voc_xml(f"{stem}.jpg", objects))
    return folder


def voc_xml(file: str, objects: Objects, side: int = SIDE, difficult: int = 0) -> str:
    """An annotation; corners are numbers of pixels from 1 that belong to the box."""
    lines = [
        f"<object><name>{name}</name><difficult>{difficult}</difficult><bndbox><xmin>{x0 + 1}</xmin>"
        f"<ymin>{y0 + 1}</ymin><xmax>{x1}</xmax><ymax>{y1}</ymax></bndbox></object>"
        for name, (x0, y0, x1, y1) in objects
    ]
    size = f"<size><width>{side}</width><height>{side}</height><depth>3</depth></size>"
    return f"<annotation><filename>{file}</filename>{size}{''.join(lines)}</annotation>"


def write_coco(folder: Path, train: int = 6, test: int = 4, seed: int = 0) -> Path:
    """A folder as of COCO 2017, with categories whose numbers have gaps."""
    rng = np.random.default_rng(seed)
    (folder / "annotations").mkdir(parents=True)
    numbers = {"disc": 7, "square": 90}
    for part, count in (("train2017", train), ("val2017", test)):
        (folder / part).mkdir()
        images, annotations = [], []
        for k in range(count):
            picture, objects = scene(rng)
            Image.fromarray(picture).save(folder / part / f"{k:012d}.jpg", quality=95)
            images.append({"id": 100 + k, "file_name": f"{k:012d}.jpg", "width": SIDE, "height": SIDE})
            for name, (x0, y0, x1, y1) in objects:
                box = [x0, y0, x1 - x0, y1 - y0]
                annotations.append(
                    {
                        "id": len(annotations),
                        "image_id": 100 + k,
                        "category_id": numbers[name],
                        "bbox": box,
                        "area": box[2] * box[3],
                        "iscrowd": 0,
                    }
                )
        found = {
            "images": images,
            "annotations": annotations,
            "categories": [{"id": number, "name": name} for name, number in numbers.items()],
        }
        (folder / "annotations" / f"instances_{part}.json").write_text(json.dumps(found))
    return folder
