"""Intervals and tests against values worked out by hand."""

from __future__ import annotations

import numpy as np
import pytest

from avssl.evaluate.rows import ResultRow, read_rows, write_rows
from avssl.evaluate.statistics import accuracy_interval, cluster_bootstrap, mcnemar, t_interval, wilson


@pytest.mark.parametrize(
    ("k", "n", "low", "high"),
    [
        (50, 100, 0.4038, 0.5962),
        (0, 10, 0.0, 0.2775),
        (10, 10, 0.7225, 1.0),
        (1, 3, 0.0615, 0.7923),
        (1755, 5158, 0.3274, 0.3533),
        (205, 249, 0.7711, 0.8657),
    ],
)
def test_wilson(k, n, low, high):
    assert wilson(k, n) == pytest.approx((low, high), abs=5e-5)


def test_students_interval_by_hand():
    # Mean 0.28, deviation sqrt(0.0026 / 3) = 0.02944, over sqrt(4) 0.01472, times t(3) = 3.1824: 0.04684.
    assert t_interval([0.24, 0.28, 0.29, 0.31]) == pytest.approx((0.28 - 0.04684, 0.28 + 0.04684), abs=1e-5)
    assert t_interval([0.3]) == (0.3, 0.3)


def test_wilson_of_nothing_says_nothing():
    assert wilson(0, 0) == (0.0, 1.0)


def test_mcnemar_is_exact():
    assert mcnemar(1, 9) == pytest.approx(0.0215, abs=5e-5)
    assert mcnemar(15, 5) == pytest.approx(0.0414, abs=5e-5)
    assert mcnemar(5, 5) == mcnemar(0, 0) == 1.0


def test_independent_puzzles_have_wilsons_interval():
    correct = np.arange(100) % 2
    assert accuracy_interval(correct, [(str(i),) for i in range(100)]) == pytest.approx(wilson(50, 100))


def test_puzzles_of_one_source_count_as_one():
    # Ten sources of ten puzzles each, all right or all wrong: the interval is that of ten.
    correct = np.repeat(np.arange(10) % 2, 10)
    low, high = accuracy_interval(correct, [(str(i // 10),) for i in range(100)])
    assert (low, high) == pytest.approx(wilson(5, 10), abs=1e-9)


def test_the_interval_of_two_way_clusters_covers_the_truth_as_often_as_it_says():
    rng = np.random.default_rng(0)
    covered = 0
    for _ in range(300):
        first, second = rng.integers(100, size=(2, 400))
        taste = rng.normal(0, 0.6, (2, 100))
        chance = 1 / (1 + np.exp(-(taste[0, first] + taste[1, second])))
        low, high = accuracy_interval(rng.random(400) < chance, list(zip(first, second + 1000, strict=True)))
        covered += low <= 0.5 <= high
    assert covered >= 0.92 * 300


def test_the_cluster_bootstrap_agrees_with_the_formula_for_a_mean():
    values = np.random.default_rng(1).normal(size=400)
    low, high = cluster_bootstrap(values, range(400))
    half = 1.96 * values.std() / 20
    assert (low, high) == pytest.approx((values.mean() - half, values.mean() + half), abs=0.02)
    assert cluster_bootstrap(values, range(400), np.median) != (low, high)


def test_rows_come_back_as_they_were_written(tmp_path):
    row = ResultRow("trained", "accuracy", 0.9, 0.8, 0.95, 100, 0.5, "test", 0, "note", "avssl train")
    write_rows([row], tmp_path / "results" / "controls.json")
    assert read_rows(tmp_path / "results" / "controls.json") == [row]
    assert not row.holds_chance and ResultRow("x", "accuracy", 0.5, 0.4, 0.6, 9, 0.5, "test", 0).holds_chance
