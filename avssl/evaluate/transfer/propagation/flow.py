"""Labels carried by optical flow from frame to frame."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import map_coordinates

from avssl.evaluate.data.optical_flow import optical_flow
from avssl.evaluate.transfer.propagation.videos import Frames, Masks, Points


def carry_by_flow(frames: Frames, truth: Masks | Points) -> NDArray[np.uint8] | NDArray[np.float64]:
    """The labels of all frames: each pixel of a mask takes the label from which it came, each point goes along.

    Args:
        frames: uint8 (n, 3, h, w).
    """
    height, width = frames.shape[-2:]
    if isinstance(truth, Points):
        places = [truth.places[0]]
        for before, after in pairwise(frames):
            places.append(places[-1] + _at(optical_flow(before, after), places[-1]))
        return np.stack(places)
    rows, columns = np.mgrid[:height, :width]
    masks = [np.where(truth.labels[0] <= truth.objects, truth.labels[0], 0).astype(np.uint8)]
    for before, after in pairwise(frames):
        back = optical_flow(after, before)  # from each pixel of the new frame to where it was
        y = np.clip(np.rint(rows + back[..., 1]), 0, height - 1).astype(int)
        x = np.clip(np.rint(columns + back[..., 0]), 0, width - 1).astype(int)
        masks.append(masks[-1][y, x])
    return np.stack(masks)


def _at(flow: NDArray[np.float32], places: NDArray[np.float64]) -> NDArray[np.float64]:
    """The flow (h, w, 2) at places (points, 2); NaN where a place is NaN."""
    known = np.asarray(np.isfinite(places).all(1))
    where = np.where(known[:, None], places, 0.0)[:, ::-1].T
    moved = np.stack([map_coordinates(flow[..., axis], where, order=1, mode="nearest") for axis in (0, 1)], 1)
    return np.where(known[:, None], moved, np.nan)
