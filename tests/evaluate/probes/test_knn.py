"""Votes of nearest neighbours by hand and as scikit-learn counts them."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from sklearn.neighbors import KNeighborsClassifier

from avssl.evaluate.data.labelled import Division, Labelled
from avssl.evaluate.probes.knn import KNN, TEMPERATURE, vectors, votes
from avssl.evaluate.probes.probing import TrainingSet


def _unit(rng, count, numbers=12):
    return vectors(rng.normal(size=(count, 1, numbers)).astype(np.float32))


def _with_similarities(*similarities):
    """Unit vectors that have these scalar products with the first axis."""
    return np.array([[s, np.sqrt(1 - s * s)] for s in similarities], np.float32)


@pytest.mark.parametrize(("similarities", "predicted"), [((0.90, 0.88, 0.87), 1), ((0.90, 0.80, 0.70), 0)])
def test_near_neighbours_are_outvoted_only_by_several_nearly_as_near(similarities, predicted):
    targets = np.array([[1, 0], [0, 1], [0, 1]], np.float32)
    asked = np.array([[1, 0]], np.float32)
    found = votes(_with_similarities(*similarities), targets, asked, (3,))[3][0]
    weights = np.exp(np.array(similarities) / TEMPERATURE)
    assert found == pytest.approx([weights[0] / weights.sum(), weights[1:].sum() / weights.sum()], rel=1e-4)
    assert found.argmax() == predicted


@pytest.mark.parametrize("k", [1, 5, 20])
def test_votes_agree_with_scikit_learn(k):
    rng = np.random.default_rng(0)
    known, asked, labels = _unit(rng, 200), _unit(rng, 50), rng.integers(0, 4, 200)
    theirs = KNeighborsClassifier(k, weights=lambda d: np.exp((1 - d**2 / 2) / TEMPERATURE)).fit(known, labels)
    ours = votes(known, np.eye(4, dtype=np.float32)[labels], asked, (k, 50))[k]
    np.testing.assert_allclose(ours, theirs.predict_proba(asked), atol=1e-4)


def test_items_of_one_source_are_no_neighbours():
    known = _with_similarities(1.0, 0.9)
    targets = np.eye(2, dtype=np.float32)
    groups = (np.array([7, 8]), np.array([7]))
    assert votes(known, targets, known[:1], (2,), groups=groups)[2][0] == pytest.approx([0, 1])
    assert votes(known, targets, known[:1], (1,), groups=groups)[1][0] == pytest.approx([0, 1])


def test_no_more_neighbours_are_asked_than_there_are():
    known = _with_similarities(1.0, 0.0)
    assert votes(known, np.eye(2, dtype=np.float32), known, (200,))[200].argmax(1).tolist() == [0, 1]


def test_a_vector_is_the_normalised_mean_over_views():
    features = np.array([[[3.0, 0.0], [0.0, 4.0]], [[0.0, 0.0], [0.0, 0.0]]], np.float32)
    np.testing.assert_allclose(vectors(features), [[0.6, 0.8], [0, 0]], atol=1e-6)


def test_a_query_is_never_evaluated_by_items_of_its_own_source():
    # Two clips a source, alike but for noise; their labels are at random. Whoever may look at the other clip is right.
    rng = np.random.default_rng(0)
    labels = np.repeat(rng.integers(0, 2, 60), 2)
    features = np.repeat(rng.normal(size=(60, 1, 16)), 2, axis=0) + 0.01 * rng.normal(size=(120, 1, 16))
    known, asked = np.arange(0, 120, 2), np.arange(1, 120, 2)
    sources = tuple(f"video{k // 2}" for k in range(120))
    data = Labelled((), np.eye(2, dtype=np.int8)[labels], ("a", "b"), True, sources, (Division("test", known, asked),))
    training = TrainingSet(features[known].astype(np.float32), data, known)

    def right(training):
        predicted = KNN(k=(1,))(training, features[asked].astype(np.float32), asked)
        return float((predicted.scores.argmax(1) == labels[asked]).mean())

    assert right(training) < 0.75
    apart = replace(data, sources=tuple(map(str, range(120))))
    assert right(replace(training, data=apart)) == 1.0, "the same clips as if each were a source of its own"
