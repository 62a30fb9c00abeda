"""Colorization with a latent variable: several colourings of one picture."""

from __future__ import annotations

from dataclasses import replace
from itertools import combinations

import numpy as np
import pytest
import torch
from toy_pictures import ToyPictures

from avssl.errors import UserError
from avssl.evaluate.pretext.colorization import evaluate
from avssl.evaluate.pretext.colourings import best_of, figures
from avssl.evaluate.pretext.predictions import HeldOut
from avssl.networks.colour import lab_to_rgb
from avssl.networks.latent_colours import LatentColours
from avssl.samplers.keys import Key
from avssl.tasks.colorization.puzzle import ColorizationOptions
from avssl.tasks.colorization.task import IMAGINED, Colorization

SMALL = ColorizationOptions(
    target="regression", latent=2, side=32, width=4, head_width=16, norm="group", crop_low=1.0, free_nats=0.0
)


def red_or_green(i: int) -> np.ndarray:
    """Pictures that are alike in lightness two by two, of which one is reddish and one greenish."""
    lightness = torch.from_numpy(np.random.default_rng(i // 2).uniform(40, 70, (1, 1, 5, 5))).float()
    tint = torch.tensor([30.0 if i % 2 else -30.0, 0.0]).view(1, 2, 1, 1).expand(1, 2, 5, 5)
    rgb = lab_to_rgb(torch.cat([lightness, tint], dim=1))[0]
    return (rgb * 255).round().byte().numpy().repeat(8, 1).repeat(8, 2)


def trained(steps: int, **options):  # type: ignore[no-untyped-def]
    media = ToyPictures(16, red_or_green)
    task = Colorization(replace(SMALL, **options))
    task.fit_statistics(media, 0)
    torch.manual_seed(0)
    network = task.network(task.encoders())
    batch = task.collate([task.draw(media, Key(0, 0, i)) for i in range(16)])
    optimizer = torch.optim.Adam(network.parameters(), lr=1e-2)
    for _ in range(steps):
        optimizer.zero_grad()
        task.loss(network, batch).loss.backward()
        optimizer.step()
    rows = evaluate(task, {"trained": network}, HeldOut(media, 16))
    return task, network, batch, {(row.name, row.metric): row for row in rows}


def test_where_two_colourings_are_as_likely_one_of_several_is_right_and_one_answer_is_grey():
    task, network, batch, rows = trained(80)
    assert float(task.loss(network, batch).measures["divergence"]) > 0.5
    latent = [rows["latent", f"ab-rmse-best-of-{k}"].value for k in (1, 5, 20)]
    assert latent[0] > latent[1] > latent[2]
    assert latent[2] < 0.6 * rows["latent-ignored", "ab-rmse-best-of-20"].value
    noise = rows["latent-noise", "ab-rmse-best-of-20"].value
    paired = rows["latent - latent-noise", "ab-rmse-best-of-20-difference"]
    assert paired.value == pytest.approx(latent[2] - noise) and paired.low <= paired.value <= paired.high < 0
    assert rows["latent", "ab-distance"].value > 5 and rows["latent-ignored", "ab-distance"].value < 1e-3
    ignored = [rows["latent-ignored", f"ab-rmse-best-of-{k}"].value for k in (1, 5, 20)]
    assert ignored == pytest.approx([ignored[0]] * 3)


def test_a_divergence_that_costs_much_makes_the_variable_ignored_and_the_measure_tells_it():
    task, network, batch, _ = trained(40, divergence_weight=10.0)
    assert float(task.loss(network, batch).measures["divergence"]) < 0.1


def test_the_divergence_is_that_of_two_normal_distributions():
    head = LatentColours(4, 2).eval()
    with torch.no_grad():
        head.posterior.weight.zero_()
        head.posterior.bias.copy_(torch.tensor([0.5, -1.0, np.log(0.25), 0.0]))
        variable, divergence = head.inferred(torch.randn(3, 4, 8, 8), torch.randn(3, 2, 8, 8))
    normal = torch.distributions.Normal
    posterior = normal(torch.tensor([0.5, -1.0]), torch.tensor([0.5, 1.0]))
    expected = torch.distributions.kl_divergence(posterior, normal(torch.zeros(2), torch.ones(2)))
    assert torch.allclose(divergence, expected.expand(3, 2), atol=1e-6)
    assert torch.equal(variable, torch.tensor([[0.5, -1.0]]).expand(3, 2))  # not drawn where nothing is trained


def test_nats_that_are_free_cost_nothing():
    task, network, batch, _ = trained(0)
    costs = {}
    for free in (0.0, 100.0):
        torch.manual_seed(1)
        one = Colorization(replace(SMALL, free_nats=free, divergence_weight=1.0))
        one.load_state(task.state())
        losses = one.loss(network, batch)
        costs[free] = float(losses.loss.detach())
        divergence = float(losses.measures["divergence"])
    assert costs[0.0] == pytest.approx(costs[100.0] + divergence, rel=1e-4) and divergence > 0


def test_the_best_of_some_is_the_mean_over_all_choices():
    errors = np.random.default_rng(0).uniform(0, 9, (6, 3))
    for count in (1, 2, 5, 6):
        by_hand = np.mean([errors[list(some)].min(0) for some in combinations(range(6), count)], axis=0)
        assert best_of(errors, count) == pytest.approx(by_hand)


def test_distance_is_over_all_pairs_of_colourings_and_errors_are_at_full_size():
    drawn = list(torch.randn(20, 2, 2, 4, 4).double())
    found = figures(drawn, torch.zeros(2, 2, 4, 4))
    pairs = [(one - other).square().mean((1, 2, 3)).numpy() for one, other in combinations(drawn, 2)]
    assert found[:, 3] == pytest.approx(np.mean(pairs, axis=0))
    assert found[:, 0] == pytest.approx(np.mean([one.square().mean((1, 2, 3)).numpy() for one in drawn], axis=0))
    assert figures(drawn, torch.zeros(2, 2, 16, 16)).shape == (2, 4)


def test_an_answer_does_not_depend_on_the_pictures_beside_it_and_holds_twenty_colourings():
    task, network, _, _ = trained(0)
    media = ToyPictures(16, red_or_green)
    puzzles = [task.held_out().draw(media, Key(0, 0, i)) for i in range(4)]
    with torch.no_grad():
        together = task.answers(network.eval(), task.collate(puzzles)).scores
        alone = task.answers(network, task.collate(puzzles[2:3])).scores
    assert torch.allclose(together[2:3], alone, atol=1e-4)
    assert len(task.imagined(together)) == IMAGINED and task.decodings(together)["regression"].shape == (4, 2, 8, 8)


def test_a_classification_has_no_latent_variable():
    with pytest.raises(UserError, match="--latent 2 is of the regression; give --target regression or both"):
        Colorization(replace(SMALL, target="classification"))
