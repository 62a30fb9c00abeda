"""The metrics of localization: hand-computed cases, a slow reference, and what must hold of any map."""

from __future__ import annotations

import numpy as np
import pytest
import slow_reference as slow
from hypothesis import given, settings
from hypothesis import strategies as st

from avssl.evaluate.core import statistics
from avssl.evaluate.localization import metrics
from avssl.evaluate.localization.metrics import CODE_BARS

GRID = np.arange(16, 0, -1, dtype=float).reshape(4, 4)
TRUTH = np.zeros((4, 4))
TRUTH[:2, :2] = 1


def mask(rows: int, columns: int, top: int = 0) -> np.ndarray:
    made = np.zeros((4, 4), bool)
    made[top : top + rows, :columns] = True
    return made


def test_the_rules_select_what_was_counted_by_hand() -> None:
    cases = [
        (metrics.half(GRID), 8, 4 / 8),
        (metrics.half_strict(GRID), 7, 4 / 7),
        (metrics.adaptive(GRID, TRUTH), 3, 2 / 5),
        (metrics.topk_exact(GRID, 4), 4, 2 / 6),
    ]
    for predicted, size, value in cases:
        assert predicted.sum() == size
        assert metrics.ciou(predicted, TRUTH) == pytest.approx(value)


def test_a_perfect_binary_mask_is_what_the_published_ties_make_of_it() -> None:
    found = [
        metrics.ciou(metrics.half(TRUTH), TRUTH),
        metrics.ciou(metrics.half_strict(TRUTH), TRUTH),
        metrics.ciou(metrics.adaptive(TRUTH, TRUTH), TRUTH),
        metrics.ciou(metrics.topk_exact(TRUTH, 4), TRUTH),
    ]
    assert found == pytest.approx([0.25, 1.0, 0.0, 1.0])


def test_consensus_of_three_annotators_weighs_lone_boxes_one_half() -> None:
    g = metrics.consensus([mask(2, 2), mask(2, 3), mask(2, 2, top=1)], 4)
    assert g.tolist() == [[1, 1, 0.5, 0], [1, 1, 0.5, 0], [0.5, 0.5, 0, 0], [0, 0, 0, 0]]
    found = [
        metrics.ciou(metrics.half(GRID), g),
        metrics.ciou(metrics.half_strict(GRID), g),
        metrics.ciou(np.ones((4, 4), bool), g),
        metrics.ciou(g > 0, g),
        metrics.ciou(g == 1, g),
    ]
    assert found == pytest.approx([5 / 8, 5 / 7, 6 / 14, 1, 4 / 6])


def test_the_area_under_the_success_curve_is_that_of_the_examples() -> None:
    assert metrics.auc([1, 0.5, 0]) == pytest.approx(0.516667, abs=1e-6)
    assert metrics.auc([np.nan, 1]) == pytest.approx(0.5)
    assert metrics.auc([0.0]) == pytest.approx(0.025)
    assert metrics.auc([0.15]) == pytest.approx(0.175)
    assert metrics.auc([0.15], CODE_BARS) == pytest.approx(0.125), "0.05·3 lies above 0.15"


def test_an_extended_set_is_counted_as_by_hand() -> None:
    b, c, q = (1, 1, 0, 1, 0, 2), (0.8, 0.3, 0, 0.6, 0, 0.5), (0.9, 0.8, 0.7, 0.6, 0.3, 0.2)
    there = np.array(b) > 0
    expected = {0.9: (1, 0, 3), 0.8: (1, 1, 2), 0.7: (1, 2, 2), 0.6: (2, 2, 1), 0.3: (2, 3, 1), 0.2: (3, 3, 0)}
    assert {bar: metrics.counts_at(there, c, q, bar) for bar in expected} == expected
    assert metrics.extended_ap(there, c, q) == pytest.approx(1 / 3)
    assert metrics.extended_max_f1(there, c, q) == pytest.approx(2 / 3)
    assert metrics.success(np.array(c)[there]) == 0.75


def test_predicted_areas_of_negatives_are_those_of_the_examples() -> None:
    m = np.array([[0.7, 0.6, 0.5], [0.4, 0.3, 0.2], [0.1, 0, 0]])
    assert metrics.predicted_area(m, 0.5) == pytest.approx(2 / 9)
    assert metrics.auc_of_areas([0, 0.1, 0.5, 1]) == pytest.approx(0.61875)
    assert metrics.auc_of_areas([1.0]) == pytest.approx(0.025)


def test_a_picture_succeeds_only_if_all_its_entries_do() -> None:
    worst = metrics.worst_of_groups([0.9, 0.4, 0.6, 0.7], ["a", "a", "b", "b"])
    assert worst.tolist() == [0.4, 0.6]
    assert metrics.success(worst) == 0.5


