"""Held-out puzzles are those that no training has seen, and networks answer them unchanged."""

from __future__ import annotations

import pytest

from avssl.evaluate.judging import held_out_keys
from avssl.samplers.keys import Key
from avssl.trainer.plan import batch_keys


@pytest.mark.parametrize(("length", "batch_size"), [(10, 4), (3, 8), (500, 64)])
def test_no_training_of_any_length_draws_a_held_out_puzzle(length, batch_size):
    held_out = set(held_out_keys(0, 600))
    assert len(held_out) == 600
    assert all(key.seed == 0 for key in held_out), "another seed would have other puzzles"
    trained = {key for batch in range(2000) for key in batch_keys(0, batch, length, batch_size)}
    assert not held_out & trained


def test_nothing_that_is_measured_of_training_data_before_the_start_is_a_held_out_puzzle():
    fitted = {Key(0, -1, index) for index in range(600)}  # statistics of front ends and colours
    assert not fitted & set(held_out_keys(0, 600))
