"""Intervals and tests against values worked out by hand."""

from __future__ import annotations

import os
import subprocess
import sys

import numpy as np
import pytest

from avssl.evaluate.core.statistics import (
    DIFFERENCE,
    FEW,
    SHARE,
    accuracy_interval,
    auc,
    auc_interval,
    balanced_interval,
    cluster_bootstrap,
    few_interval,
    influence_interval,
    interval_of_draws,
    mcnemar,
    sums_interval,
    t_interval,
    widened,
    wilson,
)


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
    # Forty sources of ten puzzles each, all right or all wrong: the interval is that of forty.
    correct = np.repeat(np.arange(40) % 2, 10)
    low, high = accuracy_interval(correct, [(str(i // 10),) for i in range(400)])
    assert (low, high) == pytest.approx(wilson(20, 40), abs=1e-9)


def test_below_thirty_sources_an_interval_reaches_as_far_as_students():
    # Ten sources, half of them right: an error of √(0.25 / 10) · 10 / 9, times t(9) = 2.2621572.
    correct = np.repeat(np.arange(10) % 2, 10)
    names = [str(i // 10) for i in range(100)]
    reach = 2.2621572 * np.sqrt(0.25 / 10) * 10 / 9
    assert accuracy_interval(correct, [(name,) for name in names]) == pytest.approx((0.5 - reach, 0.5 + reach))
    assert cluster_bootstrap(correct, names, draws=20_000) == pytest.approx((0.5 - reach, 0.5 + reach), abs=0.01)
    assert few_interval(0.5, 0.1, 5) == pytest.approx((0.5 - 2.776445 * 0.125, 0.5 + 2.776445 * 0.125))
    # Near its end a share's interval is longer on the other side, and stays within.
    low, high = few_interval(0.95, 0.03, 10, SHARE)
    assert low < 0.95 - 2.2621572 * 0.03 * 10 / 9 and high == 1.0
    many = np.random.default_rng(3).normal(size=30)
    drawn = np.random.default_rng(4).choice(many, (20_000, 30)).mean(1)
    assert cluster_bootstrap(many, range(30), draws=20_000)[1] == pytest.approx(np.percentile(drawn, 97.5), abs=0.01)


def test_where_all_sources_agree_the_interval_says_how_many_may_differ():
    names = [str(i // 100) for i in range(1000)]
    assert accuracy_interval(np.ones(1000), [(name,) for name in names]) == pytest.approx(wilson(10, 10))
    assert cluster_bootstrap(np.zeros(1000), names, bounds=SHARE) == pytest.approx(wilson(0, 10))
    assert cluster_bootstrap(np.zeros(1000), names, bounds=DIFFERENCE) == pytest.approx(
        (-wilson(0, 10)[1], wilson(0, 10)[1])
    )
    assert auc_interval([0.1, 0.2, 0.8, 0.9] * 5, [0, 0, 1, 1] * 5, np.repeat(range(5), 4)) == pytest.approx(
        wilson(5, 5)
    )
    assert influence_interval(1.0, np.zeros(8), SHARE) == pytest.approx(wilson(8, 8))
    low, high = accuracy_interval(np.ones(50), [("one",)] * 50)
    assert (low, high) == (0, 1)  # of one source nothing follows for others
    assert np.isnan(cluster_bootstrap([3.0, 4.0], ["one", "one"])).all()


def test_balanced_accuracy_knows_how_few_items_a_class_has():
    # 36 right cats and 4 wrong dogs: Wilson of 36 of 36 and of 0 of 4, halved and added in squares.
    right = np.arange(40) < 36
    cats, dogs = wilson(36, 36), wilson(0, 4)
    assert balanced_interval(right, right, range(40)) == pytest.approx((0.5 - (1 - cats[0]) / 2, 0.5 + dogs[1] / 2))
    # The same of ten sources: the dogs are of one.
    assert balanced_interval(right, right, np.arange(40) // 4)[1] == pytest.approx(0.5 + wilson(0, 1)[1] / 2)


def _shares(rng, sources):
    """Of 20 items a source, right ones; sources differ: their own share of right ones is drawn."""
    return (rng.random((sources, 20)) < rng.beta(4, 2, (sources, 1))).astype(float)


def _names(sources):
    return [str(i // 20) for i in range(20 * sources)]


def _accuracy(rng, sources):
    return accuracy_interval(_shares(rng, sources).ravel(), [(name,) for name in _names(sources)])


def _pairs(rng, sources):
    # Half positives (one source), half negatives (two); each source has a taste of its own.
    frame = rng.integers(sources, size=100)
    sound = np.where(rng.random(100) < 0.5, frame, (frame + rng.integers(1, sources, size=100)) % sources)
    taste = rng.normal(0, 1, (2, sources))
    sign = np.where(frame == sound, 1, -1)
    right = rng.random(100) < 1 / (1 + np.exp(-sign * (taste[0, frame] + taste[1, sound])))
    return accuracy_interval(right, list(zip(map(str, frame), map(str, sound), strict=True)))


def _mean(rng, sources):
    return cluster_bootstrap(_shares(rng, sources).ravel(), _names(sources), draws=200, bounds=SHARE)


def _difference(rng, sources):
    difference = (_shares(rng, sources) - _shares(rng, sources)).ravel()
    return cluster_bootstrap(difference, _names(sources), draws=200, bounds=DIFFERENCE)


def _ratio(rng, sources):
    # As the means over the pixels of pictures of several sizes are.
    sizes = rng.integers(10, 40, sources).astype(float)
    columns = np.stack([rng.beta(4, 2, sources) * sizes, sizes], axis=1)
    return sums_interval(columns, range(sources), lambda s: s[:, 0] / s[:, 1], draws=200, bounds=SHARE)[1:]


def _median(rng, sources):
    return cluster_bootstrap(rng.normal(size=sources), range(sources), lambda x: float(np.median(x)), draws=60)


def _auc(rng, sources):
    # Scores of the two classes are one apart with a variance of 1.25 each: AUC = Φ(1 / √2.5).
    truth = np.arange(10 * sources) % 2
    scores = rng.normal(size=len(truth)) + truth + np.repeat(rng.normal(0, 0.5, sources), 10)
    return auc_interval(scores, truth, [str(i // 10) for i in range(len(truth))], draws=60)


def _balanced(rng, sources):
    # The sources take turns among two classes.
    labels = np.repeat(np.arange(sources) % 2, 20)
    return balanced_interval(_shares(rng, sources).ravel(), labels, _names(sources))


@pytest.mark.parametrize("sources", [5, 10, 20])
@pytest.mark.parametrize(
    ("interval", "truth", "trials"),
    [
        (_accuracy, 2 / 3, 500),
        (_pairs, 0.5, 200),
        (_balanced, 2 / 3, 500),
        (_mean, 2 / 3, 500),
        (_difference, 0.0, 500),
        (_ratio, 2 / 3, 1000),
        (_median, 0.0, 200),
        (_auc, 0.7365, 200),
    ],
)
def test_intervals_of_few_sources_cover_the_truth_at_least_94_times_in_100(sources, interval, truth, trials):
    rng = np.random.default_rng(100 + sources)
    ends = [interval(rng, sources) for _ in range(trials)]
    assert np.mean([low <= truth <= high for low, high in ends]) >= 0.94


@pytest.mark.parametrize("clusters", [FEW, FEW + 1, 100])
def test_from_thirty_sources_on_an_interval_is_that_of_the_draws_and_below_it_is_wider(clusters):
    drawn = np.random.default_rng(0).normal(0.5, 0.1, 400)
    low, high = np.percentile(drawn, [2.5, 97.5])
    assert interval_of_draws(0.5, drawn, clusters) == pytest.approx((low, high))
    few = interval_of_draws(0.5, drawn, FEW - 1)
    assert few[0] < low and few[1] > high
    with_nan = np.append(drawn, [np.nan] * 9)
    assert interval_of_draws(0.5, with_nan, clusters) == pytest.approx((low, high)), (
        "draws without a figure are left out"
    )
    assert np.isnan(interval_of_draws(np.nan, drawn, clusters)).all() and np.isnan(interval_of_draws(0.5, [], 9)).all()


def test_intervals_stay_within_what_is_possible():
    drawn = np.random.default_rng(0).normal(0.9, 0.2, 400)
    assert interval_of_draws(0.9, drawn, 50, (0.0, 1.0))[1] == 1.0
    assert interval_of_draws(0.9, drawn, 50)[1] > 1.0
    assert interval_of_draws(0.9, drawn, 1, (0.0, 1.0)) == (0.0, 1.0), "one source tells nothing"
    assert interval_of_draws(0.5, [0.5] * 9, 50) == (0.5, 0.5)
    low, high = interval_of_draws(0.5, [0.5] * 9, 50, (0.0, 1.0))
    assert 0.4 < low < 0.5 < high < 0.6, "as many may differ as 50 that agree allow"


def test_independent_reasons_to_vary_add_as_squares():
    assert widened(1.0, (1.0, 0.7, 1.3), (5.0, 4.6, 5.4)) == pytest.approx((0.5, 1.5))
    assert widened(0.0, (0.0, -0.1, 0.3)) == pytest.approx((-0.1, 0.3))


@pytest.mark.parametrize("levels", [2, 4, 1000])
def test_the_area_under_roc_is_the_share_of_pairs_in_order_ties_counting_half(levels):
    rng = np.random.default_rng(levels)
    scores, truth = rng.integers(0, levels, 60), rng.random(60) < 0.3
    pairs = [(a > b) + (a == b) / 2 for a in scores[truth] for b in scores[~truth]]
    assert auc(scores, truth) == pytest.approx(np.mean(pairs))
    assert np.isnan(auc(scores, np.ones(60))) and np.isnan(auc(scores, np.zeros(60)))
    assert auc_interval(scores, np.ones(60), range(60)) == (0.0, 1.0)
    low, high = auc_interval(scores, truth, range(60), draws=200)
    assert 0 <= low < auc(scores, truth) < high <= 1


def test_the_interval_is_the_same_in_every_process_however_names_are_hashed():
    script = (
        "import numpy as np; from avssl.evaluate.core.statistics import accuracy_interval as interval\n"
        "rng = np.random.default_rng(1)\n"
        "pairs = [(f'a{i}', f'b{j}') for i, j in rng.integers(12, size=(200, 2))]\n"
        "print(*(repr(end) for end in interval(rng.random(200) < 0.6, pairs)))"
    )
    found = {
        subprocess.run([sys.executable, "-c", script], check=True, capture_output=True, text=True, env=env).stdout
        for env in ({**os.environ, "PYTHONHASHSEED": str(seed)} for seed in range(6))
    }
    assert len(found) == 1
