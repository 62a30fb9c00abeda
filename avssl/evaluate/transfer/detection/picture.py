"""Pictures of detections beside the ground truth."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw

from avssl.evaluate.core.side_by_side import draw_rows, save_png
from avssl.evaluate.transfer.detection.box_precision import Detections, iou
from avssl.evaluate.transfer.detection.box_sets import BoxPicture, BoxSet
from avssl.media.decoding.images import read_image
from avssl.system.console import counted
from avssl.tasks.cards import enlarged, font, picture_of

# Pictures on the sheet, and pixels of their longer side
SHOWN, SIDE = 6, 300

# Detections with this score at least are drawn
LEAST_SCORE = 0.5

# The most boxes in a picture whose names are written: more names would hide the objects
NAMED = 10

# One class after the other, then again
COLOURS = ("#e6194b", "#1f77e0", "#2ca02c", "#ff9d0a", "#b04fd6", "#12b5c9", "#f032e6", "#8a6d1f")

GREY = "#b8b8b8"


def draw_detections(
    path: Path, title: str, test: BoxSet, detections: Mapping[str, Sequence[Detections]], seed: int = 0
) -> None:
    """Write a sheet of some evaluated pictures: ground truth, then the detections of each detector, by name."""
    order = np.random.default_rng(seed).permutation(len(test.scenes))
    rows = []
    for i in sorted(order[:SHOWN].tolist()):
        scene = test.scenes[i]
        counts = [len(scene.truth.boxes), *(int((one[i].scores >= LEAST_SCORE).sum()) for one in detections.values())]
        named = max(counts) <= NAMED
        objects = counted(int((~scene.truth.ignored).sum()), "object")
        pictures, lines = [_with_truth(scene, test.classes, named)], [f"{scene.picture.name}, {objects}"]
        for one in detections.values():
            pictures.append(_with_boxes(scene, one[i], test.classes, named))
            lines.append(_found(scene, one[i]))
        rows.append((pictures, lines))
    note = f"Boxes with a score of at least {LEAST_SCORE}. Grey: objects that do not count (difficult, crowds)."
    across = 2 if len(detections) < 2 else 1
    save_png(draw_rows(title, note, ["truth", *detections], rows, across=across), path)


def _with_truth(scene: BoxPicture, classes: Sequence[str], named: bool) -> Image.Image:
    truth = scene.truth
    colours = [
        GREY if ignored else COLOURS[label % len(COLOURS)]
        for label, ignored in zip(truth.labels, truth.ignored, strict=True)
    ]
    return _drawn(scene, truth.boxes, [classes[k] for k in truth.labels], colours, named)


def _with_boxes(scene: BoxPicture, detections: Detections, classes: Sequence[str], named: bool) -> Image.Image:
    drawn = np.flatnonzero(detections.scores >= LEAST_SCORE)[::-1]  # the highest score on top
    names = [f"{classes[detections.labels[i]]} {detections.scores[i]:.2f}" for i in drawn]
    return _drawn(
        scene, detections.boxes[drawn], names, [COLOURS[detections.labels[i] % len(COLOURS)] for i in drawn], named
    )


def _drawn(
    scene: BoxPicture, boxes: NDArray[np.float32], names: Sequence[str], colours: Sequence[str], named: bool
) -> Image.Image:
    picture = enlarged(picture_of(read_image(str(scene.picture))), SIDE)
    scale = picture.width / scene.width
    pen, small = ImageDraw.Draw(picture), font(10)
    for (x0, y0, x1, y1), name, colour in zip((boxes * scale).tolist(), names, colours, strict=True):
        pen.rectangle((x0, y0, max(x0, x1 - 1), max(y0, y1 - 1)), outline=colour, width=2 if named else 1)
        if not named:
            continue
        top = y0 - 12 if y0 >= 12 else y0
        pen.rectangle((x0, top, x0 + small.getlength(name) + 4, top + 12), fill=colour)
        pen.text((x0 + 2, top), name, "#ffffff", small)
    return picture


def _found(scene: BoxPicture, detections: Detections) -> str:
    """How many truths a drawn box of their class lies on."""
    truth, drawn = scene.truth, detections.scores >= LEAST_SCORE
    same = detections.labels[drawn][:, None] == truth.labels[None]
    near = same & (iou(detections.boxes[drawn], truth.boxes) > 0.5)
    found = int(near.any(0)[~truth.ignored].sum()) if len(near) else 0
    return f"{found} of {int((~truth.ignored).sum())} found, {counted(int(drawn.sum()), 'box')}"
