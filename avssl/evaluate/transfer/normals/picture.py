"""Surface normals as colours: the picture, the ground truth, and each decoder's prediction."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from avssl.evaluate.core.side_by_side import draw_rows, save_png
from avssl.evaluate.transfer.normals.angles import angles
from avssl.evaluate.transfer.normals.protocol import predict_normals
from avssl.evaluate.transfer.normals.sets import NormalPicture, NormalSet
from avssl.networks.normals import NormalsNetwork
from avssl.tasks.cards import picture_of

# Pictures on the sheet, and pixels of their longer side
SHOWN, SIDE = 6, 260

NO_TRUTH = 235  # pale grey, which no unit vector has


def draw_normals(
    path: Path, title: str, test: NormalSet, networks: Mapping[str, NormalsNetwork], side: int, seed: int = 0
) -> None:
    """Write a sheet of some evaluated pictures, which the networks see with the shorter side at ``side``."""
    chosen = sorted(np.random.default_rng(seed).permutation(len(test))[:SHOWN].tolist())
    rows = []
    for i in chosen:
        one = test[i]
        pictures = [_fitted(picture_of(one.picture), one), _coloured(one.normals, one, one.valid)]
        lines = [test.names[i], f"{100 * one.valid.mean():.0f} % of the pixels have a normal"]
        for network in networks.values():
            predicted = predict_normals(network, one, side)
            off = angles(predicted, one.normals, one.valid)
            pictures.append(_coloured(predicted, one, None))
            lines.append(f"mean {off.mean():.1f}°, median {np.median(off):.1f}°")
        rows.append((pictures, lines))
    note = "Red, green and blue are x, y and z from -1 to 1; pale grey: no truth."
    save_png(draw_rows(title, note, ["picture", "truth", *networks], rows), path)


def _coloured(normals: NDArray[np.float32], one: NormalPicture, valid: NDArray[np.bool_] | None) -> Image.Image:
    colours = ((normals + 1) * 127.5).round().clip(0, 255).astype(np.uint8)
    if valid is not None:
        colours = np.where(valid, colours, np.uint8(NO_TRUTH))
    return _fitted(picture_of(colours), one)


def _fitted(picture: Image.Image, one: NormalPicture) -> Image.Image:
    """All pictures of a row at the same size, whatever the size of the truth."""
    height, width = one.picture.shape[1:]
    scale = SIDE / max(height, width)
    return picture.resize((round(width * scale), round(height * scale)), Image.Resampling.BILINEAR)
