"""A decoder learns the normals of shaded balls and planes; its rows have interval, chance and company."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from made_surfaces import write_surfaces

from avssl.errors import UserError
from avssl.evaluate.core.rows import Context
from avssl.evaluate.data.encoders import weights_digest
from avssl.evaluate.transfer.normals import protocol
from avssl.evaluate.transfer.normals.angles import angles
from avssl.evaluate.transfer.normals.picture import draw_normals
from avssl.evaluate.transfer.normals.protocol import (
    NormalsChoices,
    blind_normals,
    evaluate_normals,
    fit_normals,
    normal_centres,
    normal_rows,
    predict_normals,
)
from avssl.evaluate.transfer.normals.sets import open_normals
from avssl.networks.config import VisionConfig
from avssl.networks.vision import VisionEncoder

SMALL = NormalsChoices(steps=250, batch_size=4, rate=2e-2, side=48, width=16, flip=False)
"""Not mirrored: the lamps are not."""


def encoder(seed: int = 0, name: str = "small") -> VisionEncoder:
    torch.manual_seed(seed)
    options = {"width": 8, "convs": 1, "blocks": 3, "first_stride": 1} if name in ("small", "l3") else {}
    return VisionEncoder(VisionConfig(name, side=64, **options)).eval()


@pytest.fixture(scope="module")
def surfaces(tmp_path_factory):
    return open_normals(write_surfaces(tmp_path_factory.mktemp("made") / "s", train=48, test=12))


@pytest.mark.parametrize(
    ("clusters", "steps", "rate", "limit"),
    [(0, 250, 2e-2, 5.5), pytest.param(40, 200, 1e-2, 7.0, marks=pytest.mark.slow)],
)
def test_normals_of_shaded_surfaces_are_learned_on_a_frozen_encoder(surfaces, tmp_path, clusters, steps, rate, limit):
    train, test = surfaces
    start = encoder()
    before = weights_digest(start)
    choices = replace(SMALL, clusters=clusters, steps=steps, rate=rate)
    evaluated = evaluate_normals({"trained": start}, train, test, choices)
    rows = {(row.name, row.metric): row for row in normal_rows(evaluated, test, Context("t", draws=200))}
    assert weights_digest(start) == weights_digest(evaluated.networks["trained"].encoder) == before
    trained = rows["trained", "angle-mean"]
    assert trained.value < limit
    assert rows["trained", "within-30"].value > 0.97
    blind = rows["blind/constant", "angle-mean"].value
    assert trained.chance == min(blind, rows["blind/mean-map", "angle-mean"].value) > 20
    assert trained.high < 12 and trained.clusters == 12 and trained.unit == "picture"
    assert trained.n == sum(int(one.valid.sum()) for one in test)
    draw_normals(tmp_path / "sheet.png", "surfaces", test, evaluated.networks, 48)
    assert (tmp_path / "sheet.png").stat().st_size > 20_000


@pytest.mark.parametrize("name", ["small", "l3", "alexnet", "resnet18"])
def test_an_encoder_of_any_kind_predicts_unit_vectors_at_the_size_of_the_truth(surfaces, name):
    train, _ = surfaces
    few = NormalsChoices(steps=1, batch_size=1, side=96 if name.startswith("alexnet") else 48, width=8)
    predicted = predict_normals(fit_normals(encoder(name=name), train, few, 0), train[0], few.side)
    assert predicted.shape == train[0].normals.shape
    np.testing.assert_allclose(np.linalg.norm(predicted, axis=0), 1, atol=1e-5)


def test_the_same_seed_gives_the_same_decoder_and_a_fine_tuned_encoder_learns(surfaces):
    train, _ = surfaces
    few = NormalsChoices(steps=3, batch_size=2, side=48, width=8, finetune=True)
    start = encoder()
    first = fit_normals(start, train, few, 1)
    torch.rand(5)
    again, other = fit_normals(start, train, few, 1), fit_normals(start, train, few, 2)
    state, twin = first.state_dict(), again.state_dict()
    assert all(torch.equal(state[key], twin[key]) for key in state)
    assert weights_digest(first.encoder) != weights_digest(start)
    assert not torch.equal(first.gather.whole.weight, other.gather.whole.weight)


def test_rows_have_the_gain_of_each_metric_and_the_range_of_seeds(surfaces):
    train, test = surfaces
    few = NormalsChoices(steps=1, batch_size=2, side=48, width=8, seeds=2)
    evaluated = evaluate_normals({"trained": encoder(0), "random": encoder(1)}, train, test, few)
    rows = {(row.name, row.metric): row for row in normal_rows(evaluated, test, Context("t", draws=50))}
    for metric in ("angle-mean", "angle-median", "angle-rmse", "within-11.25", "within-22.5", "within-30"):
        row = rows["trained", metric]
        seeds = [rows[f"trained/seed{k}", metric].value for k in (0, 1)]
        assert row.value == np.mean(seeds)
        assert f"range of 2 seeds: {min(seeds):.3g} to {max(seeds):.3g}" in row.note
        assert row.low <= min(rows["trained/seed0", metric].low, *seeds)  # for other seeds and other pictures
        gain = rows["gain", f"{metric}-difference"]
        first = rows["trained/seed0", metric].value - rows["random/seed0", metric].value
        assert gain.value == pytest.approx(first)
        assert gain.low <= gain.value <= gain.high


def test_blind_answers_are_means_of_the_training_normals(surfaces):
    train, _ = surfaces
    blind = blind_normals(train)
    vectors = np.concatenate([one.normals[:, one.valid].T for one in train])
    mean = vectors.mean(0)
    np.testing.assert_allclose(blind.constant, mean / np.linalg.norm(mean), atol=1e-5)
    there = np.stack([one.normals[:, 20, 30] for one in train]).sum(0)
    np.testing.assert_allclose(blind.mean_map[:, 20, 30], there / np.linalg.norm(there), atol=1e-5)
    np.testing.assert_allclose(blind.mean_map[:, 20, 0], blind.constant, atol=1e-6)  # a place without any truth


def test_centres_are_unit_vectors_near_to_what_there_is(surfaces):
    train, _ = surfaces
    centres = normal_centres(train, 40, 0)
    np.testing.assert_allclose(np.linalg.norm(centres, axis=1), 1, atol=1e-5)
    vectors = train[0].normals[:, train[0].valid].T
    assert np.degrees(np.arccos((vectors @ centres.T).max(1).clip(-1, 1))).mean() < 12
    with pytest.raises(UserError, match="more than there are different normals"):
        normal_centres(train, 10**6, 0)


def test_a_mirrored_picture_has_mirrored_normals(surfaces):
    one = surfaces[0][0]
    picture, normals, valid = protocol._shown(one, (48, 64), False)
    mirrored, turned, there = protocol._shown(one, (48, 64), True)
    assert torch.equal(picture.flip(2), mirrored)
    assert torch.equal(valid.flip(1), there)
    back = turned.flip(2) * torch.tensor([-1.0, 1.0, 1.0])[:, None, None]
    assert torch.equal(back, normals)
    assert normals.shape == (3, 24, 32)


def test_training_truth_is_picked_where_the_answer_lies(surfaces):
    one = surfaces[0][0]
    _, normals, valid = protocol._shown(one, (48, 64), False)
    larger = torch.nn.functional.interpolate(normals[None], (48, 64), mode="nearest")[0].numpy()
    both = one.valid & np.repeat(np.repeat(valid.numpy(), 2, 0), 2, 1)
    assert np.median(angles(larger, one.normals, both)) < 0.1
