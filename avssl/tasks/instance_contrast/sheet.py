"""The sheet of instance discrimination: a view of a picture, or a sound, beside others, one of which is of the same."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor

from avssl.samplers.keys import generator
from avssl.tasks.base import Answers
from avssl.tasks.cards import Row, draw_table, origin, picture_of
from avssl.tasks.instance_contrast.puzzle import ContrastPuzzle, SoundPuzzle

_CANDIDATES, _CELL, _GAP = 6, 104, 1


def draw_sheet(
    puzzles: Sequence[ContrastPuzzle | SoundPuzzle],
    first: Tensor,
    second: Tensor,
    answers: Answers | None,
    what: str = "picture",
) -> Image.Image:
    """A row for each puzzle: its first view, and second views of some of the puzzles, its own among them.

    Args:
        first, second: views as the network is fed them; tiles (N, 9, 3, p, p) are shown as a board.
        what: they are views of.
    """
    count = min(_CANDIDATES, len(puzzles))
    letters = "ABCDEF"[:count]
    rows = []
    for number, puzzle in enumerate(puzzles):
        others = (number + np.arange(count)) % len(puzzles)
        chosen = others[generator("sheet", number).permutation(count)].tolist()
        caption = f"{origin(puzzle.name, puzzle.seconds)}: {letters[chosen.index(number)]}"
        if answers is not None:
            similarity = answers.scores[number, 0] @ answers.scores[chosen, 1].T
            caption += f", predicted {letters[int(similarity.argmax())]}"
        rows.append(Row([_pixels(first[number]), *(_pixels(second[k]) for k in chosen)], caption))
    title = f"Which is another view of the {what} on the left?"
    return draw_table(title, [what, *letters], rows, cell=_CELL)


def spectrogram_pictures(spectra: Tensor) -> Tensor:
    """Log-spectrograms (N, bands, frames) as pictures, low tones at the bottom: (N, 3, bands, frames), 0..1."""
    lowest, highest = spectra.amin((1, 2), keepdim=True), spectra.amax((1, 2), keepdim=True)
    levels = (spectra - lowest) / (highest - lowest).clamp_min(1e-6)
    return levels.flip(1)[:, None].expand(-1, 3, -1, -1)


def _pixels(view: Tensor) -> NDArray[np.uint8]:
    """A view (3, s, s) as it is, tiles (9, 3, p, p) on a board: uint8 (h, w, 3)."""
    if view.ndim == 4:
        bordered = torch.nn.functional.pad(view, (_GAP,) * 4, value=1.0)
        grid = round(len(view) ** 0.5)
        view = torch.cat([torch.cat(list(row), 2) for row in bordered.chunk(grid)], 1)
    return np.asarray(picture_of(view))
