"""Seeds of torch depend on what they are for and on nothing else."""

from __future__ import annotations

import contextlib

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from avssl.samplers.keys import Key
from avssl.trainer.plan import batch_keys, run_on_keys
from avssl.trainer.seeds import HELD_OUT_SEED, hashed, own_random_state, seed_torch


def test_a_seed_is_a_number_of_63_bits_that_depends_on_each_part_and_their_order():
    seeds = [hashed(*parts) for parts in ((0,), (1,), ("a",), (0, 1), (1, 0), (0, "1a"), ("01", "a"), (0, 0), ())]
    assert len(set(seeds)) == len(seeds)
    assert hashed(3, "weights") == hashed(3, "weights")
    many = [hashed("bits", k) for k in range(400)]
    assert min(many) >= 0 and 2**62 < max(many) < 2**63
    for bit in (0, 20, 40, 62):
        assert 140 < sum(seed >> bit & 1 for seed in many) < 260


@given(seed=st.integers(0, 2**32), length=st.integers(1, 50), batch=st.integers(0, 1000))
def test_validation_never_looks_at_a_puzzle_of_the_training(seed, length, batch):
    held_out = set(run_on_keys(HELD_OUT_SEED, 0, 64, length))
    assert not held_out & set(batch_keys(seed, batch, length, 8))
    assert Key(HELD_OUT_SEED, 0, 0) in held_out


def test_what_torch_draws_after_a_seed_is_the_same_again():
    seed_torch(5)
    first = torch.rand(4)
    seed_torch(5)
    assert torch.equal(torch.rand(4), first)
    seed_torch(6)
    assert not torch.equal(torch.rand(4), first)


def test_within_a_random_state_of_ones_own_others_draw_as_if_nothing_had_happened():
    torch.manual_seed(1)
    expected = torch.rand(3)
    torch.manual_seed(1)
    with own_random_state():
        seed_torch(9)
        torch.rand(7)
    assert torch.equal(torch.rand(3), expected)


@pytest.mark.parametrize(
    ("device", "seeded"), [(None, []), ("cpu", []), ("cuda", ["cuda"]), ("cuda:1", ["cuda"]), ("mps", ["mps"])]
)
def test_a_seed_reaches_the_generator_of_the_device_that_is_used(device, seeded, monkeypatch):
    found = []
    monkeypatch.setattr(torch.cuda, "manual_seed", lambda seed: found.append(("cuda", seed)))
    monkeypatch.setattr(torch.mps, "manual_seed", lambda seed: found.append(("mps", seed)))
    seed_torch(11, None if device is None else torch.device(device))
    assert found == [(name, 11) for name in seeded]


def test_a_random_state_of_ones_own_does_not_wake_gpus_that_nobody_uses(monkeypatch):
    asked = []

    @contextlib.contextmanager
    def forked(devices=None):
        asked.append(devices)
        yield

    monkeypatch.setattr(torch.random, "fork_rng", forked)
    monkeypatch.setattr(torch.cuda, "is_initialized", lambda: False)
    with own_random_state():
        pass
    monkeypatch.setattr(torch.cuda, "is_initialized", lambda: True)
    monkeypatch.setattr(torch.cuda, "current_device", lambda: 3)
    with own_random_state():
        pass
    assert asked == [[], [3]]
