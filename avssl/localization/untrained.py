"""The same networks with random weights, as a row beside the trained ones."""

from __future__ import annotations

import copy

import torch

from avssl.networks.model import Model
from avssl.networks.untrained import reset_weights
from avssl.samplers.keys import generator


def untrained(model: Model, seed: int) -> Model:
    """A copy of a model with fresh weights that depend on the seed alone; the spectrogram's statistics are kept."""
    fresh = copy.deepcopy(model)
    state = torch.random.get_rng_state()
    try:
        torch.manual_seed(int(generator(seed, "untrained").integers(2**62)))
        reset_weights(fresh)
    finally:
        torch.random.set_rng_state(state)
    return fresh.eval()