def test_boxes_are_clipped_then_truncated_and_never_swapped() -> None:
    assert metrics.rasterise((-0.5, 0.0, 0.5, 2.0), 4).sum() == 8
    assert metrics.rasterise((0.6, 0.0, 0.4, 1.0), 4).sum() == 0
    assert metrics.rasterise((0.1, 0.1, -28823037615171176.0, 0.5), 224).sum() == 0
    assert metrics.rasterise((47.0, 99.0, 154.0, 185.0), 224, 224).sum() == (154 - 47) * (185 - 99)
    assert metrics.rasterise((0, 0, 256, 128), 224, 256).sum() == 224 * 112


def test_nothing_to_hit_is_no_hit_and_no_miss() -> None:
    assert metrics.pointing(GRID, np.zeros((4, 4))) is None
    assert metrics.ciou(np.zeros((4, 4), bool), np.zeros((4, 4))) == 0.0
    assert metrics.ciou(np.ones((4, 4), bool), np.zeros((4, 4))) == 0.0


def test_a_map_coarser_than_the_truth_is_refused_with_the_way_out() -> None:
    with pytest.raises(ValueError, match=r"\(14, 14\) and the truth \(224, 224\); enlarge the map"):
        metrics.ciou(np.ones((14, 14), bool), np.ones((224, 224)))


def test_a_map_that_is_not_finite_is_refused() -> None:
    for bad in (np.nan, np.inf):
        m = GRID.copy()
        m[1, 1] = bad
        for rule in (metrics.half, metrics.half_strict, metrics.peak, lambda m: metrics.topk_exact(m, 3)):
            with pytest.raises(ValueError, match="finite"):
                rule(m)


def test_a_constant_map_is_all_ties() -> None:
    m = np.full((4, 4), 0.3)
    assert metrics.half(m).all()
    assert not metrics.half_strict(m).any()
    assert not metrics.adaptive(m, TRUTH).any()
    assert np.flatnonzero(metrics.topk_exact(m, 5)).tolist() == [0, 1, 2, 3, 4]
    assert metrics.tied_share(m, 5) == 1.0


@pytest.mark.parametrize("levels", [3, 1000])
def test_the_metrics_agree_with_a_slow_reference_on_random_maps(levels: int) -> None:
    rng = np.random.default_rng(levels)
    for _ in range(150):
        h, w = rng.integers(2, 9, 2)
        m = rng.integers(0, levels, (h, w)).astype(float)
        g = rng.choice([0.0, 0.0, 0.5, 1.0], (h, w))
        k = int(rng.integers(1, h * w + 1))
        plain, truth = m.tolist(), g.tolist()
        pairs = [
            (metrics.half(m), slow.half(plain)),
            (metrics.half_strict(m), slow.half_strict(plain)),
            (metrics.adaptive(m, g), slow.adaptive(plain, truth)),
            (metrics.topk_exact(m, k), slow.topk(plain, k)),
        ]
        for fast, reference in pairs:
            assert set(map(tuple, np.argwhere(fast).tolist())) == reference
            assert metrics.ciou(fast, g) == pytest.approx(slow.ciou(reference, truth))
        assert metrics.pointing(m, g) == slow.pointing(plain, truth)


shares = st.lists(st.floats(0, 1), min_size=1, max_size=20)


@given(values=shares, seed=st.integers(0, 99))
@settings(max_examples=60, deadline=None)
def test_figures_do_not_depend_on_the_order_of_pictures(values: list[float], seed: int) -> None:
    shuffled = np.random.default_rng(seed).permutation(values)
    assert metrics.auc(values) == pytest.approx(metrics.auc(shuffled))
    assert metrics.auc(values) == pytest.approx(slow.auc(values))
    assert metrics.success(values) == metrics.success(shuffled)


def test_the_area_under_roc_is_the_share_of_pairs_in_order() -> None:
    positive, scores = [1, 0, 1, 0, 0], [0.9, 0.5, 0.5, 0.4, 0.95]
    pairs = [(a > b) + (a == b) / 2 for a in (0.9, 0.5) for b in (0.5, 0.4, 0.95)]
    assert statistics.auc(scores, positive) == pytest.approx(np.mean(pairs))


def test_a_threshold_itself_is_in_or_out_as_the_evaluator_has_it() -> None:
    m = np.array([[0.2, 0.5, 0.8]])
    assert metrics.absolute(m, 0.5).tolist() == [[False, True, True]]
    assert metrics.absolute(m, 0.5, strict=True).tolist() == [[False, False, True]]


