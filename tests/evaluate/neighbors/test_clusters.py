"""Items of one source are no independent evidence, whichever figure they are in."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from avssl.evaluate.core.average_precision import map_interval
from avssl.evaluate.core.rows import Context
from avssl.evaluate.core.scores import balanced_row, gain_row, majority_rows, score_row
from avssl.evaluate.core.statistics import (
    SHARE,
    accuracy_interval,
    auc_interval,
    balanced_interval,
    cluster_bootstrap,
    influence_interval,
    mcnemar,
    mean_of,
    sums_interval,
    touching,
)
from avssl.evaluate.data.labelled import Division, Labelled, hold_out, source_folds
from avssl.evaluate.localization.scoring import mean_interval
from avssl.evaluate.neighbors.protocol import Attribute, mean_distances, nearest
from avssl.evaluate.probes.probing import TrainingSet
from avssl.evaluate.transfer.keypoints import protocol as keypoint_rows

SOURCES, COPIES = 40, 5
RNG = np.random.default_rng(0)
RIGHT = (RNG.random(SOURCES) < 0.6).astype(float)
LABELS = RNG.integers(0, 3, SOURCES)
VALUES = RNG.normal(size=SOURCES)
TARGETS = (RNG.random((SOURCES, 3)) < 0.4).astype(np.int8)
SCORES = (TARGETS + RNG.normal(size=(SOURCES, 3))).astype(np.float32)
OTHERS = (TARGETS + 2 * RNG.normal(size=(SOURCES, 3))).astype(np.float32)
JOINTS = np.where(RNG.random((SOURCES, 3)) < 0.2, np.nan, (RNG.random((SOURCES, 3)) < 0.6).astype(float))
CONTEXT = Context("test", draws=100)


def labelled(targets, sources, single):
    items = np.arange(len(targets))
    return Labelled((), targets, ("a", "b", "c"), single, tuple(map(str, sources)), (Division("test", items, items),))


def row_interval(make):
    """The interval of a row of evaluated items: ``make`` takes scores, others' scores, data and indices."""

    def interval(names, each):
        row = make(each(SCORES), each(OTHERS), labelled(each(TARGETS), names, False), np.arange(len(names)))
        return row.low, row.high

    return interval


def single_interval(make):
    """The same where an item has one label."""

    def interval(names, each):
        data = labelled(np.eye(3, dtype=np.int8)[each(LABELS)], names, True)
        row = make(each(SCORES), each(OTHERS), data, np.arange(len(names)))
        return row.low, row.high

    return interval


def scored(scores, _, data, items):
    return score_row("x", scores, data, items, CONTEXT)


def gained(scores, others, data, items):
    return gain_row("x", scores, others, data, items, CONTEXT, "")


def balanced(scores, _, data, items):
    return balanced_row(score_row("x", scores, data, items, CONTEXT), scores, data, items)


INTERVALS = {
    "mean": lambda names, each: cluster_bootstrap(each(VALUES), names, draws=300),
    "median": lambda names, each: cluster_bootstrap(each(VALUES), names, np.median, draws=300),
    "sums": lambda names, each: sums_interval(
        np.stack([each(VALUES), np.ones(len(names))], 1), names, mean_of(0, 1), draws=300
    )[1:],
    "auc": lambda names, each: auc_interval(each(VALUES), each(RIGHT), names, draws=100),
    "accuracy": lambda names, each: accuracy_interval(each(RIGHT), [(name,) for name in names]),
    "balanced": lambda names, each: balanced_interval(each(RIGHT), each(LABELS), names),
    "map": lambda names, each: map_interval(each(SCORES), each(TARGETS), names, draws=100),
    "overlap of maps": lambda names, each: mean_interval(each(RIGHT) / 2 + each(LABELS) / 4, names, 300)[:2],
    "extended set": lambda names, each: cluster_bootstrap(
        np.stack([each(RIGHT), each(SCORES[:, 0])], 1),
        names,
        lambda t: t[t[:, 0] > 0, 1].mean(),
        draws=300,
        bounds=SHARE,
    ),
    "joints that are right": lambda names, each: keypoint_rows._wilson(each(JOINTS), names),
    "area of joints": lambda names, each: keypoint_rows._bootstrap(each(JOINTS), names, CONTEXT, SHARE),
    "row of map": row_interval(scored),
    "row of gain in map": row_interval(gained),
    "row of accuracy": single_interval(scored),
    "row of balanced accuracy": single_interval(balanced),
    "row of gain in accuracy": single_interval(gained),
}


