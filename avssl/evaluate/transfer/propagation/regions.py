"""Region similarity J, contour accuracy F and box overlap of carried masks, as pure functions of arrays.

The formulas are those of DAVIS 2017 (Pont-Tuset et al. 2017; Perazzi et al. 2016, section 5), as its evaluator computes
them. Masks are bool (…, h, w); ``void`` marks pixels that are neither object nor background and are left out.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import distance_transform_edt

Mask = NDArray[np.bool_]
Floats = NDArray[np.float64]

TOLERANCE = 0.008
"""How far a boundary pixel may be off, as a share of the picture's diagonal."""

_QUARTERS = 4  # of a video, whose first and last the decay compares


class Course(NamedTuple):
    """How one object fared over the frames of a video."""

    mean: float
    recall: float  # share of frames above 0.5
    decay: float  # mean of the first quarter minus mean of the last


def region_similarity(predicted: Mask, truth: Mask, void: Mask | None = None) -> Floats:
    """J: intersection over union of each mask, (…); 1 where both are empty.

    Args:
        predicted, truth, void: bool (…, h, w) of one shape.

    Raises:
        ValueError: the shapes differ.
    """
    _check(predicted, truth, void)
    counted = np.ones_like(truth) if void is None else ~void
    both = (predicted & truth & counted).sum((-2, -1))
    either = ((predicted | truth) & counted).sum((-2, -1))
    return np.where(either == 0, 1.0, both / np.maximum(either, 1))


def boundary(mask: Mask) -> Mask:
    """The pixels of a mask (h, w) that differ from their right, lower or lower-right neighbour: bool (h, w).

    Beyond the border the picture goes on as it ends, so that an object which leaves it has no boundary there.
    """
    wider = np.pad(mask, ((0, 1), (0, 1)), mode="edge")
    return np.asarray((mask != wider[:-1, 1:]) | (mask != wider[1:, :-1]) | (mask != wider[1:, 1:]))


def contour_accuracy(predicted: Mask, truth: Mask, void: Mask | None = None, tolerance: float = TOLERANCE) -> float:
    """F = 2PR / (P + R) of one mask (h, w), in 0..1.

    P is the share of the predicted boundary that lies within ⌈tolerance · diagonal⌉ pixels of the true one, R that of
    the true boundary near the predicted one. Where one of them is empty P and R are 1 and 0, so F is 0; where both are,
    F is 1.

    Raises:
        ValueError: the shapes differ.
    """
    _check(predicted, truth, void)
    counted = np.ones_like(truth) if void is None else ~void
    ours, theirs = boundary(predicted & counted), boundary(truth & counted)
    if not ours.any() or not theirs.any():
        return float(not ours.any() and not theirs.any())
    radius = math.ceil(tolerance * math.hypot(*truth.shape))
    # What lies outside of both boundaries costs time and decides nothing.
    rows, columns = np.nonzero(ours | theirs)
    part = np.s_[rows.min() : rows.max() + 1, columns.min() : columns.max() + 1]
    precision = float((distance_transform_edt(~theirs[part])[ours[part]] <= radius).mean())
    recall = float((distance_transform_edt(~ours[part])[theirs[part]] <= radius).mean())
    return 2 * precision * recall / (precision + recall) if precision + recall else 0.0


def course(values: Floats) -> Course:
    """Mean, recall and decay of a figure over the frames of one object, (frames,), one at least.

    The quarters overlap by a frame, as in the published evaluator.
    """
    # The small number rounds halves up, as Matlab does.
    ends = np.round(np.linspace(1, len(values), _QUARTERS + 1) + 1e-10).astype(int) - 1
    first, last = values[: ends[1] + 1], values[ends[-2] : ends[-1] + 1]
    return Course(float(values.mean()), float((values > 0.5).mean()), float(first.mean() - last.mean()))


def box_overlap(predicted: Mask, truth: Mask) -> Floats:
    """Intersection over union of the tight boxes round masks (n, h, w), (n,); 1 where both are empty, 0 where one is.

    Raises:
        ValueError: the shapes differ.
    """
    _check(predicted, truth, None)
    sides = [_extents(np.asarray(predicted.any(axis)), np.asarray(truth.any(axis))) for axis in (-2, -1)]
    both = sides[0][0] * sides[1][0]
    either = sides[0][1] * sides[1][1] + sides[0][2] * sides[1][2] - both
    return np.where(either == 0, 1.0, both / np.maximum(either, 1))


def _extents(first: Mask, second: Mask) -> tuple[Floats, Floats, Floats]:
    """Length of the overlap of two spans along an axis, and of each, by mask."""
    ends = []
    for one in (first, second):
        some, length = one.any(-1), one.shape[-1]
        ends.append((one.argmax(-1), np.where(some, length - one[..., ::-1].argmax(-1), 0)))
    (a, b), (c, d) = ends
    shared = np.maximum(np.minimum(b, d) - np.maximum(a, c), 0)
    return shared.astype(float), np.maximum(b - a, 0).astype(float), np.maximum(d - c, 0).astype(float)


def _check(predicted: Mask, truth: Mask, void: Mask | None) -> None:
    shapes = {one.shape for one in (predicted, truth, void) if one is not None}
    if len(shapes) > 1:
        raise ValueError(f"masks of {' and '.join(map(str, sorted(shapes)))} do not fit together")
