"""Whether features tell inputs apart: each figure against its formula written out."""

from __future__ import annotations

import numpy as np
import pytest

from avssl.networks.feature_health import (
    alignment,
    effective_rank,
    feature_std,
    knn_accuracy,
    uniformity,
)

RNG = np.random.default_rng(0)


@pytest.mark.parametrize("shape", [(40, 12), (12, 40)])
def test_the_effective_rank_is_the_exponential_of_the_entropy_of_singular_values(shape: tuple[int, int]):
    features = RNG.normal(size=shape) + 0.3
    values = np.linalg.svd(features, compute_uv=False)
    shares = values / np.abs(values).sum() + 1e-7
    assert effective_rank(features) == pytest.approx(np.exp(-np.sum(shares * np.log(shares))), rel=1e-6)


def test_the_effective_rank_counts_directions_that_are_as_strong():
    assert effective_rank(np.eye(8)[np.arange(64) % 3]) == pytest.approx(np.exp(np.log(3)), rel=0.01)
    assert effective_rank(np.outer(RNG.uniform(1, 2, 50), RNG.normal(size=6))) == pytest.approx(1, abs=1e-3)
    assert effective_rank(np.zeros((5, 4))) == 0


def test_uniformity_is_the_log_of_the_mean_potential_of_pairs():
    rows = RNG.normal(size=(7, 3))
    directions = [row / np.linalg.norm(row) for row in rows]
    potentials = [np.exp(-2 * np.sum((a - b) ** 2)) for k, a in enumerate(directions) for b in directions[k + 1 :]]
    assert uniformity(rows) == pytest.approx(np.log(np.mean(potentials)))
    assert uniformity([[1, 0], [5, 0]]) == 0
    assert uniformity([[1, 0], [-2, 0]]) == pytest.approx(-8)
    assert uniformity(RNG.normal(size=(400, 200))) == pytest.approx(-4, abs=0.1)


def test_alignment_is_the_mean_power_of_distances_of_pairs():
    assert alignment([[1, 0], [0, 3]], [[2, 0], [0, 1]]) == 0
    assert alignment([[1, 0], [0, 3]], [[0, 1], [0, -1]]) == pytest.approx((2 + 4) / 2)
    assert alignment([[1, 0], [0, 3]], [[0, 1], [0, -1]], alpha=1) == pytest.approx((np.sqrt(2) + 2) / 2)


def test_the_deviation_is_0_of_one_direction_and_1_of_all():
    assert feature_std([[1, 2], [2, 4], [3, 6]]) == pytest.approx(0, abs=1e-7)
    assert feature_std([[1, 0], [-1, 0]]) == 1
    rows = RNG.normal(size=(9, 4)) + 1
    scaled = rows / np.linalg.norm(rows, axis=1, keepdims=True)
    assert feature_std(rows) == pytest.approx(np.sqrt(scaled.var(axis=0).sum()))
    assert feature_std(RNG.normal(size=(500, 64))) == pytest.approx(1, abs=0.01)


def test_neighbours_are_of_other_sources_and_most_of_them_decide():
    angles = np.radians([0, 1, 2, 3, 90, 91, 92])
    rows = np.stack([np.cos(angles), np.sin(angles)], axis=1)
    labels = ["a", "a", "a", "b", "b", "b", "b"]
    own = [str(k) for k in range(7)]
    found = knn_accuracy(rows, labels, own, k=3)
    # Each of the first four has three of them around it; the last three have each other and the fourth.
    assert found == (pytest.approx(6 / 7), pytest.approx(4 / 7), 7)
    # Of two votes each the nearer two decide: of the row at 0° those at 1° and 2°.
    assert knn_accuracy(rows[:5], ["a", "a", "a", "b", "b"], own[:5], k=4).accuracy == pytest.approx(3 / 5)
    # A film that gives all rows of a class has no neighbour in it but others'.
    films = ["x", "x", "x", "y", "y", "y", "y"]
    assert knn_accuracy(rows, labels, films, k=3).accuracy == 0


def test_rows_without_a_label_are_neither_asked_nor_neighbours():
    rows = [[1, 0], [1, 0.1], [0, 1], [0.1, 1], [1, 0.01]]
    sources = [str(k) for k in range(5)]
    assert knn_accuracy(rows, ["a", "a", "b", "b", None], sources, k=1) == (1.0, 0.5, 4)
    assert knn_accuracy(rows, ["a"] * 5, sources) is None
    assert knn_accuracy(rows, ["a", "b", None, None, None], ["one"] * 5) is None


def test_features_of_a_single_row_are_refused():
    with pytest.raises(ValueError, match=r"\(1, 3\)"):
        effective_rank([[1, 2, 3]])
