"""Figures of a validation."""

from __future__ import annotations

import pytest
from scipy.stats import binomtest
from trainer_toy import Toy, ToyOptions

from avssl.system.intervals import wilson_share
from avssl.trainer.validation import at_chance


@pytest.mark.parametrize(("right", "count"), [(0, 10), (7, 10), (128, 256), (1000, 1000), (333, 1024)])
def test_the_interval_is_wilsons(right, count):
    expected = binomtest(right, count).proportion_ci(method="wilson")
    assert wilson_share(right / count, count) == pytest.approx((expected.low, expected.high), abs=1e-6)


def line(**figures):
    return {"step": 9, "n": 256, **figures}


def test_chance_is_measured_by_accuracy_where_there_are_classes_and_by_the_loss_elsewhere():
    task = Toy(ToyOptions())
    assert "accuracy 0.510 (0.450 to 0.570" in at_chance(task, line(loss=0.7, accuracy=0.51, low=0.45, high=0.57))
    overfitted = line(loss=1.5, accuracy=0.75, low=0.69, high=0.80)
    assert at_chance(task, overfitted) is None
    task.classes = None
    assert at_chance(task, line(loss=0.69)) == (
        "toy is still at chance after 9 steps: loss 0.6900 (chance 0.6931) on 256 held-out puzzles"
    )
    assert at_chance(task, line(loss=0.5)) is None
