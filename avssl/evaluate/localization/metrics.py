"""Metrics of sound-source localization: pure functions of map and ground truth.

A map ``m`` and a truth ``g`` have one shape (H, W); larger values of the map mean "the sound comes from here". The
truth weighs each pixel from 0 to 1. A prediction is a boolean mask of that shape. Nothing here depends on other
pictures: scores of a batch are the scores of its members.

"cIoU" names two things in the literature: the overlap of one picture, here :func:`ciou`, and the share of pictures
whose overlap is at least one half, here :func:`success`.
"""

from __future__ import annotations

from collections.abc import Hashable, Sequence

import numpy as np
from numpy.typing import ArrayLike, NDArray

Map = NDArray[np.floating]
Mask = NDArray[np.bool_]
Floats = NDArray[np.float64]
Box = tuple[float, float, float, float]

BARS: Floats = np.arange(21) / 20
"""Bars of the area under the success curve: j/20."""
CODE_BARS: Floats = np.float64(0.05) * np.arange(21, dtype=np.float64)
"""The same as the published code makes them: a rounding above the decimal for j = 3, 6, 7, 12, 14, 17, 19."""


PIXELS_FROM = 2.0
"""A corner beyond it is no share of a frame, which annotators overstep by little, but a number of pixels."""


def rasterise(box: Box, side: int, extent: float = 1.0) -> Mask:
    """The pixels of a box, as all published evaluators draw it: corners clipped, scaled, truncated; right and lower
    edge excluded.

    Args:
        box: left, top, right, bottom, in units of which the picture has ``extent`` in each direction.
        side: pixels of the square grid.
        extent: 1 for shares of the frame (VGG-SS), 256 (Flickr-SoundNet) or 224 (IS3) for pixels.

    Returns:
        (side, side); empty where right ≤ left or bottom ≤ top after truncation. Corners are never swapped.

    Raises:
        ValueError: a box in pixels without an extent.
    """
    if extent == 1 and max(box) > PIXELS_FROM:
        raise ValueError(f"the box {tuple(box)} is in pixels; give extent=…, the pixels of its picture")
    left, top, right, bottom = (int(min(max(v, 0.0), extent) * (side / extent)) for v in box)
    mask = np.zeros((side, side), bool)
    if right > left and bottom > top:
        mask[top:bottom, left:right] = True
    return mask


def union(masks: Sequence[Mask], side: int) -> Floats:
    """1 in any of the masks, else 0: (side, side)."""
    truth = np.zeros((side, side))
    for mask in masks:
        truth[mask] = 1.0
    return truth


def consensus(masks: Sequence[Mask], side: int) -> Floats:
    """min(1, count / 2): one annotator's box weighs one half, two or more agree (Senocak et al. 2018). (side, side)"""
    count = np.zeros((side, side))
    for mask in masks:
        count += mask
    return np.minimum(count / 2, 1.0)


