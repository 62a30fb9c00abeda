"""The three average precisions by hand and as scikit-learn has it."""

from __future__ import annotations

import math

import numpy as np
import pytest
from sklearn.metrics import average_precision_score

from avssl.evaluate.core.average_precision import (
    average_precision,
    class_precisions,
    map_interval,
    mean_average_precision,
)
from avssl.evaluate.core.statistics import wilson


@pytest.mark.parametrize(
    ("truth", "kind", "value"),
    [
        ((0, 1, 1, 0, 1, 0), "eleven-point", 0.6424),
        ((0, 1, 1, 0, 1, 0), "envelope", 0.6444),
        ((0, 1, 1, 0, 1, 0), "step", 0.5889),
        ((1, 0, 1, 0), "eleven-point", 0.8485),
        ((1, 0, 1, 0), "envelope", 0.8333),
        ((1, 0, 1, 0), "step", 0.8333),
        ((1, 1, 0), "eleven-point", 1.0),
        ((0, 1), "step", 0.5),  # the last of all is a positive
        ((1, 0, 1), "step", 0.8333),
        ((1, 0, 1), "envelope", 0.8333),
        ((1, 0, 1), "eleven-point", 0.8485),
    ],
)
def test_by_hand(truth, kind, value):
    assert average_precision(-np.arange(len(truth)), truth, kind) == pytest.approx(value, abs=5e-5)


def test_the_step_is_that_of_scikit_learn_ties_included():
    rng = np.random.default_rng(0)
    scores, truth, weights = rng.integers(0, 9, 300) / 3, rng.random(300) < 0.2, rng.integers(0, 4, 300)
    assert average_precision(scores, truth, "step") == pytest.approx(average_precision_score(truth, scores))
    weighted = average_precision_score(truth, scores, sample_weight=weights)
    assert average_precision(scores, truth, "step", weights) == pytest.approx(weighted)


def test_a_ranking_that_knows_nothing_has_the_prevalence():
    truth = np.array([1, 0, 0, 0])
    assert all(average_precision(np.zeros(4), truth, kind) == 0.25 for kind in ("step", "envelope", "eleven-point"))


def test_a_class_without_positives_has_none_and_difficult_items_do_not_count():
    scores = np.array([[0.9, 0.1], [0.8, 0.2], [0.7, 0.3]])
    targets = np.array([[-1, 0], [1, 0], [0, 0]], np.int8)
    first, second = class_precisions(scores, targets)
    assert first == 1.0
    assert math.isnan(second)
    assert mean_average_precision(scores, targets) == 1.0


def test_the_interval_holds_the_figure_and_is_that_of_the_whole_figure():
    rng = np.random.default_rng(1)
    targets = (rng.random((120, 3)) < 0.3).astype(np.int8)
    scores = targets + rng.normal(size=(120, 3))
    low, high = map_interval(scores, targets, range(120), draws=200)
    assert low < mean_average_precision(scores, targets) < high
    assert 0.05 < high - low < 0.35
    assert map_interval(targets.astype(float), targets, range(120), draws=50) == pytest.approx(wilson(120, 120))


@pytest.mark.parametrize("kind", ["step", "envelope", "eleven-point"])
def test_five_copies_of_every_item_say_no_more_than_one_where_copies_are_of_one_source(kind):
    rng = np.random.default_rng(3)
    targets = (rng.random((40, 3)) < 0.4).astype(np.int8)
    scores = targets + rng.normal(size=(40, 3))
    once = map_interval(scores, targets, range(40), kind, draws=60)
    copies = [np.repeat(x, 5, axis=0) for x in (scores, targets, np.arange(40))]
    assert map_interval(*copies, kind, draws=60) == pytest.approx(once), "the same clusters, the same draws"
    low, high = map_interval(*copies[:2], range(200), kind, draws=60)
    assert high - low < 0.7 * (once[1] - once[0]), "as if they were independent, the interval would be √5 narrower"
