"""PCK of carried key points, as pure functions of arrays (Yang & Ramanan 2013, as JHMDB is evaluated with it)."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

BOX_SHARE = 0.6
"""Of the diagonal of the box round a person's joints: the unit of the distances."""


class Counted(NamedTuple):
    """Of each joint how many were right and how many there were, (joints,) each."""

    correct: Floats
    total: Floats


def tracked_points(predicted: Floats, truth: Floats, alpha: float, *, lost_are_wrong: bool = True) -> Counted:
    """How many joints lie within ``alpha`` units of the truth; the first frame, which was given, is left out.

    The unit of a frame is 0.6 of the diagonal of the box round its joints.

    Args:
        predicted: (frames, joints, 2) in pixels; NaN where a joint was lost.
        truth: the same; NaN where a joint is not annotated.
        lost_are_wrong: a lost joint is a wrong one. Else it is left out, of the box too, as the published evaluator
            does: a method that loses what it finds hard is then rewarded.

    Raises:
        ValueError: the shapes differ.
    """
    if predicted.shape != truth.shape:
        raise ValueError(f"predictions {predicted.shape} and truth {truth.shape} do not fit together")
    known, found = (np.asarray(np.isfinite(one).all(-1)) for one in (truth, predicted))
    counted = known if lost_are_wrong else known & found
    places = np.where(counted[..., None], truth, np.nan)
    unit = np.full(len(truth), np.nan)
    some = counted.any(1)
    extent = np.nanmax(places[some], 1) - np.nanmin(places[some], 1)
    unit[some] = BOX_SHARE * np.hypot(*extent.T)
    distance = np.linalg.norm(predicted - truth, axis=-1)
    # A box without an extent, of a single joint, gives no unit: there only the very place counts.
    right = counted & found & (distance <= alpha * np.nan_to_num(unit)[:, None])
    return Counted(right[1:].sum(0).astype(float), counted[1:].sum(0).astype(float))


def tracked_pck(counts: Counted) -> float:
    """The mean over joints of each joint's share, of those that were seen; NaN where none was."""
    seen = counts.total > 0
    return float((counts.correct[seen] / counts.total[seen]).mean()) if seen.any() else np.nan
