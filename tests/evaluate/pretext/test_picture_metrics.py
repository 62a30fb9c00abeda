"""Measures of colour against cases counted by hand."""

from __future__ import annotations

import math

import numpy as np
import pytest

from avssl.evaluate.core.statistics import mean_of, sums_interval
from avssl.evaluate.pretext.picture_metrics import (
    balanced_accuracy,
    bin_counts,
    colorfulness,
    psnr,
    squared_ab_error,
    ssim,
)


def test_the_error_is_a_mean_over_both_channels_and_all_pixels():
    truth = np.zeros((2, 2, 1, 2))
    predicted = truth.copy()
    predicted[0, 0, 0, 0] = 4.0  # one of four numbers is off by 4: 16 / 4
    assert squared_ab_error(predicted, truth).tolist() == [4.0, 0.0]


def test_colourfulness_of_two_halves_is_what_the_formula_says():
    picture = np.zeros((1, 3, 2, 2))
    picture[0, 0, 0] = 200.0  # upper half pure red, lower half black
    # rg: 200 and 0, so mean 100, spread 100; yb: 100 and 0, mean 50, spread 50.
    expected = math.hypot(100, 50) + 0.3 * math.hypot(100, 50)
    assert colorfulness(picture)[0] == pytest.approx(expected)
    assert colorfulness(np.full((1, 3, 4, 4), 77.0))[0] == 0.0


def test_balanced_accuracy_counts_every_bin_alike():
    truth = np.array([[[0, 0, 0, 1]]])
    predicted = np.array([[[0, 0, 1, 1]]])
    correct, total = bin_counts(predicted, truth, 3)
    assert correct.tolist() == [[2, 1, 0]] and total.tolist() == [[3, 1, 0]]
    assert balanced_accuracy(correct, total)[0] == pytest.approx((2 / 3 + 1) / 2)
    assert balanced_accuracy(correct, total, 3)[0] == pytest.approx((2 / 3 + 1) / 3)  # a third bin, not in this sample
    always = bin_counts(np.zeros_like(truth), truth, 3)
    assert balanced_accuracy(*always)[0] == pytest.approx(1 / 2)


def test_psnr_sees_the_hole_alone():
    truth = np.full((3, 4, 4), 100.0)
    predicted = truth.copy()
    hole = np.zeros((4, 4), bool)
    hole[1:3, 1:3] = True
    predicted[:, ~hole] = 0  # what is outside does not count
    assert psnr(predicted, truth, hole) == 100.0
    predicted[:, hole] = 110
    assert psnr(predicted, truth, hole) == pytest.approx(10 * math.log10(255**2 / 100))


def test_differences_are_paired_and_pictures_of_one_source_stay_together():
    rng = np.random.default_rng(0)
    hard = rng.normal(0, 10, 200)  # how hard a picture is, for both alike
    columns = np.stack([hard + 1 + rng.normal(0, 0.1, 200), hard, np.ones(200)], axis=1)
    value, low, high = sums_interval(columns, range(200), lambda s: (s[:, 0] - s[:, 1]) / s[:, 2])
    assert low < value < high and value == pytest.approx(1, abs=0.03) and high - low < 0.1
    alone = sums_interval(columns, range(200), mean_of(0, 2))
    together = sums_interval(columns, [i // 20 for i in np.argsort(np.argsort(hard))], mean_of(0, 2))
    assert together[2] - together[1] > 2 * (alone[2] - alone[1])


def test_bins_are_counted_for_each_picture_by_itself():
    rng = np.random.default_rng(0)
    truth, predicted = rng.integers(0, 5, (2, 4, 3, 6))
    correct, total = bin_counts(predicted, truth, 5)
    for n in range(4):
        for k in range(5):
            assert total[n, k] == (truth[n] == k).sum()
            assert correct[n, k] == ((truth[n] == k) & (predicted[n] == k)).sum()
    shares = [[c / t for c, t in zip(cs, ts, strict=True) if t] for cs, ts in zip(correct, total, strict=True)]
    assert balanced_accuracy(correct, total) == pytest.approx([np.mean(one) for one in shares])


def test_structural_similarity_is_that_of_wang_window_by_window():
    rng = np.random.default_rng(0)
    truth = rng.integers(0, 256, (3, 14, 13)).astype(np.float64)
    predicted = (0.7 * truth + rng.normal(0, 20, truth.shape) + 15).clip(0, 255)
    bell = np.exp(-(np.arange(-5, 6) ** 2) / (2 * 1.5**2))
    window = np.outer(bell, bell) / bell.sum() ** 2
    found = []
    for x, y in zip(predicted, truth, strict=True):
        for top in range(4):
            for left in range(3):
                a, b = (plane[top : top + 11, left : left + 11] for plane in (x, y))
                mean_a, mean_b = (window * a).sum(), (window * b).sum()
                var_a, var_b = (window * (a - mean_a) ** 2).sum(), (window * (b - mean_b) ** 2).sum()
                both = (window * (a - mean_a) * (b - mean_b)).sum()
                means = (2 * mean_a * mean_b + 6.5025) / (mean_a**2 + mean_b**2 + 6.5025)
                found.append(means * (2 * both + 58.5225) / (var_a + var_b + 58.5225))
    assert ssim(predicted, truth) == pytest.approx(np.mean(found), rel=1e-9)
    assert ssim(truth, truth) == pytest.approx(1.0)
