"""The sheet of colorization: grey picture, true colours, and what the network paints."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor

from avssl.networks.colour import lab_to_rgb, rgb_to_lab
from avssl.networks.dense import resized
from avssl.tasks.base import Answers
from avssl.tasks.cards import origin
from avssl.tasks.picture_table import Row, draw_table

if TYPE_CHECKING:
    from avssl.tasks.colorization import Colorization, ColorizationPuzzle

SAMPLES = 3


def painted(frames: Tensor, ab: Tensor) -> Tensor:
    """The lightness of uint8 ``frames`` (N, 3, H, W) under the colours ``ab`` (N, 2, h, w): RGB 0..1 (N, 3, H, W)."""
    lightness = rgb_to_lab(frames)[:, :1]
    return lab_to_rgb(torch.cat([lightness, resized(ab, (lightness.shape[-2], lightness.shape[-1]))], dim=1))


def draw_sheet(task: Colorization, puzzles: Sequence[ColorizationPuzzle], answers: Answers | None) -> Image.Image:
    """Grey, truth and, with answers, each decoding and some colourings drawn from the distribution."""
    frames = torch.from_numpy(np.stack([p.frame for p in puzzles]))
    taught = torch.from_numpy(np.stack([p.frame if p.colours_of is None else p.colours_of for p in puzzles]))
    grey = painted(frames, torch.zeros(len(puzzles), 2, 1, 1))
    columns: dict[str, Tensor] = {"grey: the question": grey, "truth": painted(frames, rgb_to_lab(taught)[:, 1:])}
    if answers is not None:
        scores = answers.scores.float().cpu()
        temperature = task.options.temperature
        names = {
            "regression": "regression",
            "classification-mean": "classes, T = 1",
            "classification": f"classes, T = {temperature:g}",
        }
        for name, ab in task.decodings(scores).items():
            columns[names[name]] = painted(frames, ab)
        if "classification" in task.decodings(scores):
            for number, ab in enumerate(task.samples(scores, SAMPLES), start=1):
                columns[f"sample {number}"] = painted(frames, ab)
    pictures = [_pictures(column) for column in columns.values()]
    rows = [
        Row([column[n] for column in pictures], origin(puzzle.name, puzzle.seconds)) for n, puzzle in enumerate(puzzles)
    ]
    across = max(1, 8 // len(columns))
    return draw_table("Which colours does this grey picture have?", list(columns), rows, cell=128, across=across)


def _pictures(rgb: Tensor) -> NDArray[np.uint8]:
    return (rgb * 255).round().to(torch.uint8).permute(0, 2, 3, 1).numpy()