@pytest.mark.parametrize("interval", INTERVALS.values(), ids=INTERVALS)
def test_five_copies_of_every_item_say_no_more_than_one_where_they_are_of_one_source(interval):
    copied = [f"{source:02d}" for source in np.repeat(np.arange(SOURCES), COPIES)]
    names = [f"{source:02d}" for source in range(SOURCES)]  # strings are ordered otherwise than numbers
    once = interval(names, lambda x: x)
    copies = interval(copied, lambda x: np.repeat(x, COPIES, axis=0))
    assert copies == pytest.approx(once, rel=1e-6, abs=1e-9)
    apart = interval(list(range(COPIES * SOURCES)), lambda x: np.repeat(x, COPIES, axis=0))
    assert apart[1] - apart[0] < 0.7 * (once[1] - once[0]), "as if they were independent it is √5 narrower"


def test_rows_count_sources_and_items():
    data = labelled(np.repeat(np.eye(3, dtype=np.int8)[LABELS], 2, axis=0), np.repeat(np.arange(SOURCES), 2), True)
    items = np.arange(10, 30)
    row = score_row("x", np.repeat(SCORES, 2, axis=0)[items], data, items, replace(CONTEXT, listed=99, seed=7), "why")
    assert (row.n, row.clusters, row.n_listed, row.n_used, row.unit) == (20, 10, 99, 20, "source")
    assert (row.seed, row.note, row.protocol, row.split) == (7, "why", "test", "test")
    right = np.repeat(SCORES, 2, axis=0)[items].argmax(1) == np.repeat(LABELS, 2)[items]
    assert row.value == pytest.approx(right.mean())
    assert row.chance == pytest.approx(np.bincount(np.repeat(LABELS, 2)[items]).max() / 20)


