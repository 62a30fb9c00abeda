"""Which task a step trains, and which puzzles."""

from __future__ import annotations

import dataclasses
import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from avssl.errors import UserError
from avssl.samplers.keys import Key
from avssl.trainer.plan import Sharing, TaskPlan, Turns, batch_keys, named, run_on_keys, steps_per_epoch


@given(length=st.integers(1, 300), batch_size=st.integers(1, 100), seed=st.integers(0, 5))
def test_no_puzzle_comes_twice_and_a_batch_lies_within_one_epoch_where_it_fits(length, batch_size, seed):
    batches = [batch_keys(seed, batch, length, batch_size) for batch in range(7)]
    keys = [key for batch in batches for key in batch]
    assert len(set(keys)) == 7 * batch_size
    assert all(0 <= key.index < length and key.seed == seed for key in keys)
    if batch_size <= length:
        assert all(len({key.epoch for key in batch}) == 1 for batch in batches)
        per_epoch = steps_per_epoch(length, batch_size)
        assert [batch[0].epoch for batch in batches] == [number // per_epoch for number in range(7)]


def test_where_an_epoch_is_shorter_than_a_batch_epochs_run_on():
    assert batch_keys(0, 1, length=3, batch_size=4) == [Key(0, 1, 1), Key(0, 1, 2), Key(0, 2, 0), Key(0, 2, 1)]


@given(weights=st.lists(st.integers(1, 7), min_size=1, max_size=4))
def test_alternating_tasks_take_turns_by_their_weights_and_any_step_can_be_asked_for(weights):
    turns, rounds = Turns(weights), 3 * sum(weights)
    order = [turns.at(step)[0] for step in range(rounds)]
    for plan, weight in enumerate(weights):
        assert [turn.batch for turn in order if turn.plan == plan] == list(range(3 * weight))
    for step in random.Random(0).sample(range(rounds), min(10, rounds)):
        assert turns.at(step) == (order[step],)
    assert turns.counts(rounds) == [3 * weight for weight in weights]


def test_joint_tasks_have_a_batch_each_at_every_step():
    assert [(turn.plan, turn.batch) for turn in Turns([1, 5], "joint").at(3)] == [(0, 3), (1, 3)]


def test_a_task_of_no_weight_is_refused():
    with pytest.raises(UserError, match=r"weights of tasks \(1, 0\) must be more than 0"):
        Turns([1, 0])


def test_keys_are_named_for_people():
    assert named(batch_keys(4, 1, 100, 8)) == "seed 4, epoch 0, index 8 to 15"
    assert named(batch_keys(4, 0, 3, 4)) == "seed 4, epoch 0 index 0 to epoch 1 index 0"


def test_an_epoch_has_as_many_steps_as_whole_batches_and_one_at_least():
    assert [steps_per_epoch(length, 10) for length in (1, 9, 10, 19, 20, 109)] == [1, 1, 1, 1, 2, 10]


@given(length=st.integers(1, 40), first=st.integers(0, 200), count=st.integers(1, 60))
def test_epochs_laid_end_to_end_name_each_place_once(length, first, count):
    places = [(epoch, index) for epoch in range(300) for index in range(length)][first : first + count]
    expected = [Key(5, epoch, index) for epoch, index in places]
    assert run_on_keys(5, first, count, length)[: len(expected)] == expected


def test_batches_of_an_epoch_follow_one_another_and_what_fills_none_is_skipped():
    found = [[key[1:] for key in batch_keys(0, batch, 7, 3)] for batch in range(4)]
    assert found == [
        [(0, 0), (0, 1), (0, 2)],
        [(0, 3), (0, 4), (0, 5)],
        [(1, 0), (1, 1), (1, 2)],
        [(1, 3), (1, 4), (1, 5)],
    ]
    assert [key.index for key in batch_keys(0, 1, 4, 4)] == [0, 1, 2, 3], "an epoch of just one batch"


def test_of_equals_the_first_task_has_its_turn_and_then_that_which_is_furthest_behind():
    assert [Turns([1, 1, 1]).at(step)[0] for step in range(4)] == [(0, 0), (1, 0), (2, 0), (0, 1)]
    assert [Turns([2, 1]).at(step)[0].plan for step in range(6)] == [0, 0, 1, 0, 0, 1]
    assert [Turns([1, 3]).at(step)[0].plan for step in range(8)] == [1, 1, 0, 1, 1, 1, 0, 1]
    assert Turns([1, 3], "joint").counts(5) == [5, 5]


def test_a_plan_walked_backwards_is_the_same_plan():
    turns, order = Turns([3, 2, 1]), [Turns([3, 2, 1]).at(step) for step in range(18)]
    assert [turns.at(step) for step in reversed(range(18))] == order[::-1]
    assert [turn.batch for (turn,) in order if turn.plan == 0] == list(range(9))


def test_a_task_counts_once_and_is_not_validated_unless_asked():
    task, media = object(), object()
    plan = TaskPlan(task, media)
    assert (plan.task, plan.train, plan.validation, plan.weight) == (task, media, None, 1.0)
    with pytest.raises(dataclasses.FrozenInstanceError):
        plan.weight = 2.0
    sharing = Sharing()
    assert (sharing.mix, sharing.own_statistics, sharing.by_chance) == ("alternating", False, False)
