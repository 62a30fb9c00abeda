"""How long a training lasts, and its learning rate on the way."""

from __future__ import annotations

import dataclasses
import itertools
import math

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


def test_a_stepwise_rate_drops_where_asked():
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
    ("wrong", "message"),
    [
        ({}, "give one of --steps, --epochs and --minutes; none is given"),
        ({"steps": 3, "minutes": 1.0}, "--steps and --minutes are given"),
        ({"steps": 0}, r"--steps \(0\) must be more than 0"),
        ({"steps": 1, "batch_size": 0}, r"--batch-size \(0\) must be more than 0"),
        ({"steps": 1, "workers": -1}, r"--workers \(-1\) must not be negative"),
        ({"steps": 1, "step_at": (0.5, 50.0)}, r"--step-at \(0.5,50\) must be more than 0 and less than 1"),
    ],
)
def test_options_that_make_no_sense_are_named(wrong, message):
    with pytest.raises(UserError, match=message):
        TrainOptions(**wrong).check()


def test_every_option_has_its_help():
    assert all(option.metadata.get("help") for option in dataclasses.fields(TrainOptions))


def test_the_share_done_is_that_of_the_steps_or_of_the_time_and_no_more_than_all():
    assert [Budget(4, None).share(done, 1000.0) for done in (0, 1, 4, 5)] == [0, 0.25, 1, 1]
    assert [Budget(None, 8.0).share(1000, seconds) for seconds in (0.0, 2.0, 8.0, 9.0)] == [0, 0.25, 1, 1]


def test_a_budget_is_what_was_asked_for_and_one_step_at_least():
    assert budget(TrainOptions(steps=7), [100], "alternating") == Budget(7, None)
    assert budget(TrainOptions(epochs=1, batch_size=10), [109, 40], "joint") == Budget(10, None)
    assert budget(TrainOptions(epochs=1, batch_size=10), [109, 40], "alternating") == Budget(14, None)
    assert budget(TrainOptions(epochs=0.01, batch_size=10), [20], "joint") == Budget(1, None)


def test_the_rate_by_hand():
    plain = TrainOptions(learning_rate=0.8, warmup_steps=0, schedule="cosine")
    plan = Budget(100, None)
    found = [learning_rate(plain, plan, 50, share) for share in (0.0, 1 / 3, 0.5, 2 / 3, 1.0)]
    assert found == pytest.approx([0.8, 0.6, 0.4, 0.2, 0.0])
    warm = TrainOptions(learning_rate=0.8, warmup_steps=3, schedule="constant")
    assert [learning_rate(warm, plan, step, 0.0) for step in range(5)] == pytest.approx([0.2, 0.4, 0.6, 0.8, 0.8])
    both = TrainOptions(learning_rate=0.8, warmup_steps=3, schedule="cosine")
    assert learning_rate(both, plan, 0, 0.5) == pytest.approx(0.8 * 0.25 * 0.5 * (1 + math.cos(math.pi / 2)))


def test_warm_up_of_a_training_by_the_clock_is_as_long_as_was_asked_for():
    options = TrainOptions(learning_rate=1.0, warmup_steps=9, schedule="constant")
    assert learning_rate(options, Budget(None, 60.0), 4, 0.0) == pytest.approx(0.5)
    assert learning_rate(options, Budget(10, None), 4, 0.0) == 1.0, "at most a fifth of ten steps, which is two"
    assert learning_rate(options, Budget(10, None), 1, 0.0) == pytest.approx(2 / 3)


def test_a_stepwise_rate_has_dropped_at_the_share_itself():
    options = TrainOptions(learning_rate=1.0, warmup_steps=0, schedule="step", step_at=(0.5, 0.75), step_factor=0.1)
    found = [learning_rate(options, Budget(100, None), 0, share) for share in (0.0, 0.499, 0.5, 0.749, 0.75, 1.0)]
    assert found == pytest.approx([1, 1, 0.1, 0.1, 0.01, 0.01])
