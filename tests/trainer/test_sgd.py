"""Stochastic gradient descent with the momentum that a recipe was published with."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from avssl.trainer.building import make_optimizer
from avssl.trainer.options import TrainOptions


@pytest.mark.parametrize("nesterov", [True, False])
def test_three_steps_of_sgd_are_those_of_the_formula(nesterov: bool) -> None:
    """v ← μ v + g; the step is g + μ v with Nesterov's momentum, v with the plain one (Sutskever et al. 2013)."""
    network = nn.Linear(1, 1, bias=False)
    network.weight.data.fill_(1.0)
    asked = TrainOptions(optimizer="sgd", learning_rate=0.1, momentum=0.9, weight_decay=0.0, nesterov=nesterov)
    optimizer = make_optimizer(network, asked, torch.device("cpu"))
    weight, velocity = 1.0, 0.0
    for _ in range(3):
        optimizer.zero_grad()
        (network.weight**2).sum().backward()
        optimizer.step()
        gradient = 2 * weight
        velocity = 0.9 * velocity + gradient
        weight -= 0.1 * (gradient + 0.9 * velocity if nesterov else velocity)
        assert network.weight.item() == pytest.approx(weight, abs=1e-6)


def test_options_of_earlier_runs_mean_nesterov_as_they_did() -> None:
    assert TrainOptions(optimizer="sgd").nesterov
    assert make_optimizer(nn.Linear(1, 1), TrainOptions(optimizer="sgd", momentum=0.0), torch.device("cpu"))
