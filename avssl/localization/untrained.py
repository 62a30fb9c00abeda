"""The same networks with random weights, as a row beside the trained ones."""

from __future__ import annotations

import copy

import torch
from torch import nn

from avssl.networks.model import Model
from avssl.samplers.keys import generator


def untrained(model: Model, seed: int) -> Model:
    """A copy of a model with fresh weights that depend on the seed alone; the spectrogram's statistics are kept."""
    fresh = copy.deepcopy(model)
    state = torch.random.get_rng_state()
    try:
        torch.manual_seed(int(generator(seed, "untrained").integers(2**62)))
        for module in fresh.modules():
            reset = getattr(module, "reset_parameters", None)
            if isinstance(module, nn.Conv2d):
                nn.init.kaiming_normal_(module.weight, nonlinearity="relu")
                if module.bias is not None:
                    nn.init.zeros_(module.bias)
            elif callable(reset):
                reset()
    finally:
        torch.random.set_rng_state(state)
    return fresh.eval()
