"""The sheet of frame filling: what is seen, what is filled in, and what was there."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor

from avssl.tasks.base import Answers
from avssl.tasks.cards import Row, draw_table, origin
from avssl.tasks.frame_filling.puzzle import FrameFillingPuzzle

Picture = NDArray[np.uint8]  # (h, w, 3)

_NETWORK = "network"


def draw_sheet(puzzles: Sequence[FrameFillingPuzzle], plain: Tensor, answers: Answers | None) -> Image.Image:
    """A clip a row, or in tubes two frames of it, with the network's filling if there are answers.

    Args:
        plain: what needs no network, (N, t, 3, side, side), 0..1.
    """
    filled = [None] * len(puzzles) if answers is None else answers.scores
    if puzzles[0].hidden.shape[-1] == 1:
        rows = [_between(one, mean, own) for one, mean, own in zip(puzzles, plain, filled, strict=False)]
        headings = ["earlier", "later", "mean of both", _NETWORK, "truth"]
        title = "What was shown between these two frames?"
    else:
        rows = [_tubes(one, masked, own) for one, masked, own in zip(puzzles, plain, filled, strict=False)]
        headings = [text for at in ("first", "last") for text in (f"{at} frame", _NETWORK, "truth")]
        title = "What was in the hidden patches of this clip?"
    if answers is None:
        headings = [text for text in headings if text != _NETWORK]
    return draw_table(title, headings, rows, cell=112, across=2)


def _between(puzzle: FrameFillingPuzzle, mean: Tensor, filled: Tensor | None) -> Row:
    earlier, middle, later = (frame.transpose(1, 2, 0) for frame in puzzle.frames)
    own = [] if filled is None else [_pixels(filled[0])]
    times = ", ".join(f"{seconds:.2f}" for seconds in puzzle.times)
    return Row([earlier, later, _pixels(mean[0]), *own, middle], f"{origin(puzzle.name)}  {times} s")


def _tubes(puzzle: FrameFillingPuzzle, masked: Tensor, filled: Tensor | None) -> Row:
    pictures: list[Picture] = []
    for at in (0, -1):
        own = [] if filled is None else [_pixels(filled[at])]
        pictures += [_pixels(masked[at]), *own, puzzle.frames[at].transpose(1, 2, 0)]
    return Row(pictures, f"{origin(puzzle.name)}  {puzzle.times[0]:.2f} to {puzzle.times[-1]:.2f} s")


def _pixels(frame: Tensor) -> Picture:
    found: Picture = (frame.float().cpu().clamp(0, 1) * 255).round().byte().permute(1, 2, 0).numpy()
    return found
