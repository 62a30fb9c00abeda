"""Tubes: patches that are hidden in the frames of a clip (Tong et al., VideoMAE, 2022)."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray


def draw_tubes(frames: int, grid: int, hidden: int, same: bool, rng: np.random.Generator) -> NDArray[np.bool_]:
    """Which patches are hidden: bool (frames, grid, grid), ``hidden`` of each frame.

    Args:
        grid: patches of a side.
        same: the same of each frame, so that none shows what another hides; or of each frame its own.
    """
    drawn = [rng.permutation(grid * grid) < hidden for _ in range(1 if same else frames)]
    return np.resize(np.stack(drawn), (frames, grid, grid))
