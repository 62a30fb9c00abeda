"""PCK, PCKh and the area under them, as pure functions of arrays.

An error is the distance between where a joint is predicted and where it is, in units of the person: the size of the
torso (PCK; FLIC), or 0.6 of the diagonal of the head box (PCKh; MPII). A joint that is not annotated is NaN and
excluded, not failed; so is a person without a unit.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

HEAD_SHARE = 0.6
"""Of the diagonal of the head box: the unit of PCKh (SC_BIAS of MPII's own evaluation)."""

AUC_STEP = 0.01
"""Between the thresholds of a curve; its highest threshold is that of the PCK beside it."""

_SLACK = 1e-9  # a distance of exactly α units counts, whatever its last bit


def errors_in_units(predicted: Floats, truth: Floats, unit: Floats) -> Floats:
    """Distances divided by the unit of each person: (people, joints); NaN where joint or unit is missing.

    Args:
        predicted: (people, joints, 2), in the same coordinates as ``truth`` (mind where a data set begins to count).
        truth: (people, joints, 2); NaN where a joint is not annotated.
        unit: (people,) in the same pixels; NaN, 0 or below where there is none.

    Raises:
        ValueError: a prediction is not finite, or the shapes differ.
    """
    if predicted.shape != truth.shape or len(unit) != len(truth):
        raise ValueError(
            f"predictions {predicted.shape}, truth {truth.shape} and unit {unit.shape} do not fit together"
        )
    if not np.isfinite(predicted).all():
        raise ValueError("a prediction is not finite")
    size = np.where(unit > 0, unit, np.nan)
    return np.asarray(np.linalg.norm(predicted - truth, axis=-1) / size[:, None])


def head_unit(diagonal: Floats) -> Floats:
    """The unit of PCKh in pixels, from the diagonal of the head box: a box of 30 × 40 gives 30."""
    return HEAD_SHARE * diagonal


def is_correct(errors: Floats, alpha: float) -> Floats:
    """1 where an error is at most ``alpha``, 0 where it is larger, NaN where there is none: the shape of ``errors``."""
    return np.where(np.isfinite(errors), errors <= alpha + _SLACK, np.nan)


def pck_by_joint(errors: Floats, alpha: float) -> Floats:
    """Share of each joint's errors that are at most ``alpha``, of those annotated: (joints,); NaN where none is."""
    counts = np.isfinite(errors).sum(0)
    return np.where(counts > 0, np.nansum(is_correct(errors, alpha), 0) / np.maximum(counts, 1), np.nan)


def pck(errors: Floats, alpha: float) -> float:
    """The mean of :func:`pck_by_joint`, weighted by how often each joint is annotated; NaN where none is.

    Equal to the share of all annotated joints whose error is at most ``alpha``.
    """
    return float(np.nanmean(is_correct(errors, alpha))) if np.isfinite(errors).any() else np.nan


def thresholds(highest: float, step: float = AUC_STEP) -> Floats:
    """0, step, … highest, computed without adding up (the eleventh of 0, 0.01, … is 0.1 exactly).

    Raises:
        ValueError: ``highest`` is no multiple of ``step``.
    """
    count = round(highest / step)
    if count < 1 or abs(count * step - highest) > 1e-9:
        raise ValueError(f"the highest threshold {highest:g} must be a multiple of the step {step:g}")
    return np.arange(count + 1) * highest / count


def pck_curve(errors: Floats, alphas: Sequence[float] | Floats) -> Floats:
    """:func:`pck` at each threshold: (thresholds,)."""
    return np.array([pck(errors, float(alpha)) for alpha in alphas])


def pck_auc(errors: Floats, highest: float, step: float = AUC_STEP) -> float:
    """Area under PCK over α from 0 to ``highest`` by the trapezoidal rule, divided by ``highest``: 0..1."""
    areas = joint_areas(errors, highest, step)
    return float(np.nanmean(areas)) if np.isfinite(areas).any() else np.nan


def joint_areas(errors: Floats, highest: float, step: float = AUC_STEP) -> Floats:
    """The share of the area that each annotated joint gives, (people, joints); their mean is :func:`pck_auc`."""
    alphas = thresholds(highest, step)
    weights = np.full(len(alphas), 1.0)
    # The trapezoidal rule: the first and the last threshold count half
    weights[[0, -1]] = 0.5
    weights /= weights.sum()
    areas = np.zeros(errors.shape)
    for alpha, weight in zip(alphas, weights, strict=True):
        areas += weight * is_correct(errors, float(alpha))
    return areas
