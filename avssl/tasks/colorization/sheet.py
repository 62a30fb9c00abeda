"""The sheet of colorization: grey picture, true colours, and predicted ones."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from avssl.networks.colour import lab_to_rgb, rgb_to_lab
from avssl.networks.dense import resized
from avssl.tasks.cards import Row, draw_table, origin
from avssl.tasks.colorization.puzzle import ColorizationPuzzle


def painted(frames: Tensor, ab: Tensor) -> Tensor:
    """The lightness of uint8 ``frames`` (N, 3, H, W) under the colours ``ab`` (N, 2, h, w): RGB 0..1 (N, 3, H, W)."""
    lightness = rgb_to_lab(frames)[:, :1]
    return lab_to_rgb(torch.cat([lightness, resized(ab, (lightness.shape[-2], lightness.shape[-1]))], dim=1))


def draw_sheet(puzzles: Sequence[ColorizationPuzzle], colourings: Mapping[str, Tensor]) -> Image.Image:
    """Grey, ground truth, and each colouring: ab (N, 2, h, w) by the heading of its column."""
    frames = torch.from_numpy(np.stack([p.frame for p in puzzles]))
    target = torch.from_numpy(np.stack([p.frame if p.colours_of is None else p.colours_of for p in puzzles]))
    grey = painted(frames, torch.zeros(len(puzzles), 2, 1, 1))
    columns: dict[str, Tensor] = {"grey: the input": grey, "truth": painted(frames, rgb_to_lab(target)[:, 1:])}
    columns |= {name: painted(frames, ab) for name, ab in colourings.items()}
    pictures = [(rgb * 255).round().to(torch.uint8).permute(0, 2, 3, 1).numpy() for rgb in columns.values()]
    rows = [
        Row([column[n] for column in pictures], origin(puzzle.name, puzzle.seconds)) for n, puzzle in enumerate(puzzles)
    ]
    across = max(1, 8 // len(columns))
    return draw_table("Which colours does this grey picture have?", list(columns), rows, cell=128, across=across)