@pytest.mark.parametrize("k", range(11))
def test_the_share_of_ties_is_of_those_among_which_the_cut_falls(k: int) -> None:
    m = np.array([[9.0, 7, 7, 7, 5], [4, 4, 3, 2, 1]])
    tied = {2: 0.3, 3: 0.3, 6: 0.2}  # one or two of the three sevens, one of the two fours
    assert metrics.tied_share(m, k) == pytest.approx(tied.get(k, 0.0))


@pytest.mark.parametrize("cells", [1, 3, 4, 5, 8, 9])
def test_confidence_is_the_mean_of_the_largest_quarter_rounded_up(cells: int) -> None:
    values = np.random.default_rng(cells).random(cells)
    largest = sorted(values, reverse=True)[: -(-cells // 4)]
    assert metrics.confidence(values[None]) == pytest.approx(np.mean(largest))


def test_small_figures_by_hand() -> None:
    assert metrics.harmonic_mean(0.5, 1.0) == pytest.approx(2 / 3)
    assert metrics.harmonic_mean(0.0, 0.0) == metrics.harmonic_mean(0.0, 1.0) == 0.0
    assert metrics.area(np.array([[0.0, 0.5], [1.0, -1.0]])) == 2
    assert metrics.is_constant(np.full((2, 2), -3.0)) and not metrics.is_constant(GRID)
    assert metrics.union([mask(1, 2), mask(2, 1)], 4).sum() == 3
    assert metrics.union([mask(1, 2), mask(1, 2)], 4).max() == 1
    assert metrics.peak(np.array([[1.0, 5.0], [5.0, 2.0]])) == (0, 1)
    assert np.isnan(statistics.auc([0.1, 0.2], [1, 1])) and np.isnan(statistics.auc([0.1, 0.2], [0, 0]))
    assert metrics.success([0.5, 0.4999, np.nan, 0.9]) == 0.5
    assert metrics.success([0.3, 0.2], 0.25) == 0.5


def test_the_truth_is_a_box_of_this_place_and_no_other() -> None:
    drawn = metrics.rasterise((0.25, 0.5, 0.75, 1.0), 8)
    expected = [[y >= 4 and 2 <= x < 6 for x in range(8)] for y in range(8)]
    assert drawn.tolist() == expected


def test_a_coarse_map_points_at_the_middle_of_its_cell() -> None:
    m = np.array([[0.0, 0.0], [0.0, 1.0]])
    for y in range(8):
        for x in range(8):
            g = np.zeros((8, 8))
            g[y, x] = 0.5
            assert metrics.pointing(m, g) is ((y, x) == (6, 6))


@pytest.mark.parametrize("count", [7, 25, 199, 450])
def test_an_extended_set_is_walked_in_steps_from_the_surest_but_one(count: int) -> None:
    rng = np.random.default_rng(count)
    there, c, q = rng.random(count) < 0.6, rng.random(count), rng.permutation(count) / count

    def at(bar: float) -> tuple[float, float]:
        true, false, missed = 0, 0, 0
        for positive, overlap, sure in zip(there, c, q, strict=True):
            if sure >= bar:
                true += bool(positive and overlap >= 0.5)
                false += bool(not positive or overlap < 0.5)
            else:
                missed += bool(positive)
        return (true / (true + false) if true + false else 1.0, true / (true + missed) if true + missed else 1.0)

    falling = sorted(q, reverse=True)[1:]
    curve = [at(bar) for bar in falling[:: max(1, count // 200)]]
    monotone = [max(precision for precision, _ in curve[i:]) for i in range(len(curve))]
    area = sum(monotone[i] * (curve[i + 1][1] - curve[i][1]) for i in range(len(curve) - 1))
    assert metrics.extended_ap(there, c, q) == pytest.approx(area)
    rising = sorted(q)[:: max(1, count // 10)]
    best = max(2 * p * r / (p + r) if p + r else 0.0 for p, r in map(at, rising))
    assert metrics.extended_max_f1(there, c, q) == pytest.approx(best)


def test_without_a_truth_the_adaptive_rule_takes_half() -> None:
    nothing = np.zeros((4, 4))
    assert np.array_equal(metrics.adaptive(GRID, nothing), metrics.half_strict(GRID))


@pytest.mark.parametrize("levels", [2, 3, 5, 1000])
def test_ties_of_any_number_count_half_under_roc(levels: int) -> None:
    rng = np.random.default_rng(levels)
    positive, scores = rng.random(40) < 0.4, rng.integers(0, levels, 40)
    pairs = [(a > b) + (a == b) / 2 for a in scores[positive] for b in scores[~positive]]
    assert statistics.auc(scores, positive) == pytest.approx(np.mean(pairs))
