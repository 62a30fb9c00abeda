"""How long a training lasts, and its learning rate on the way."""

from __future__ import annotations

import dataclasses
import itertools

import pytest

from avssl.errors import UserError
from avssl.trainer.options import TrainOptions
from avssl.trainer.schedule import Budget, budget, learning_rate


def rates(options, total):
    plan = Budget(total, None)
    return [learning_rate(options, plan, step, plan.share(step, 0.0)) for step in range(total)]


def test_the_rate_warms_up_linearly_and_falls_along_a_cosine():
    found = rates(TrainOptions(learning_rate=2.0, warmup_steps=10), 100)
    rises = [b - a for a, b in itertools.pairwise(found[:10])]
    assert found[0] < 0.3 and rises == pytest.approx([rises[0]] * 9, rel=0.1)
    assert found[50] == pytest.approx(1.0) and found[99] < 0.01
    assert max(found) <= 2.0


def test_warm_up_is_at_most_a_fifth_of_the_steps():
    assert rates(TrainOptions(learning_rate=1.0, warmup_steps=50, schedule="constant"), 20)[4:] == [1.0] * 16


def test_a_stepwise_rate_drops_where_told():
    options = TrainOptions(learning_rate=1.0, warmup_steps=0, schedule="step", step_at=(0.5, 0.75), step_factor=0.1)
    assert rates(options, 8) == pytest.approx([1, 1, 1, 1, 0.1, 0.1, 0.01, 0.01])


def test_minutes_are_scheduled_by_the_time_that_has_passed():
    plan = budget(TrainOptions(minutes=2.0), [100], "alternating")
    assert plan == Budget(None, 120.0)
    assert plan.share(7, 60.0) == 0.5 and plan.share(7, 130.0) == 1.0


@pytest.mark.parametrize(("mix", "steps"), [("alternating", 2.5 * (10 + 4)), ("joint", 2.5 * 10)])
def test_epochs_become_steps(mix, steps):
    assert budget(TrainOptions(epochs=2.5, batch_size=10), [109, 40], mix) == Budget(int(steps), None)


@pytest.mark.parametrize(
    ("wrong", "told"),
    [
        ({}, "say how long to train .* none is given"),
        ({"steps": 3, "minutes": 1.0}, "--steps and --minutes are given"),
        ({"steps": 0}, r"--steps \(0\) must be more than 0"),
        ({"steps": 1, "batch_size": 0}, r"--batch-size \(0\) must be more than 0"),
        ({"steps": 1, "workers": -1}, r"--workers \(-1\) must not be negative"),
        ({"steps": 1, "step_at": (0.5, 50.0)}, "--step-at .* must be shares between 0 and 1"),
    ],
)
def test_options_that_make_no_sense_are_named(wrong, told):
    with pytest.raises(UserError, match=told):
        TrainOptions(**wrong).check()


def test_every_option_has_its_help():
    assert all(option.metadata.get("help") for option in dataclasses.fields(TrainOptions))
