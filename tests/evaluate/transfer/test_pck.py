"""PCK, PCKh and AUC against cases worked out by hand."""

from __future__ import annotations

import math

import numpy as np
import pytest

from avssl.evaluate.transfer.keypoints.pck import (
    errors_in_units,
    head_unit,
    joint_areas,
    pck,
    pck_auc,
    pck_by_joint,
    pck_curve,
    thresholds,
)

NAN = math.nan

TRUTH = np.array([[[10, 10], [50, 10], [10, 90]], [[20, 20], [NAN, NAN], [20, 60]], [[0, 0], [5, 5], [9, 9]]], float)
SAID = np.array([[[10, 10], [53, 14], [10, 70]], [[26, 28], [7, 7], [20, 60]], [[0, 0], [5, 5], [9, 9]]], float)
UNIT = np.array([50.0, 40.0, NAN])
ERRORS = np.array([[0, 0.1, 0.4], [0.25, NAN, 0], [NAN, NAN, NAN]])


def test_an_error_is_a_distance_in_units_of_its_person():
    np.testing.assert_allclose(errors_in_units(SAID, TRUTH, UNIT), ERRORS)


def test_a_missing_joint_is_excluded_and_not_failed():
    np.testing.assert_allclose(pck_by_joint(ERRORS, 0.2), [1 / 2, 1, 1 / 2])
    np.testing.assert_allclose(pck_by_joint(ERRORS[2:], 0.2), [NAN] * 3)


def test_the_mean_is_weighted_by_how_often_a_joint_is_annotated():
    shares = np.array([1 / 2, 1, 1 / 2])
    weights = np.array([2, 1, 2])
    assert pck(ERRORS, 0.2) == pytest.approx(3 / 5)
    assert pck(ERRORS, 0.2) == pytest.approx((shares * weights).sum() / weights.sum())
    assert pck(ERRORS, 0.2) != pytest.approx(shares.mean())


def test_an_error_of_exactly_the_threshold_counts():
    errors = np.array([[0.1 + 0.2]])  # a little above 0.3
    assert pck(errors, 0.3) == 1
    assert pck(errors, 0.299) == 0


def test_a_head_box_of_30_by_40_is_a_unit_of_30_pixels():
    diagonal = np.array([math.hypot(30, 40)])
    np.testing.assert_allclose(head_unit(diagonal), [30])
    truth = np.zeros((1, 3, 2))
    predicted = np.array([[[15, 0], [0, 15.1], [9, 12]]])  # 15, 15.1 and 15 pixels away
    errors = errors_in_units(predicted, truth, head_unit(diagonal))
    np.testing.assert_allclose(pck_by_joint(errors, 0.5), [1, 0, 1])


def test_predictions_that_count_from_another_origin_are_off_by_a_pixel_each_way():
    truth = np.array([[[101.0, 51.0]]])
    errors = errors_in_units(truth - 1, truth, np.array([10.0]))
    np.testing.assert_allclose(errors, math.sqrt(2) / 10)


def test_the_area_of_a_step_is_what_is_left_of_it():
    # Wrong below 0.1, right from 0.1 on, over 0 … 0.2: half, and half a step more for the slope before it.
    assert pck_auc(np.array([[0.1]]), 0.2, 0.01) == pytest.approx((0.1 + 0.005) / 0.2)
    assert pck_auc(np.array([[0.0]]), 0.2, 0.01) == pytest.approx(1)
    assert pck_auc(np.array([[0.3]]), 0.2, 0.01) == 0
    assert pck_auc(np.array([[0.1, NAN, 0.3]]), 0.2, 0.01) == pytest.approx(0.2625)


def test_the_area_is_that_of_the_curve_by_trapezia():
    errors = np.random.default_rng(0).uniform(0, 0.7, (20, 5))
    errors[3, 2] = NAN
    alphas = thresholds(0.5)
    slow = sum((a + b) / 2 * 0.01 for a, b in zip(*_pairs(pck_curve(errors, alphas)), strict=True)) / 0.5
    assert pck_auc(errors, 0.5) == pytest.approx(slow)
    assert np.nanmean(joint_areas(errors, 0.5)) == pytest.approx(slow)


def _pairs(curve):
    return curve[:-1], curve[1:]


def test_the_eleventh_threshold_is_a_tenth():
    assert thresholds(0.5)[10] == 0.1
    assert len(thresholds(0.5)) == 51
    with pytest.raises(ValueError, match="multiple"):
        thresholds(0.25, 0.1)


def test_predictions_must_be_finite_and_of_the_same_shape():
    with pytest.raises(ValueError, match="not finite"):
        errors_in_units(np.full((1, 1, 2), NAN), np.zeros((1, 1, 2)), np.ones(1))
    with pytest.raises(ValueError, match="do not fit"):
        errors_in_units(np.zeros((1, 2, 2)), np.zeros((1, 1, 2)), np.ones(1))
    with pytest.raises(ValueError, match="do not fit"):
        errors_in_units(np.zeros((2, 1, 2)), np.zeros((2, 1, 2)), np.ones(1))


@pytest.mark.parametrize("unit", [0.0, -3.0, NAN])
def test_a_person_without_a_unit_is_excluded(unit):
    assert np.isnan(errors_in_units(SAID[:1], TRUTH[:1], np.array([unit]))).all()
    assert math.isnan(pck(ERRORS[2:], 0.2)) and math.isnan(pck_auc(ERRORS[2:], 0.2))
