"""Average precision of boxes: by hand, and as pycocotools computes it."""

from __future__ import annotations

import contextlib
import io
import math
import sys

import numpy as np
import pytest

from avssl.errors import UserError
from avssl.evaluate.transfer.detection.box_precision import (
    Detections,
    Matched,
    Truth,
    coco_evaluation,
    coco_matched,
    coco_precision,
    iou,
    voc_matched,
    voc_outcomes,
    voc_precision,
)


def truth(boxes, labels, ignored=None, crowd=None) -> Truth:
    count = len(boxes)
    return Truth(
        np.array(boxes, np.float32).reshape(-1, 4),
        np.array(labels, np.int64),
        np.array(ignored if ignored is not None else [False] * count, bool),
        np.array(crowd if crowd is not None else [False] * count, bool),
    )


def detections(boxes, labels, scores) -> Detections:
    return Detections(
        np.array(boxes, np.float32).reshape(-1, 4), np.array(labels, np.int64), np.array(scores, np.float32)
    )


def ranking(hits, positives, scores=None, ignored=None, ties=True) -> Matched:
    """Detections of one picture, from the surest on."""
    count = len(hits)
    return Matched(
        np.arange(count, 0, -1.0) if scores is None else np.array(scores, float),
        np.zeros(count, np.int64),
        np.array([hits], bool),
        np.array([ignored or [False] * count], bool),
        np.array([positives]),
        ties,
    )


def test_inclusive_corners_make_a_box_one_wider_and_higher():
    # Continuous: 10×10 and 10×10, 5×10 in common: 50 / 150. Inclusive: 11×11 twice, 6×11 in common: 66 / 176.
    a, b = [[0, 0, 10, 10]], [[5, 0, 15, 10]]
    assert iou(a, b)[0, 0] == pytest.approx(50 / 150)
    assert iou(a, b, inclusive=True)[0, 0] == pytest.approx(66 / 176)
    # Boxes that only touch have the common column of pixels inclusively, and nothing continuously.
    assert iou([[0, 0, 9, 9]], [[9, 0, 18, 9]])[0, 0] == 0
    assert iou([[0, 0, 9, 9]], [[9, 0, 18, 9]], inclusive=True)[0, 0] == pytest.approx(10 / 190)


def test_an_overlap_of_exactly_half_is_a_miss():
    box = [[1, 1, 10, 10]]
    assert iou(box, [[1, 1, 10, 5]], inclusive=True)[0, 0] == 0.5
    assert voc_outcomes(box, [1.0], [[1, 1, 10, 5]], [False]).tolist() == [0]
    assert voc_outcomes(box, [1.0], [[1, 1, 10, 6]], [False]).tolist() == [1]


def test_the_surest_takes_the_truth_a_second_is_false_and_a_difficult_one_is_neither():
    truths, difficult = [[1, 1, 20, 20], [41, 41, 60, 60]], [False, True]
    boxes = [[1, 1, 20, 19], [1, 1, 20, 20], [41, 41, 60, 60], [41, 41, 60, 59], [80, 80, 90, 90]]
    assert voc_outcomes(boxes, [0.6, 0.9, 0.5, 0.4, 0.3], truths, difficult).tolist() == [0, 1, -1, -1, 0]
    assert voc_outcomes(boxes, [0.6, 0.9, 0.5, 0.4, 0.3], np.zeros((0, 4)), []).tolist() == [0] * 5


def test_eleven_points_and_area_by_hand():
    # Hits 1, 0, 1 of two truths: precision 1 at recall 1/2, 2/3 at recall 1; recalls 0 … 0.5 have 1, 0.6 … 1 have 2/3.
    matched = ranking([1, 0, 1], positives=2)
    assert voc_precision(matched)[0, 0] == pytest.approx((6 * 1 + 5 * 2 / 3) / 11)
    assert voc_precision(matched, "envelope")[0, 0] == pytest.approx(0.5 * 1 + 0.5 * 2 / 3)
    # One of three found, never the others: recalls 0 … 0.3 have 1.
    assert voc_precision(ranking([1], positives=3))[0, 0] == pytest.approx(4 / 11)
    assert voc_precision(ranking([], positives=3))[0, 0] == 0
    assert math.isnan(voc_precision(ranking([0], positives=0))[0, 0])