def half(m: Map) -> Mask:
    """m ≥ the value at place ⌊n/2⌋ of the ascending order (EZ-VSL): half of the pixels, and all ties at the cut."""
    return np.asarray(m >= _sorted_at(m, m.size // 2))


def half_strict(m: Map) -> Mask:
    """m > the value at place ⌊n/2⌋ (LVS, SSL-Align): one pixel less than half, and none of the ties."""
    return np.asarray(m > _sorted_at(m, m.size // 2))


def adaptive(m: Map, truth: Map) -> Mask:
    """m > the value at place n − k, with k the area of the truth, n // 2 where that is empty (SSL-Align)."""
    # A truth that fills the picture leaves out the smallest value: the published index is n − |G|, strictly above it
    k = area(truth) or m.size // 2
    return np.asarray(m > _sorted_at(m, m.size - k))


def absolute(m: Map, threshold: float, *, strict: bool = False) -> Mask:
    """m ≥ threshold (ACL, SLAVC), or with ``strict`` m > threshold (vssl_eval)."""
    return np.asarray(m > threshold if strict else m >= threshold)


def topk_exact(m: Map, k: int) -> Mask:
    """The k largest values, ties in row-major order: always k pixels."""
    _refuse_nan(m)
    mask = np.zeros(m.size, bool)
    if k > 0:
        flat = m.ravel()
        cut = _sorted_at(m, m.size - k)
        above = flat > cut
        mask[above] = True
        tied = np.flatnonzero(flat == cut)
        mask[tied[: k - int(above.sum())]] = True
    return mask.reshape(m.shape)


def tied_share(m: Map, k: int) -> float:
    """Share of the pixels that have the value at which the k largest are cut off; 0 where the cut falls between
    two values and decides nothing."""
    if not 0 < k < m.size:
        return 0.0
    cut = _sorted_at(m, m.size - k)
    if int((m >= cut).sum()) == k:
        return 0.0
    return float((m == cut).mean())


def area(truth: Map) -> int:
    """Pixels inside the ground truth: |G|."""
    return int(np.count_nonzero(truth > 0))


def is_constant(m: Map) -> bool:
    """Whether the map is constant: one value everywhere."""
    return bool(m.max() == m.min())


def ciou(predicted: Mask, truth: Map) -> float:
    """Σ of the truth inside the prediction / (Σ of the truth + predicted pixels where the truth is 0).

    The IoU for a binary truth. An empty truth with an empty prediction, 0/0, is 0 here; published code gives NaN.

    Args:
        predicted: (h, w).
        truth: (h, w), 0..1.

    Raises:
        ValueError: their shapes differ.
    """
    if predicted.shape != truth.shape:
        raise ValueError(f"the prediction is {predicted.shape} and the truth {truth.shape}; enlarge the map first")
    within = truth[predicted]
    inside = float(within.sum())
    whole = float(truth.sum()) + len(within) - int(np.count_nonzero(within))
    return inside / whole if whole else 0.0


def pointing(m: Map, truth: Map) -> bool | None:
    """Whether the map's maximum lies in the truth (AVOL-Net, Arandjelović & Zisserman 2018).

    The map may be coarser than the truth: its first largest cell in row-major order, taken at its centre. None
    where there is no truth to hit.
    """
    if not area(truth):
        return None
    row, column = peak(m)
    (height, width), (rows, columns) = truth.shape, m.shape
    return bool(truth[int((row + 0.5) * height / rows), int((column + 0.5) * width / columns)] > 0)


def peak(m: Map) -> tuple[int, int]:
    """Row and column of the first largest cell in row-major order."""
    _refuse_nan(m)
    row, column = np.unravel_index(int(np.argmax(m)), m.shape)
    return int(row), int(column)


def confidence(m: Map) -> float:
    """Mean of the ⌈n/4⌉ largest values: the confidence of a map (SLAVC)."""
    count = -(-m.size // 4)
    return float(np.partition(m, m.size - count, axis=None)[m.size - count :].mean())


def predicted_area(m: Map, threshold: float) -> float:
    """|{m > t}| / n: pIA of a negative, which ought to be 0 (vssl_eval)."""
    return float((m > threshold).mean())


def success(cious: ArrayLike, bar: float = 0.5) -> float:
    """Share of pictures whose overlap is at least ``bar``; NaN fails every comparison."""
    return float((np.asarray(cious, np.float64) >= bar).mean())


def auc(cious: ArrayLike, bars: Floats = BARS) -> float:
    """Area under :func:`success` as the bar runs from 0 to 1, by trapezoids; all zeros have 0.025."""
    return float(np.mean(auc_terms(cious, bars)))


def auc_terms(cious: ArrayLike, bars: Floats = BARS) -> Floats:
    """What each picture adds to the area, so that their mean is :func:`auc`: (n,)."""
    passed = np.asarray(cious, np.float64)[:, None] >= bars
    steps = np.diff(bars)
    return np.asarray(((passed[:, 1:] + passed[:, :-1].astype(np.float64)) / 2) @ steps)


def auc_of_areas(areas: ArrayLike, bars: Floats = BARS) -> float:
    """AUC_N: area under the share of negatives of which at most τ is predicted; a map that is always full has
    0.025."""
    within = (np.asarray(areas, np.float64)[:, None] <= bars).mean(0)
    return float(((within[1:] + within[:-1]) / 2) @ np.diff(bars))


def harmonic_mean(a: float, b: float) -> float:
    """2ab / (a + b), 0 where both are 0: F_LOC and F_AUC of vssl_eval."""
    return 2 * a * b / (a + b) if a + b else 0.0


def worst_of_groups(cious: ArrayLike, groups: Sequence[Hashable]) -> Floats:
    """The smallest overlap of each group: IIoU is its :func:`success`, IAUC its :func:`auc` (IS3). (groups,)"""
    _, member = np.unique(np.asarray([str(group) for group in groups]), return_inverse=True)
    worst = np.full(int(member.max()) + 1, np.inf)
    np.minimum.at(worst, member, np.asarray(cious, np.float64))
    return worst


def counts_at(positive: ArrayLike, cious: ArrayLike, confidences: ArrayLike, bar: float) -> tuple[int, int, int]:
    """TP, FP, FN of an extended set at a confidence bar (SLAVC).

    A confident positive whose place is wrong is an FP and not an FN.
    """
    there, right = np.asarray(positive, bool), np.asarray(cious, np.float64) >= 0.5
    confident = np.asarray(confidences, np.float64) >= bar
    true = int((there & confident & right).sum())
    false = int((~there & confident).sum() + (there & confident & ~right).sum())
    return true, false, int((there & ~confident).sum())


def extended_ap(positive: ArrayLike, cious: ArrayLike, confidences: ArrayLike) -> float:
    """Average precision of an extended set, as SLAVC's evaluator walks it.

    Bars are the confidences but the largest, from the top in steps of max(1, N // 200); precision is made monotone;
    the area before the first bar is not counted, and where recall falls the step subtracts.
    """
    ordered = np.sort(np.asarray(confidences, np.float64))
    bars = ordered[:-1][::-1][:: max(1, len(ordered) // 200)]
    precision, recall = _curve(positive, cious, confidences, bars)
    monotone = np.maximum.accumulate(precision[::-1])[::-1]
    return float((monotone[:-1] * np.diff(recall)).sum())


def extended_max_f1(positive: ArrayLike, cious: ArrayLike, confidences: ArrayLike) -> float:
    """Largest F1 over every max(1, N // 10)-th confidence, ascending."""
    ordered = np.sort(np.asarray(confidences, np.float64))
    precision, recall = _curve(positive, cious, confidences, ordered[:: max(1, len(ordered) // 10)])
    return max(harmonic_mean(float(p), float(r)) for p, r in zip(precision, recall, strict=True))


def _curve(positive: ArrayLike, cious: ArrayLike, confidences: ArrayLike, bars: Floats) -> tuple[Floats, Floats]:
    precision, recall = [], []
    for bar in bars:
        true, false, missed = counts_at(positive, cious, confidences, bar)
        # Precision and recall are 1 where there is nothing to divide by, as in SLAVC's evaluator
        precision.append(true / (true + false) if true + false else 1.0)
        recall.append(true / (true + missed) if true + missed else 1.0)
    return np.asarray(precision), np.asarray(recall)


def _sorted_at(m: Map, index: int) -> np.floating:
    _refuse_nan(m)
    found: np.floating = np.partition(m, index, axis=None)[index]
    return found


def _refuse_nan(m: Map) -> None:
    # NaN sorts last, as if it were the largest.
    if not np.isfinite(m).all():
        raise ValueError("the map holds values that are not finite")
