"""Colours as classes."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch

from avssl.networks.colour import rgb_to_lab
from avssl.tasks.colorization.colour_bins import (
    bin_centres,
    decode,
    entropy,
    equal_bins,
    nearest,
    rebalancing,
    sample,
    smoothed_prior,
    soft_encode,
)

CENTRES = torch.tensor([[0.0, 0.0], [20.0, 0.0], [0.0, 20.0], [40.0, 40.0]])


def pixels(*ab: tuple[float, float]) -> torch.Tensor:
    return torch.tensor(ab).T.reshape(1, 2, 1, len(ab))


def test_every_colour_of_a_screen_lies_in_a_bin_and_every_bin_holds_one():
    frames = torch.rand(1, 3, 256, 256, generator=torch.Generator().manual_seed(0))
    ab = rgb_to_lab(frames)[:, 1:]
    for grid in (10.0, 20.0):
        centres = bin_centres(grid)
        rounded = (ab / grid).round().to(torch.int64)[0].flatten(1).T.numpy()
        occurring = {(float(a), float(b)) for a, b in np.unique(rounded, axis=0) * grid}
        known = {(float(a), float(b)) for a, b in centres}
        assert len(known) == len(centres)
        # Corners of the gamut are sampled thinly by chance; hardly a colour may fall outside.
        assert len(occurring - known) <= 0.02 * len(known)
    assert len(bin_centres(10.0)) > 3 * len(bin_centres(20.0))


def test_equal_bins_hold_about_as_many_pixels_each():
    rng = np.random.default_rng(0)
    grey, coloured = rng.normal(0, 2, (9000, 2)), rng.normal((30, 20), 15, (1000, 2))
    ab = np.concatenate([grey, coloured])
    centres = torch.from_numpy(equal_bins(ab, 16))
    assert centres.shape == (16, 2)
    held = np.bincount(nearest(torch.from_numpy(ab).float().T[None, :, :, None], centres, 1)[0].flatten(), minlength=16)
    grid = np.unique(np.round(ab / 10), axis=0, return_counts=True)[1]
    assert held.max() < 2.5 * len(ab) / 16 and held.min() > 0.2 * len(ab) / 16
    assert grid.max() > 0.8 * len(ab)  # of a square grid one bin has nearly all


def test_equal_bins_keep_pixels_of_one_colour_together():
    ab = np.array([[0.0, 0.0]] * 90 + [[10.0, 0.0]] * 4 + [[20.0, 0.0]] * 3 + [[0.0, 40.0]] * 3)
    centres = equal_bins(ab, 4)
    assert sorted(map(tuple, centres.tolist())) == [(0.0, 0.0), (0.0, 40.0), (10.0, 0.0), (20.0, 0.0)]
    assert equal_bins(ab[::-1], 2).shape == (2, 2)
    with pytest.raises(ValueError, match="only 4 different colours"):
        equal_bins(ab, 5)


def test_all_neutral_greys_are_one_colour_to_equal_bins():
    levels = torch.arange(256, dtype=torch.uint8).view(1, 1, 16, 16).expand(1, 3, 16, 16)
    greys = rgb_to_lab(levels)[0, 1:].flatten(1).T.double().numpy()
    assert 0 < np.abs(greys).max() < 1e-3  # rounding, which differs from level to level
    coloured = np.random.default_rng(0).normal(0, 20, (200, 2))
    centres = equal_bins(np.concatenate([greys] * 4 + [coloured]), 16)
    apart = np.linalg.norm(centres[:, None] - centres[None], axis=-1) + np.eye(16) * 99
    assert apart.min() > 0.1
    with pytest.raises(ValueError, match="only 1 different colours"):
        equal_bins(greys, 2)


def test_soft_encoding_weighs_the_nearest_bins_by_a_gaussian():
    bins, shares = soft_encode(pixels((5.0, 0.0)), CENTRES, neighbours=2, sigma=10.0)
    near, far = math.exp(-25 / 200), math.exp(-225 / 200)
    assert bins.flatten().tolist() == [0, 1]
    assert shares.flatten().tolist() == pytest.approx([near / (near + far), far / (near + far)])


def test_one_neighbour_is_the_nearest_bin_alone():
    bins, shares = soft_encode(pixels((19.0, 3.0), (33.0, 38.0)), CENTRES, neighbours=1, sigma=5.0)
    assert bins.flatten().tolist() == [1, 3] and shares.flatten().tolist() == [1.0, 1.0]
    assert nearest(pixels((19.0, 3.0)), CENTRES, 1)[1].item() == pytest.approx(10.0)


@pytest.mark.parametrize("mix", [0.0, 0.5, 0.9, 1.0])
def test_rebalancing_has_expectation_1_and_prefers_the_rare(mix):
    prior = np.array([0.7, 0.2, 0.1])
    weights = rebalancing(prior, mix)
    assert (prior * weights).sum() == pytest.approx(1)
    assert np.allclose(weights, 1) if mix == 1 else weights[0] < weights[1] < weights[2]
    if mix == 0.5:
        by_hand = 1 / (0.5 * prior + 0.5 / 3)
        assert weights == pytest.approx(by_hand / (prior * by_hand).sum())


def test_the_smoothed_prior_sums_to_1_and_gives_neighbours_a_share():
    centres = np.array([[0, 0], [10, 0], [80, 0]], np.float32)
    prior = smoothed_prior(np.array([1.0, 0.0, 0.0]), centres, sigma=5.0)
    assert prior.sum() == pytest.approx(1)
    assert prior[0] > prior[1] > 0.05 and prior[2] < 1e-6


def test_annealed_mean_is_the_mean_at_1_and_the_mode_near_0():
    share = torch.tensor([0.5, 0.3, 0.2, 1e-9])
    logits = share.log().view(1, 4, 1, 1)
    assert decode(logits, CENTRES, 1.0).flatten().tolist() == pytest.approx([6.0, 4.0], abs=1e-4)
    assert decode(logits, CENTRES, 0.01).flatten().tolist() == pytest.approx([0.0, 0.0], abs=1e-4)
    cooled = share ** (1 / 0.38) / (share ** (1 / 0.38)).sum()
    assert decode(logits, CENTRES, 0.38)[0, 0].item() == pytest.approx(float(20 * cooled[1]), abs=1e-3)


def test_samples_follow_the_distribution_and_keep_a_picture_in_one_piece():
    share = torch.tensor([0.6, 0.3, 0.1, 1e-9])
    logits = share.log().view(1, 4, 1, 1).expand(1, 4, 2, 2)
    drawn = [sample(logits, CENTRES, 0.02, np.random.default_rng(seed))[0] for seed in range(600)]
    assert all(torch.equal(ab, ab[:, :1, :1].expand_as(ab)) for ab in drawn)
    predicted = [tuple(round(float(v) / 20) for v in ab[:, 0, 0]) for ab in drawn]
    for number, (a, b) in enumerate([(0, 0), (1, 0), (0, 1)]):
        assert abs(predicted.count((a, b)) / 600 - float(share[number])) < 0.06


def test_the_best_constant_answer_to_an_even_mix_costs_its_entropy():
    assert entropy(np.array([2.0, 2.0, 0.0])) == pytest.approx(math.log(2))
