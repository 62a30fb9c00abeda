"""Where all randomness of the data comes from."""

from __future__ import annotations

import copy
import pickle
import sys

import numpy as np
import pytest

from avssl.samplers import keys
from avssl.samplers.keys import Key, generator, permutation, seed_compiled


def test_what_a_key_draws_is_the_same_in_every_version():
    # A run goes on, and is repeated, with the puzzles that it began with.
    assert generator(0, 0, 1).integers(2**62) == 3254119367310664248
    assert generator(3, "pair").random() == 0.5669734031287698
    assert permutation(0, 1, 8).tolist() == [0, 6, 1, 7, 2, 3, 5, 4]


def test_parts_are_distinguished_by_value_place_and_number():
    parts = [(0,), (1,), (-1,), (0, 0), (0, 1), (1, 0), (10,), (1, "0"), ("a", "b"), ("ab",), ("a", "b", ""), ()]
    drawn = [generator(*some).integers(2**62) for some in parts]
    assert len(set(drawn)) == len(parts) - 1
    assert drawn[5] == drawn[7], "a number is its digits"
    assert generator("caf\udce9").random() == generator("caf\udce9").random(), "names of files may be no UTF-8"


@pytest.mark.parametrize("length", [1, 17])
def test_an_order_holds_each_item_once_and_depends_on_seed_epoch_and_length(length):
    orders = {(seed, epoch): tuple(permutation(seed, epoch, length)) for seed in range(3) for epoch in range(3)}
    assert all(sorted(order) == list(range(length)) for order in orders.values())
    assert len(set(orders.values())) == (9 if length > 1 else 1)
    assert permutation(0, 0, 17).dtype == np.int64


def test_a_key_is_named_by_seed_epoch_and_index_in_this_order():
    assert Key(1, 2, 3) == (1, 2, 3) and Key(seed=1, epoch=2, index=3) == Key(1, 2, 3)


def test_compiled_seeding_gives_the_generators_that_numpy_gives(monkeypatch: pytest.MonkeyPatch):
    parts = [(seed, 0, index, name) for seed in (0, 1, 2**40) for index in range(40) for name in ("pair", "caf\udce9")]
    monkeypatch.setattr(keys._SEEDING, "compiled", None)
    by_numpy = [generator(*some).bit_generator.state for some in parts]
    seed_compiled()
    assert keys._SEEDING.compiled is not None
    assert [generator(*some).bit_generator.state for some in parts] == by_numpy
    rng = generator("kept")
    assert pickle.loads(pickle.dumps(rng)).random() == copy.deepcopy(rng).random() == rng.random()


def test_numpy_goes_on_seeding_where_numba_is_missing_or_seeds_otherwise(monkeypatch: pytest.MonkeyPatch):
    from avssl.samplers import seeding

    monkeypatch.setattr(keys._SEEDING, "compiled", None)
    with monkeypatch.context() as other:
        other.setattr(seeding, "first_state", lambda *words: np.zeros(4, np.uint64))
        seed_compiled()
    with monkeypatch.context() as without:
        without.setitem(sys.modules, "avssl.samplers.seeding", None)
        seed_compiled()
    assert keys._SEEDING.compiled is None