@pytest.mark.parametrize("tenths", range(1, 11))
def test_a_recall_of_exactly_some_tenths_reaches_its_bar(tenths):
    assert voc_precision(ranking([1] * tenths, positives=10))[0, 0] == pytest.approx((tenths + 1) / 11)


def test_equal_scores_are_one_threshold_for_voc():
    early, late = ranking([1, 0], 1, scores=[0.5, 0.5]), ranking([0, 1], 1, scores=[0.5, 0.5])
    assert voc_precision(early) == voc_precision(late) == pytest.approx(0.5)


def test_what_is_ignored_counts_neither_way():
    assert voc_precision(ranking([0, 1], 1, ignored=[True, False]))[0, 0] == 1
    assert coco_precision(ranking([0, 1], 1, ignored=[True, False], ties=False))[0, 0] == pytest.approx(1)


def test_coco_by_hand():
    # Precision 1 up to recall 1/2 (51 of the 101 recalls), 2/3 from there on (50).
    matched = ranking([1, 0, 1], positives=2, ties=False)
    assert coco_precision(matched)[0, 0] == pytest.approx((51 + 50 * 2 / 3) / 101)


def test_right_predictions_score_one_and_wrong_ones_none():
    truths = [truth([[3, 4, 20, 30]], [0]), truth([[0, 0, 9, 9], [20, 20, 40, 40]], [1, 0])]
    perfect = [detections(one.boxes, one.labels, [0.9] * len(one.boxes)) for one in truths]
    other = [detections(one.boxes, 1 - one.labels, [0.9] * len(one.boxes)) for one in truths]
    for k in (0, 1):
        assert coco_precision(coco_matched(perfect, truths, 2)[k]) == pytest.approx(1)
        assert voc_precision(voc_matched(perfect, truths, 2)[k]) == pytest.approx(1)
        assert coco_precision(coco_matched(other, truths, 2)[k]) == pytest.approx(0)
        assert voc_precision(voc_matched(other, truths, 2)[k]) == pytest.approx(0)


def test_an_ignored_object_is_neither_found_nor_missed():
    truths = [truth([[0, 0, 20, 20], [40, 40, 60, 60]], [0, 0], ignored=[False, True])]
    found = [detections([[40, 40, 60, 60], [0, 0, 20, 20]], [0, 0], [0.9, 0.8])]
    (coco,), (voc,) = coco_matched(found, truths, 1), voc_matched(found, truths, 1)
    assert coco.positives.tolist() == voc.positives.tolist() == [1]
    assert coco_precision(coco) == pytest.approx(1)
    assert voc_precision(voc) == pytest.approx(1)


def random_pictures(seed: int, pictures: int = 10, classes: int = 3) -> tuple[list[Detections], list[Truth]]:
    """Truths, near copies of them and boxes anywhere; scores with ties, some truths ignored, some crowds."""
    rng = np.random.default_rng(seed)

    def boxes(count):
        corner = rng.uniform(0, 60, (count, 2))
        return np.concatenate([corner, corner + rng.uniform(5, 40, (count, 2))], 1)

    found, truths = [], []
    for _ in range(pictures):
        true, labels = boxes(int(rng.integers(0, 7))), None
        labels = rng.integers(0, classes, len(true))
        ignored = rng.random(len(true)) < 0.2
        truths.append(truth(true, labels, ignored, ignored & (rng.random(len(true)) < 0.5)))
        anywhere = boxes(int(rng.integers(0, 8)))
        all_boxes = np.concatenate([true + rng.normal(0, 2, true.shape), true + rng.normal(0, 4, true.shape), anywhere])
        names = np.concatenate([labels, labels, rng.integers(0, classes, len(anywhere))])
        found.append(detections(all_boxes, names, rng.random(len(all_boxes)).round(1)))
    return found, truths


@pytest.mark.parametrize("seed", range(6))
def test_coco_is_what_pycocotools_computes(seed):
    found, truths = random_pictures(seed)
    ours = np.stack([coco_precision(one)[:, 0] for one in coco_matched(found, truths, 3)], axis=1)
    evaluation = coco_evaluation(found, truths, 3)
    with contextlib.redirect_stdout(io.StringIO()):
        evaluation.accumulate()
    theirs = evaluation.eval["precision"][:, :, :, 0, 0].mean(1)  # bars × classes
    assert ours.max() > 0.2
    np.testing.assert_allclose(ours, theirs, atol=1e-12)


