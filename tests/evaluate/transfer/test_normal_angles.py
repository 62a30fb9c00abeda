"""Angles between normals: the truth is 0 degrees off and its negative 180, pooled figures are those of the pixels."""

from __future__ import annotations

import numpy as np
import pytest
from made_surfaces import arrays

from avssl.evaluate.transfer.normals.angles import BINS, angles, drawn_figures, figures_of, tally


@pytest.fixture(scope="module")
def truth():
    _, normals, valid = arrays(3)
    return [(one.transpose(2, 0, 1), mask) for one, mask in zip(normals, valid, strict=True)]


def test_the_truth_itself_is_right_and_its_negative_opposite(truth):
    for normals, valid in truth:
        assert angles(normals, normals, valid).max() < 1e-3
        assert angles(-normals, normals, valid).min() > 180 - 1e-3
        right, wrong = figures_of(tally(angles(normals, normals))), figures_of(tally(angles(-normals, normals)))
        assert [float(right[name]) for name in ("within-11.25", "within-22.5", "within-30")] == [1, 1, 1]
        assert [float(wrong[name]) for name in ("within-11.25", "within-22.5", "within-30")] == [0, 0, 0]
        assert float(right["angle-median"]) < 0.02 and float(wrong["angle-median"]) > 179.98
        assert float(right["angle-rmse"]) < 1e-3 and float(wrong["angle-mean"]) == pytest.approx(180, abs=1e-3)


def test_axes_in_another_order_or_with_another_sign_are_seen(truth):
    normals, valid = truth[0]
    for other in (normals[::-1], normals * np.array([-1, 1, 1])[:, None, None]):
        assert angles(other, normals, valid).mean() > 5


def test_angles_by_hand():
    predicted = np.array([[1, 0, 0], [0, 2, 0], [1, 1, 0], [0, 0, 0]], float).T.reshape(3, 2, 2)
    true = np.array([[1, 0, 0], [1, 0, 0], [3, 0, 0], [0, 0, 1]], float).T.reshape(3, 2, 2)
    np.testing.assert_allclose(angles(predicted, true), [0, 90, 45, 90])
    np.testing.assert_allclose(angles(predicted, true, [[True, False], [True, False]]), [0, 45])
    assert len(angles(predicted, np.zeros_like(true))) == 0  # a truth without length is none


def test_bars_are_strict_and_figures_are_pooled_over_pixels():
    found = figures_of(tally(np.array([11.25, 11.24, 22.5, 30.0])))
    assert [found[f"within-{bar}"] for bar in ("11.25", "22.5", "30")] == [0.25, 0.5, 0.75]
    rows = np.stack([tally(np.array([10.0, 20.0, 60.0])), tally(np.array([100.0]))])
    pooled = figures_of(rows.sum(0))
    assert pooled["angle-mean"] == pytest.approx(47.5)  # the mean of the pictures' means would be 65
    assert pooled["angle-rmse"] == pytest.approx(np.sqrt((100 + 400 + 3600 + 10000) / 4))


def test_the_median_is_that_of_the_pixels_to_the_width_of_a_bin():
    rng = np.random.default_rng(0)
    degrees = rng.gamma(2, 12, 4001).clip(0, 180)
    rows = np.stack([tally(part) for part in np.array_split(degrees, 7)])
    assert figures_of(rows.sum(0))["angle-median"] == pytest.approx(np.median(degrees), abs=180 / BINS)
    assert figures_of(tally(np.array([180.0])))["angle-median"] == pytest.approx(180, abs=180 / BINS)
    assert np.isnan(figures_of(tally(np.zeros(0)))["angle-mean"])


def test_whole_pictures_are_drawn():
    rows = np.stack([tally(np.full(100, 10.0)), tally(np.full(300, 50.0))])
    drawn = drawn_figures(rows, 400, seed=1)
    assert {round(float(one), 6) for one in drawn["angle-mean"]} == {10.0, 40.0, 50.0}  # of two pictures, three draws
    again = drawn_figures(rows, 400, seed=1)
    np.testing.assert_array_equal(drawn["angle-median"], again["angle-median"])
