"""Region similarity and contour accuracy against a slow, plain computation by the published definitions."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest

from avssl import metrics
from avssl.evaluate.transfer.propagation.regions import box_overlap, contour_accuracy, course, region_similarity


def plain_boundary(mask: np.ndarray) -> list[tuple[int, int]]:
    """Pixel by pixel: right, lower and lower-right neighbours, those inside of the picture."""
    height, width = mask.shape
    found = []
    for y, x in itertools.product(range(height), range(width)):
        below, beside = min(y + 1, height - 1), min(x + 1, width - 1)
        if len({bool(mask[y, x]), bool(mask[y, beside]), bool(mask[below, x]), bool(mask[below, beside])}) == 2:
            found.append((y, x))
    return found


def plain_j(predicted: np.ndarray, truth: np.ndarray, void: np.ndarray) -> float:
    pairs = [(p, t) for p, t, v in zip(predicted.flat, truth.flat, void.flat, strict=True) if not v]
    either = sum(p or t for p, t in pairs)
    return sum(p and t for p, t in pairs) / either if either else 1.0


def plain_f(predicted: np.ndarray, truth: np.ndarray, void: np.ndarray) -> float:
    ours, theirs = plain_boundary(predicted & ~void), plain_boundary(truth & ~void)
    if not ours or not theirs:
        return float(not ours and not theirs)
    reach = math.ceil(0.008 * math.sqrt(truth.shape[0] ** 2 + truth.shape[1] ** 2))

    def near(point: tuple[int, int], others: list[tuple[int, int]]) -> bool:
        return any((point[0] - y) ** 2 + (point[1] - x) ** 2 <= reach**2 for y, x in others)

    precision = sum(near(point, theirs) for point in ours) / len(ours)
    recall = sum(near(point, ours) for point in theirs) / len(theirs)
    return 2 * precision * recall / (precision + recall) if precision + recall else 0.0


def made_masks(seed: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Two overlapping blobs with ragged edges, some across the border, and void pixels."""
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[:34, :50]
    middle, radius = rng.uniform([0, 0], [34, 50]), rng.uniform(4, 14)
    truth = np.hypot(y - middle[0], x - middle[1]) + rng.normal(0, 0.7, (34, 50)) < radius
    moved = middle + rng.normal(0, 4, 2)
    predicted = np.hypot(y - moved[0], x - moved[1]) + rng.normal(0, 0.7, (34, 50)) < radius * rng.uniform(0.7, 1.3)
    return predicted, truth, rng.random((34, 50)) < 0.05


@pytest.mark.parametrize("seed", range(6))
def test_j_and_f_of_made_masks_are_those_of_a_plain_computation(seed: int) -> None:
    predicted, truth, void = made_masks(seed)
    assert region_similarity(predicted, truth, void) == pytest.approx(plain_j(predicted, truth, void))
    assert contour_accuracy(predicted, truth, void) == pytest.approx(plain_f(predicted, truth, void))
    assert contour_accuracy(predicted, truth) == pytest.approx(plain_f(predicted, truth, np.zeros_like(void)))


def test_empty_masks_are_right_where_nothing_is_and_wrong_where_something_is() -> None:
    none, some = np.zeros((8, 8), bool), np.zeros((8, 8), bool)
    some[2:5, 2:5] = True
    assert (region_similarity(none, none), contour_accuracy(none, none)) == (1.0, 1.0)
    for first, second in ((none, some), (some, none)):
        assert (region_similarity(first, second), contour_accuracy(first, second)) == (0.0, 0.0)
    assert box_overlap(np.stack([none, none, some]), np.stack([none, some, some])).tolist() == [1.0, 0.0, 1.0]


def test_a_mask_that_fills_the_picture_has_no_boundary() -> None:
    whole, most = np.ones((8, 8), bool), np.ones((8, 8), bool)
    most[0, 0] = False
    assert contour_accuracy(whole, whole) == 1.0
    assert contour_accuracy(whole, most) == 0.0


def test_boxes_overlap_by_their_extents_and_not_by_their_pixels() -> None:
    ring, corner = np.zeros((1, 8, 8), bool), np.zeros((1, 8, 8), bool)
    ring[0, 0:4, 0] = ring[0, 0, 0:4] = ring[0, 3, 3] = True
    corner[0, 2:6, 0:4] = True
    assert box_overlap(ring, corner)[0] == pytest.approx(8 / 24)


def test_recall_is_the_share_above_a_half_and_decay_the_fall_from_the_first_to_the_last_quarter() -> None:
    values = np.array([1.0, 1.0, 0.8, 0.6, 0.5, 0.4, 0.2, 0.0])
    # Of eight frames the published bins end at 1, 2.75, 4.5, 6.25 and 8, rounded: 1 to 3 and 6 to 8, ends included.
    found = course(values)
    assert found.mean == pytest.approx(values.mean()) and found.recall == 0.5
    assert found.decay == pytest.approx((1.0 + 1.0 + 0.8) / 3 - (0.4 + 0.2 + 0.0) / 3)
    assert course(np.array([0.7])) == (0.7, 1.0, 0.0)


def test_masks_of_other_sizes_are_refused() -> None:
    with pytest.raises(ValueError, match="do not fit"):
        region_similarity(np.zeros((4, 4), bool), np.zeros((4, 5), bool))


def test_pck_of_carried_points_counts_the_lost_as_wrong_or_leaves_them_out() -> None:
    truth = np.zeros((3, 2, 2))
    truth[:, 1] = [30.0, 40.0]  # the box is 30 × 40, its diagonal 50, the unit 30
    predicted = truth.copy()
    predicted[1, 0] = [3.0, 0.0]  # 0.1 units off
    predicted[2, 0] = [3.1, 0.0]
    predicted[2, 1] = np.nan
    # The first point is right in one of two frames, the second too: one frame found it, in the other it was lost.
    counts = metrics.tracked_points(predicted, truth, 0.1)
    assert (counts.correct.tolist(), counts.total.tolist()) == ([1, 1], [2, 2])
    assert metrics.tracked_pck(counts) == pytest.approx(0.5)
    # Left out, the lost point takes the box of its frame with it, which then has no extent.
    found = metrics.tracked_points(predicted, truth, 0.1, lost_are_wrong=False)
    assert (found.correct.tolist(), found.total.tolist()) == ([1, 1], [2, 1])
    assert metrics.tracked_pck(found) == pytest.approx(0.75)