@pytest.mark.parametrize("seed", range(3))
def test_a_picture_that_counts_twice_is_two_pictures(seed):
    found, truths = random_pictures(seed, pictures=6, classes=1)
    weights = np.random.default_rng(seed).integers(0, 4, (5, 6))
    (voc,) = voc_matched(found, truths, 1)
    drawn_voc, area = voc_precision(voc, "eleven-point", weights), voc_precision(voc, "envelope", weights)
    for draw, counts in enumerate(weights):
        many = [k for k, count in enumerate(counts) for _ in range(count)]
        again_told, again_truths = [found[k] for k in many], [truths[k] for k in many]
        (again,) = voc_matched(again_told, again_truths, 1)
        assert drawn_voc[0, draw] == pytest.approx(voc_precision(again)[0, 0], nan_ok=True)
        assert area[0, draw] == pytest.approx(voc_precision(again, "envelope")[0, 0], nan_ok=True)


def test_of_distinct_scores_a_picture_that_counts_twice_is_two_for_coco_too():
    found, truths = random_pictures(4, pictures=6, classes=1)
    rng = np.random.default_rng(0)
    found = [detections(one.boxes, one.labels, rng.random(len(one.boxes))) for one in found]
    (coco,) = coco_matched(found, truths, 1)
    counts = [2, 0, 1, 3, 1, 0]
    many = [k for k, count in enumerate(counts) for _ in range(count)]
    (again,) = coco_matched([found[k] for k in many], [truths[k] for k in many], 1)
    drawn = coco_precision(coco, [[1] * 6, counts])  # draws are lifted above each other, and that may round
    np.testing.assert_allclose(drawn[:, 1], coco_precision(again)[:, 0], atol=1e-9)
    assert drawn[0, 1] != pytest.approx(drawn[0, 0])


def test_without_pycocotools_the_extra_is_named(monkeypatch):
    for name in ("pycocotools.coco", "pycocotools.cocoeval"):
        monkeypatch.setitem(sys.modules, name, None)
    with pytest.raises(UserError, match="pip install 'pycocotools"):
        coco_evaluation([], [], 1)


def test_the_overlap_of_any_two_boxes_is_that_of_their_pixels():
    rng = np.random.default_rng(0)
    boxes = rng.integers(0, 12, (2, 15, 2, 2))
    a, b = np.sort(boxes, axis=2).reshape(2, 15, 4)
    found = iou(a, b)

    def pixels(box):
        return {(x, y) for x in range(box[0], box[2]) for y in range(box[1], box[3])}

    for i, j in np.ndindex(15, 15):
        one, other = pixels(a[i]), pixels(b[j])
        assert found[i, j] == pytest.approx(len(one & other) / len(one | other) if one | other else 0)


@pytest.mark.parametrize("box", [[5, 2, 9, 60], [5, 2, 70, 6], [0, 0, 2, 2]])
def test_boxes_of_any_shape_are_found(box):
    truths, found = [truth([box], [0])], [detections([box], [0], [0.9])]
    assert coco_precision(coco_matched(found, truths, 1)[0]) == pytest.approx(1)
    assert voc_precision(voc_matched(found, truths, 1)[0]) == pytest.approx(1)


def test_precision_of_many_draws_is_that_of_each_alone():
    rng = np.random.default_rng(1)
    truths = [truth([[0, 0, 20, 20]], [0]) for _ in range(6)]
    found = [detections([[k, 0, 20 + k, 20]], [0], [0.9 - 0.1 * k]) for k in range(6)]
    weights = rng.integers(0, 3, (7, 6))
    for matched, precision in (
        (coco_matched(found, truths, 1)[0], coco_precision),
        (voc_matched(found, truths, 1)[0], voc_precision),
    ):
        together = precision(matched, weights=weights)
        alone = [precision(matched, weights=row[None])[:, 0] for row in weights]
        np.testing.assert_allclose(together, np.stack(alone, 1), rtol=1e-6)
