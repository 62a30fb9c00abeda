"""Which task a step trains, and which puzzles."""

from __future__ import annotations

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from avssl.errors import UserError
from avssl.samplers.keys import Key
from avssl.trainer.plan import Turns, batch_keys, named, steps_per_epoch


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
