"""The sheet of video colorization: the reference, the grey target, the colours copied, and the truth."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from avssl.tasks.cards import Row, draw_table, origin
from avssl.tasks.colorization.sheet import painted
from avssl.tasks.video_colorization.puzzle import VideoColorizationPuzzle


def draw_sheet(
    puzzles: Sequence[VideoColorizationPuzzle], same_place: Tensor, copied: Tensor | None = None
) -> Image.Image:
    """The last reference, the target in grey, colours copied by the network and from the same place, the truth.

    Args:
        same_place: a and b of the cells of the last reference (N, 2, h, w).
        copied: those that the network copies; None: there is no network yet.
    """
    references, target = (torch.from_numpy(np.stack([p.frames[place] for p in puzzles])) for place in (-2, -1))
    grey = painted(target, torch.zeros(len(puzzles), 2, 1, 1))
    columns = {"reference": references / 255, "grey: colour it": grey}
    if copied is not None:
        columns["copied by attention"] = painted(target, copied)
    columns |= {"from the same place": painted(target, same_place), "truth": target / 255}
    pictures = [(rgb * 255).round().to(torch.uint8).permute(0, 2, 3, 1).numpy() for rgb in columns.values()]
    rows = [Row([column[n] for column in pictures], _caption(puzzle)) for n, puzzle in enumerate(puzzles)]
    title = "From which place of the reference does each pixel take its colour?"
    return draw_table(title, list(columns), rows, cell=128, across=max(1, 8 // len(columns)))


def _caption(puzzle: VideoColorizationPuzzle) -> str:
    return f"{origin(puzzle.name)}  {puzzle.times[-2]:.2f} s, then {puzzle.times[-1]:.2f} s"
