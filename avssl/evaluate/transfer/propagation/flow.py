"""Labels carried by optical flow from frame to frame: OpenCV's DIS (Kroeger et al. 2016), which learned nothing."""

from __future__ import annotations

from importlib import import_module
from itertools import pairwise
from types import ModuleType

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import map_coordinates

from avssl.errors import UserError
from avssl.evaluate.transfer.propagation.videos import Frames, Masks, Points
from avssl.installation import install_hint


def need_opencv() -> ModuleType:
    """OpenCV; UserError where it is not installed."""
    try:
        return import_module("cv2")
    except ImportError:
        raise UserError(f"--flow needs OpenCV: {install_hint('flow')}") from None


def carry_by_flow(frames: Frames, truth: Masks | Points) -> NDArray[np.uint8] | NDArray[np.float64]:
    """The labels of all frames: each pixel of a mask takes the label from which it came, each point goes along.

    Args:
        frames: uint8 (n, 3, h, w).
    """
    cv2 = need_opencv()
    grey = [cv2.cvtColor(np.ascontiguousarray(frame.transpose(1, 2, 0)), cv2.COLOR_RGB2GRAY) for frame in frames]
    flow = cv2.DISOpticalFlow_create(cv2.DISOPTICAL_FLOW_PRESET_MEDIUM)
    height, width = grey[0].shape
    if isinstance(truth, Points):
        places = [truth.places[0]]
        for before, after in pairwise(grey):
            moved = flow.calc(before, after, None)
            places.append(places[-1] + _at(moved, places[-1]))
        return np.stack(places)
    rows, columns = np.mgrid[:height, :width]
    masks = [np.where(truth.labels[0] <= truth.objects, truth.labels[0], 0).astype(np.uint8)]
    for before, after in pairwise(grey):
        back = flow.calc(after, before, None)  # from each pixel of the new frame to where it was
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
