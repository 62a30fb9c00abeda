"""The sheet of inpainting: the hole, what it is filled with, and what was there."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from PIL import Image

from avssl.samplers.holes import filled_from_rim
from avssl.tasks.base import Answers
from avssl.tasks.cards import Row, draw_table, origin
from avssl.tasks.inpainting.puzzle import InpaintingPuzzle

# White, unlike any fill, so that the hole is seen as one.
_BLANK = 255


def draw_sheet(puzzles: Sequence[InpaintingPuzzle], answers: Answers | None) -> Image.Image:
    """Masked, filled from the rim, filled by the network where there are answers, and the ground truth."""
    headings = ["masked", "filled from the rim", *(["filled by the network"] if answers is not None else []), "truth"]
    rows = []
    for number, puzzle in enumerate(puzzles):
        masked = puzzle.filled.copy()
        masked[:, puzzle.hole] = _BLANK
        pictures = [masked, filled_from_rim(puzzle.filled, puzzle.hole)]
        if answers is not None:
            pictures.append((answers.scores[number].float().cpu().numpy() * 255).round().astype(np.uint8))
        pictures.append(puzzle.frame)
        rows.append(Row([picture.transpose(1, 2, 0) for picture in pictures], origin(puzzle.name, puzzle.seconds)))
    return draw_table("What was in the hole?", headings, rows, cell=144, across=2)
