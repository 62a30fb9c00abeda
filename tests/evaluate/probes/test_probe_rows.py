"""What the rows of the probes say of features that say nothing."""

from __future__ import annotations

import numpy as np
import pytest

from avssl.evaluate.core.rows import Context
from avssl.evaluate.data.labelled import Division, Labelled
from avssl.evaluate.probes.knn import KNN
from avssl.evaluate.probes.linear import Linear
from avssl.evaluate.probes.probing import Encoded, probe_all
from avssl.evaluate.probes.svm import SVM, LowShotChoices, low_shot

CATS, DOGS = 180, 20


class Noise:
    """Features of one stage that have nothing to do with the labels."""

    stages = ("conv1",)

    def __init__(self, seed: int) -> None:
        self.seed = seed

    def stage(self, name: str) -> np.ndarray:
        return np.random.default_rng(self.seed).normal(size=(CATS + DOGS, 1, 8)).astype(np.float32)


@pytest.fixture
def cats_and_dogs() -> Labelled:
    """180 cats and 20 dogs, of which a fifth of each is evaluated."""
    labels = np.array([0] * CATS + [1] * DOGS)
    evaluated = np.arange(CATS + DOGS) % 5 == 0
    division = Division("a held-out fifth", np.flatnonzero(~evaluated), np.flatnonzero(evaluated))
    sources = tuple(str(i) for i in range(CATS + DOGS))
    return Labelled((), np.eye(2, dtype=np.int8)[labels], ("cat", "dog"), True, sources, (division,))


def encoded():
    return [Encoded("trained", [Noise(0)]), Encoded("random", [Noise(1)])]


@pytest.mark.parametrize("probe", [KNN(), Linear(), SVM(costs=(0.1,))], ids=["knn", "linear", "svm"])
def test_of_noise_nothing_is_above_the_commonest_class(cats_and_dogs, probe):
    rows = {(row.name, row.metric): row for row in probe_all(encoded(), cats_and_dogs, probe, Context("test"))}
    for name in ("trained", "random", "shuffled-labels", "majority"):
        row, balanced = rows[name, "accuracy"], rows[name, "balanced-accuracy"]
        assert row.chance == pytest.approx(0.9) and balanced.chance == 0.5
        assert row.low <= row.chance and balanced.low <= balanced.chance
        assert row.low < row.value < row.high and balanced.low < balanced.value < balanced.high
    assert rows["majority", "accuracy"].value == pytest.approx(0.9)
    assert rows["majority", "balanced-accuracy"].value == 0.5
    assert rows["gain", "accuracy-difference"].low < rows["gain", "accuracy-difference"].high


def test_five_samples_of_few_labels_have_an_interval_and_their_range_is_in_words(cats_and_dogs):
    rows = {
        (row.name, row.metric): row
        for row in low_shot(encoded(), cats_and_dogs, LowShotChoices(shots=(2, 4)), Context("t"))
    }
    for metric, chance in (("accuracy-4-a-class", 0.9), ("balanced-accuracy-4-a-class", 0.5)):
        row = rows["trained", metric]
        assert row.chance == pytest.approx(chance) and row.method == "t"
        low, high = (float(word) for word in row.note.split("range of 5 samples: ")[1].split(" to "))
        assert row.low < low <= row.value <= high < row.high