def test_a_row_of_sums_is_the_figure_of_all_pictures_with_its_company():
    columns = np.stack([VALUES, np.ones(SOURCES)], 1)
    context = Context("p", 3, "c")
    row = context.sums_row("n", "m", columns, [k // 4 for k in range(SOURCES)], mean_of(0, 1), note="w")
    assert row.value == pytest.approx(VALUES.mean()) and row.low < row.value < row.high
    assert (row.n, row.clusters, row.unit, row.method, row.seed) == (40, 10, "source", "bootstrap", 3)
    assert (row.name, row.metric, row.protocol, row.command, row.note, row.chance) == ("n", "m", "p", "c", "w", None)
    assert (row.n_listed, row.n_used) == (40, 40)
    whole = context.drawn_row("n", "m", 0.5, np.linspace(0, 1, 101), n=100, clusters=100, bounds=None)
    assert whole.value == 0.5 and whole.low <= 0.025 and whole.high >= 0.975


def test_a_pair_touches_the_clusters_of_both_of_its_items():
    values = np.array([1.0, 10.0, 100.0])
    assert touching(values, [0, 1, 1], [1, 2, 0], 4).tolist() == [101, 111, 10, 0]


def test_the_interval_of_influence_is_students_over_clusters():
    low, high = influence_interval(2.0, np.full(4, 0.5))
    assert (low, high) == pytest.approx((2 - 3.18245, 2 + 3.18245), abs=1e-4)  # t(3) times √(4 · 0.25)


@pytest.mark.parametrize("seed", range(4))
def test_what_parameters_are_chosen_on_holds_no_source_that_was_fitted_on(seed):
    rng = np.random.default_rng(seed)
    sources = tuple(f"s{k}" for k in rng.integers(0, 25, 90))
    targets = np.eye(3, dtype=np.int8)[rng.integers(0, 3, 90)]
    items = np.sort(rng.choice(90, 70, replace=False))
    parts = [hold_out(items, targets, sources, seed=seed), *source_folds(items, targets, sources, 4, seed)]
    data = Labelled((), targets, ("a", "b", "c"), True, sources, (Division("test", items, items),))
    halves = TrainingSet(rng.normal(size=(70, 1, 2)).astype(np.float32), data, items, seed).split()
    parts.append((halves[0].items, halves[1].items))
    for rest, held in parts:
        assert len(rest) and len(held)
        assert not {sources[i] for i in rest} & {sources[i] for i in held}
        assert sorted([*rest, *held]) == items.tolist()
    folds = [set(fold.tolist()) for _, fold in parts[1:-1]]
    assert sum(map(len, folds)) == 70 and set().union(*folds) == set(items.tolist())


def test_random_items_and_neighbours_are_of_other_sources():
    values = np.array([[0.0], [1.0], [5.0], [5.5], [9.0]])
    sources = ["a", "a", "b", "b", "c"]
    distances = mean_distances(Attribute("x", values), sources)
    expected = [
        np.mean([abs(values[i, 0] - values[j, 0]) for j in range(5) if sources[j] != sources[i]]) for i in range(5)
    ]
    assert distances == pytest.approx(expected)
    angles = values[:, 0] / 10
    found = nearest(np.stack([np.cos(angles), np.sin(angles)], 1).astype(np.float32), sources, 2)
    assert found.indices.tolist() == [[2, 4], [2, 4], [1, 4], [4, 1], [3, 1]]


@pytest.mark.parametrize("single", [True, False])
def test_a_gain_is_the_first_figure_minus_the_second_on_the_same_items(single):
    data = labelled(np.eye(3, dtype=np.int8)[LABELS] if single else TARGETS, range(SOURCES), single)
    items = np.arange(5, 38)
    ours, theirs = SCORES[items], OTHERS[items]
    context = replace(CONTEXT, listed=77, seed=2, command="c")
    row = gain_row("gain", ours, theirs, data, items, context, "note")
    parts = [score_row("x", some, data, items, context).value for some in (ours, theirs)]
    assert row.value == pytest.approx(parts[0] - parts[1]) and row.low <= row.value <= row.high
    back = gain_row("gain", theirs, ours, data, items, context, "note")
    assert (back.value, back.low, back.high) == pytest.approx((-row.value, -row.high, -row.low), abs=0.02)
    assert (row.n, row.clusters, row.n_listed, row.n_used, row.chance) == (33, 33, 77, 33, 0.0)
    assert gain_row("gain", ours, theirs, data, items, CONTEXT, "").n_listed == 33
    assert (row.seed, row.command, row.protocol, row.unit, row.method) == (2, "c", "test", "source", "bootstrap")
    assert row.metric == ("accuracy-difference" if single else "map-envelope-difference")
    if single:
        a, b = (some.argmax(1) == LABELS[items] for some in (ours, theirs))
        p = mcnemar(int((a & ~b).sum()), int((~a & b).sum()))
        assert row.note == f"note; McNemar p = {p:.2g}"
        assert mcnemar(int((~a & b).sum()), int((a & ~b).sum())) == p
    else:
        assert row.note == "note"
    same = gain_row("gain", ours, ours, data, items, context, "")
    assert same.value == 0 and same.low < 0 < same.high, "that nothing differed is no certainty"


def test_chance_of_several_labels_is_that_of_shuffled_scores():
    data = labelled(TARGETS, range(SOURCES), False)
    items = np.arange(SOURCES)
    found = score_row("x", SCORES, data, items, CONTEXT).chance
    assert found == pytest.approx(TARGETS.mean(), abs=0.12)
    assert found == score_row("y", OTHERS, data, items, CONTEXT).chance, "the same for all"
    assert found != score_row("x", SCORES, data, items, replace(CONTEXT, seed=1)).chance


def test_the_majority_is_that_of_what_is_learned_from():
    targets = np.eye(3, dtype=np.int8)[[0, 0, 0, 1, 1, 2, 2, 2, 2, 1]]
    train, test = np.arange(5), np.arange(5, 10)
    data = replace(labelled(targets, range(10), True), divisions=(Division("test", train, test),))
    accuracy, balanced = majority_rows(data, CONTEXT)
    assert (accuracy.name, accuracy.metric, accuracy.value) == ("majority", "accuracy", 0.0), "of the train part 0"
    assert accuracy.chance == pytest.approx(4 / 5) and balanced.chance == pytest.approx(1 / 2)
    turned = replace(data, divisions=(Division("a", test, train), Division("b", train, test)))
    assert majority_rows(turned, CONTEXT)[0].n == 10 and majority_rows(turned, CONTEXT)[0].value == 0.0
    assert majority_rows(labelled(TARGETS, range(SOURCES), False), CONTEXT) == []
