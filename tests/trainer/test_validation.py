"""Figures of a validation."""

from __future__ import annotations

import pytest
import torch
from scipy.stats import binomtest
from trainer_toy import Toy, ToyMedia, ToyOptions, toy_plans

from avssl.system.intervals import wilson_share
from avssl.trainer import validation
from avssl.trainer.devices import choose_precision
from avssl.trainer.distributed import join
from avssl.trainer.options import TrainOptions
from avssl.trainer.validation import Validation, at_chance


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


def test_figures_of_all_batches_are_read_together_and_are_means_over_puzzles(monkeypatch):
    reads = []
    real = validation.to_host
    monkeypatch.setattr(validation, "to_host", lambda value: reads.append(len(value)) or real(value))
    task, media = toy_plans()[0].task, ToyMedia()
    task.fit_statistics(media, 0)
    options = TrainOptions(steps=1, batch_size=8, workers=0, validation_puzzles=20)
    torch.manual_seed(0)
    network = task.network(task.encoders())
    measured = Validation(task.held_out(), media, options, join("cpu"))
    line = measured.measure(network, choose_precision("fp32", torch.device("cpu")), channels_last=False)
    network.eval()
    with torch.no_grad():
        each = [(count, task.loss(network, batch)) for count, batch, _ in measured._kept]
    assert reads == [3] and [count for count, _ in each] == [8, 8, 4] and line["n"] == 20
    assert line["loss"] == sum(float(losses.loss) * count for count, losses in each) / 20
    assert line["accuracy"] == pytest.approx(sum(float(x.measures["accuracy"]) * count for count, x in each) / 20)
