"""Contrastive losses against sums over one view at a time, and the memories they compare with."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from torch.nn.functional import normalize

from avssl.networks.contrastive import (
    KeyQueue,
    MemoryBank,
    info_nce_terms,
    noise_contrastive,
    nt_xent,
    queue_loss,
    similarities,
)


def unit(count, dimensions=5, seed=0):
    return normalize(torch.randn(count, dimensions, generator=torch.Generator().manual_seed(seed)))


def test_nt_xent_is_the_published_sum_over_views():
    first, second, heat = unit(4), unit(4, seed=1), 0.3
    z = torch.cat([first, second]).double().numpy()
    terms = []
    for i in range(8):
        j = (i + 4) % 8
        others = sum(math.exp(z[i] @ z[k] / heat) for k in range(8) if k != i)
        terms.append(-math.log(math.exp(z[i] @ z[j] / heat) / others))
    assert float(nt_xent(first, second, heat)) == pytest.approx(np.mean(terms), rel=1e-5)


def test_embeddings_that_are_all_alike_have_the_losses_of_chance():
    alike = normalize(torch.ones(6, 5))
    assert float(nt_xent(alike, alike, 0.1)) == pytest.approx(math.log(11), rel=1e-5)
    assert float(queue_loss(alike, alike, normalize(torch.ones(30, 5)), 0.2)) == pytest.approx(math.log(31), rel=1e-5)
    assert float(info_nce_terms(similarities(alike, alike, 0.1))[0]) == pytest.approx(math.log(6), rel=1e-5)


def test_a_query_is_to_find_its_key_among_the_queue():
    query, key, queue, heat = unit(3), unit(3, seed=1), unit(7, seed=2), 0.2
    terms = []
    for q, k in zip(query.double(), key.double(), strict=True):
        positive = math.exp(float(q @ k) / heat)
        terms.append(-math.log(positive / (positive + sum(math.exp(float(q @ n) / heat) for n in queue.double()))))
    assert float(queue_loss(query, key, queue, heat)) == pytest.approx(np.mean(terms), rel=1e-5)


def test_noise_contrastive_estimation_classifies_data_against_noise():
    positive, negative, mean = torch.tensor([1.2, -0.3]), torch.tensor([[0.1, -math.inf, 2.0]] * 2), 1.7
    count, terms = 2, []
    for p, row in zip(positive.tolist(), negative.tolist(), strict=True):
        h = [math.exp(s) / (math.exp(s) + count * mean) for s in (p, *row)]
        terms.append(-math.log(h[0]) - sum(math.log(1 - each) for each in h[1:]))
    found = noise_contrastive(positive, negative, torch.tensor(math.log(mean)), count)
    assert float(found) == pytest.approx(np.mean(terms), rel=1e-5)


def test_autocast_does_not_round_similarities():
    one, other = unit(8, 64), unit(8, 64, seed=1)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        assert (one @ other.T / 0.07).dtype == torch.bfloat16
        assert (similarities(one, other, 0.07).double() - one.double() @ other.double().T / 0.07).abs().max() < 1e-4


def test_a_queue_holds_the_latest_keys_first_in_first_out():
    queue, keys = KeyQueue(5, 3), unit(9, 3)
    queue.push(keys[:3])
    queue.push(keys[3:6])
    assert torch.equal(queue.rows, keys[[5, 1, 2, 3, 4]])
    queue.push(keys[:9])  # more than it holds: the last
    assert {tuple(row) for row in queue.rows.tolist()} == {tuple(row) for row in keys[4:].tolist()}


def test_a_queue_continues_from_a_checkpoint_where_it_was():
    queue, keys = KeyQueue(4, 3), unit(7, 3)
    queue.push(keys[:3])
    other = KeyQueue(4, 3)
    other.load_state_dict(queue.state_dict())
    for one in (queue, other):
        one.push(keys[3:5])
    assert torch.equal(queue.rows, other.rows) and int(queue.place) == int(other.place) == 1


def test_rows_of_a_bank_move_towards_new_embeddings_and_stay_of_unit_length():
    bank, new = MemoryBank(6, 4), unit(3, 4)
    before = bank.rows.clone()
    bank.move(torch.tensor([4, 1, 4]), new, 0.5)
    assert torch.equal(bank.rows[[0, 2, 3, 5]], before[[0, 2, 3, 5]])
    assert torch.allclose(bank.rows[1], normalize(before[1] / 2 + new[1] / 2, dim=0))
    assert torch.allclose(bank.rows[4], normalize(before[4] / 2 + new[2] / 2, dim=0)), "the later of two counts"


def test_an_item_is_never_its_own_negative():
    bank, items = MemoryBank(6, 4), torch.tensor([2, 5])
    embeddings = bank.rows[items]
    for drawn in (None, torch.tensor([2, 0, 5, 5])):
        positive, negative = bank.compare(embeddings, items, drawn, 0.5)
        assert torch.allclose(positive, torch.full((2,), 2.0))
        columns = torch.arange(6) if drawn is None else drawn
        assert torch.equal(negative.isinf(), columns == items[:, None])
    assert bank.negatives(5) is None and len(bank.negatives(4)) == 4
