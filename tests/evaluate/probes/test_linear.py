"""Linear probes, SVMs and few labels: as scikit-learn solves them, at chance where there is nothing to learn."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from sklearn.linear_model import LogisticRegression
from sklearn.preprocessing import StandardScaler
from sklearn.svm import LinearSVC

import avssl
from avssl.evaluate.core.result_charts import draw_depth
from avssl.evaluate.core.rows import Context
from avssl.evaluate.data.labelled import Division, Labelled
from avssl.evaluate.probes.linear import Linear, Scale, fit_logistic
from avssl.evaluate.probes.probing import Encoded, probe_all
from avssl.evaluate.probes.svm import PUBLISHED_COSTS, SVM, LowShotChoices, in_span, low_shot, svm_scores


class Made:
    """Features of two stages: classes are apart in the first, and hardly in the second."""

    stages = ("conv1", "conv2")

    def __init__(self, targets: np.ndarray, apart: float, numbers: int = 10) -> None:
        rng = np.random.default_rng(0)
        centres = rng.normal(size=(targets.shape[1], numbers))
        noise = rng.normal(size=(len(targets), 1, numbers))
        signal = (targets @ centres)[:, None]
        self._arrays = {name: (noise + s * signal).astype(np.float32) for name, s in (("conv1", apart), ("conv2", 0.1))}

    def stage(self, name: str) -> np.ndarray:
        return self._arrays[name]


def _data(items: int = 240, classes: int = 3, single: bool = True) -> Labelled:
    rng = np.random.default_rng(3)
    targets = np.eye(classes, dtype=np.int8)[rng.integers(0, classes, items)]
    if not single:
        targets |= (rng.random(targets.shape) < 0.2).astype(np.int8)
    names = tuple("abcdefgh"[:classes])
    division = Division("test", np.arange(items * 2 // 3), np.arange(items * 2 // 3, items))
    return Labelled((), targets, names, single, tuple(map(str, range(items))), (division,))


def _encoded(data: Labelled) -> list[Encoded]:
    return [Encoded("trained", [Made(data.targets, 2.0)]), Encoded("random", [Made(data.targets, 0.5)])]


def _rows(rows):
    return {row.name: row for row in rows}


@pytest.mark.parametrize("single", [True, False])
def test_the_classifier_is_that_of_scikit_learn(single):
    data = _data(single=single)
    x = Made(data.targets, 1.0).stage("conv1")
    penalty, n, numbers = 1e-2, len(x), x.shape[2]
    ours = fit_logistic(Scale.of(x)(x), torch.from_numpy(data.targets), penalty, single, iterations=500)
    rows = StandardScaler().fit_transform(x[:, 0]) / np.sqrt(numbers)
    solver = LogisticRegression(C=1 / (n * penalty), tol=1e-8, max_iter=2000)
    if single:
        theirs = solver.fit(rows, data.labels).coef_
        np.testing.assert_allclose(ours.weight.numpy(), theirs, atol=2e-3)
        return
    for k in range(data.targets.shape[1]):
        np.testing.assert_allclose(ours.weight[k].numpy(), solver.fit(rows, data.targets[:, k]).coef_[0], atol=2e-3)


@pytest.mark.parametrize("single", [True, False])
@pytest.mark.parametrize("probe", [Linear(iterations=30), SVM((0.1, 1.0))], ids=["linear", "svm"])
def test_what_can_be_read_off_is_read_off_and_the_rest_is_at_chance(probe, single, tmp_path):
    data = _data(single=single)
    rows = probe_all(_encoded(data), data, probe, Context("test", draws=200))
    named = _rows(rows)
    assert named["trained/conv1"].value > 0.9
    assert named["trained"].value == named["trained/conv1"].value
    assert named["trained"].note.startswith("conv1, the best on held-out")
    assert named["gain"].low > 0
    assert named["drop"].low > 0
    assert named["shuffled-labels"].holds_chance
    prevalence = data.targets[160:].mean()
    assert named["trained"].chance == 1 / 3 if single else prevalence < named["trained"].chance < prevalence + 0.1
    assert ("majority" in named) == single
    assert draw_depth(rows, tmp_path / "depth.png", "depth")
    assert (tmp_path / "depth.png").stat().st_size > 5000


def test_folds_are_evaluated_together():
    data = _data()
    thirds = np.array_split(np.arange(240), 3)
    divisions = tuple(Division(str(k), np.setdiff1d(np.arange(240), third), third) for k, third in enumerate(thirds))
    data = replace(data, divisions=divisions)
    named = _rows(probe_all(_encoded(data), data, Linear(iterations=30), Context("test", draws=200)))
    assert named["trained"].n == 240
    assert "; folds 0.9" in named["trained"].note


def test_too_little_to_choose_on_is_reported():
    data = _data(items=9)
    first = np.unique(data.labels, return_index=True)[1]
    data = replace(data, divisions=(Division("test", first, np.setdiff1d(np.arange(9), first)),))
    with pytest.raises(avssl.UserError, match="too few to choose on"):
        probe_all(_encoded(data), data, Linear(), Context("test", draws=200))


def test_one_svm_is_that_of_scikit_learn_also_within_the_span():
    rng = np.random.default_rng(0)
    known, asked = (rng.normal(size=(n, 200)).astype(np.float32) for n in (30, 20))
    positive = rng.random(30) < 0.4
    theirs = LinearSVC(C=0.5, class_weight={True: 2, False: 1}, tol=1e-8, max_iter=20000).fit(known, positive)
    near, far = in_span(known, asked)
    assert near.shape == (30, 30)
    np.testing.assert_allclose(svm_scores(near, positive, far, 0.5), theirs.decision_function(asked), atol=5e-3)


def test_the_published_costs_are_twenty_six():
    assert len(PUBLISHED_COSTS) == 26
    assert min(PUBLISHED_COSTS) == 1e-7
    assert max(PUBLISHED_COSTS) == 100


@pytest.mark.parametrize("single", [True, False])
def test_more_labels_teach_more_and_samples_are_shared(single):
    data = _data(single=single)
    choices = LowShotChoices((1, 8, 32, 1000), samples=3)
    rows = low_shot(_encoded(data), data, choices, Context("test", draws=200), stages=("conv1",))
    metric = "accuracy" if single else "map-envelope"
    values = {(row.name, row.metric): row for row in rows}
    few, many = (values[("trained/conv1", f"{metric}-{k}-a-class")] for k in (1, 32))
    assert few.value < many.value
    assert few.low <= few.value <= few.high
    assert many.value > values[("random/conv1", f"{metric}-32-a-class")].value
    assert not any("1000" in row.metric for row in rows)
    assert rows == low_shot(_encoded(data), data, choices, Context("test", draws=200), stages=("conv1",))
