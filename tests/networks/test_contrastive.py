"""Contrastive losses against sums over one view at a time, and the queue of keys."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from torch.nn.functional import normalize

from avssl.networks.contrastive import KeyQueue, info_nce_terms, nt_xent, queue_loss, similarities


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
