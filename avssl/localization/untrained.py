"""The same networks with random weights, as a row beside the trained ones."""

from __future__ import annotations

import copy

from avssl.networks.model import Model
from avssl.networks.untrained import reset_weights
from avssl.samplers.keys import generator
from avssl.trainer.seeds import own_random_state, seed_torch


def untrained(model: Model, seed: int) -> Model:
    """A copy of a model with fresh weights that depend on the seed alone; the spectrogram's statistics are kept."""
    fresh = copy.deepcopy(model)
    with own_random_state():
        seed_torch(int(generator(seed, "untrained").integers(2**62)), model.device)
        reset_weights(fresh)
    return fresh.eval()
