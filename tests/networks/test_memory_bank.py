"""The memory bank and its loss."""

from __future__ import annotations

import copy
import math

import numpy as np
import pytest
import torch

from avssl.errors import UserError
from avssl.networks.memory_bank import MemoryBank, NoiseContrast
from avssl.samplers.keys import generator
from avssl.samplers.negatives import draw_other_items


def unit(*values: float) -> torch.Tensor:
    return torch.nn.functional.normalize(torch.tensor([values]), dim=1)


def bank_of(items: int, momentum: float = 0.5) -> MemoryBank:
    torch.manual_seed(0)
    return MemoryBank(items, 3, momentum)


def test_a_bank_holds_unit_vectors_and_gives_them_by_item():
    bank = bank_of(5)
    assert bank.vectors.norm(dim=1) == pytest.approx(1)
    assert torch.equal(bank(torch.tensor([[4, 0], [2, 1]]))[1, 0], bank.vectors[2])


def test_an_update_moves_the_item_alone_by_the_momentum_and_back_to_unit_length():
    bank = bank_of(3, momentum=0.75)
    before = bank.vectors.clone()
    new = unit(1.0, 2.0, -1.0)
    bank.update(torch.tensor([1]), new)
    expected = 0.75 * before[1] + 0.25 * new[0]
    assert torch.allclose(bank.vectors[1], expected / expected.norm())
    assert torch.equal(bank.vectors[[0, 2]], before[[0, 2]])


def test_an_item_that_a_batch_has_twice_moves_towards_the_mean():
    bank = bank_of(2, momentum=0.0)
    bank.update(torch.tensor([1, 1]), torch.cat([unit(1.0, 0.0, 0.0), unit(0.0, 1.0, 0.0)]))
    assert torch.allclose(bank.vectors[1], unit(1.0, 1.0, 0.0)[0])


def test_a_step_that_updates_the_bank_can_still_go_backward():
    bank, picture = bank_of(4), torch.randn(2, 3, requires_grad=True)
    loss = NoiseContrast().train()(
        (bank(torch.tensor([0, 1])) * picture).sum(1), picture @ bank(torch.tensor([2, 3])).T
    )
    bank.update(torch.tensor([0, 1]), picture)
    loss.backward()
    assert picture.grad is not None and picture.grad.abs().min() > 0


def test_bank_and_constant_are_in_the_checkpoint():
    bank, loss = bank_of(3), NoiseContrast().train()
    loss(torch.zeros(1), torch.ones(1, 2))
    assert set(bank.state_dict()) == {"vectors"}
    other = NoiseContrast()
    other.load_state_dict(loss.state_dict())
    assert float(other.log_mean) == pytest.approx(1)


def test_the_loss_is_that_of_the_formula():
    positive, negative = torch.tensor([2.0, 0.5]), torch.tensor([[1.0, -1.0, 0.0], [0.3, 0.2, 0.1]])
    mean = negative.exp().mean()
    share = positive.exp() / (positive.exp() + 3 * mean)
    noise = 3 * mean / (negative.exp() + 3 * mean)
    expected = (-share.log() - noise.log().sum(1)).mean()
    assert float(NoiseContrast().train()(positive, negative)) == pytest.approx(float(expected), rel=1e-5)


def test_the_constant_is_that_of_the_first_training_batch_and_validation_sets_none():
    loss = NoiseContrast().eval()
    loss(torch.zeros(1), torch.full((1, 2), 3.0))
    assert math.isnan(float(loss.log_mean))
    loss.train()
    for similarity in (1.0, 5.0):
        loss(torch.zeros(1), torch.full((1, 2), similarity))
    assert float(loss.log_mean) == pytest.approx(1)


def test_several_positives_count_as_their_mean():
    negative = torch.zeros(1, 2)
    both, one, other = (
        copy.deepcopy(NoiseContrast())(torch.tensor([value]), negative) for value in ([1.0, 2.0], [1.0], [2.0])
    )
    assert float(both) == pytest.approx(float(one + other) / 2, rel=1e-5)


def test_other_items_are_all_equally_likely_and_never_the_own():
    drawn = draw_other_items(generator(0, "n"), 2, 40_000, 5)
    counts = np.bincount(drawn, minlength=5)
    assert counts[2] == 0
    assert counts[[0, 1, 3, 4]] == pytest.approx(10_000, rel=0.05)


def test_items_of_the_own_source_are_no_negatives_while_there_are_others():
    sources = np.array([0, 0, 0, 1, 2])
    assert set(draw_other_items(generator(0, "n"), 1, 500, 5, sources).tolist()) == {3, 4}
    assert set(draw_other_items(generator(0, "n"), 1, 500, 3, sources[:3]).tolist()) == {0, 2}


def test_a_bank_of_one_item_is_refused_with_what_to_give():
    with pytest.raises(UserError, match="two at least"):
        draw_other_items(generator(0, "n"), 0, 3, 1)
