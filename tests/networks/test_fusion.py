"""The three fusions, each against its formula written out for one pair at a time."""

from __future__ import annotations

import math

import pytest
import torch

from avssl.networks.fusion import FUSIONS

NAMES = ["l3", "ave", "avol"]


@pytest.fixture(params=NAMES)
def made(request):
    torch.manual_seed(0)
    fusion = FUSIONS[request.param](12, 10)
    maps, sounds = torch.randn(4, 12, 3, 2), torch.randn(5, 10, 2, 6)
    with torch.no_grad():
        for parameter in fusion.parameters():  # nothing stays at a start where terms cancel
            parameter.add_(0.1 * torch.randn_like(parameter))
        yield fusion, maps, sounds


def test_contrastive_similarities_are_inversely_proportional_to_the_temperature_where_embeddings_are_unit_vectors(made):
    fusion, maps, sounds = made
    vision, audio = fusion.embed_vision(maps), fusion.embed_audio(sounds)
    warm, cold = (fusion.similarities(vision, audio, temperature) for temperature in (1.0, 0.07))
    if fusion.name == "avol":  # a learned scale takes its place
        assert all(torch.equal(a, b) for a, b in zip(warm, cold, strict=True))
        return
    for a, b in zip(warm, cold, strict=True):
        torch.testing.assert_close(b, a / 0.07)
        cosine = torch.tensor([[float(torch.cosine_similarity(v, s, dim=0)) for s in audio] for v in vision])
        torch.testing.assert_close(a, cosine, atol=1e-5, rtol=1e-5)


def test_every_entry_of_all_pairs_is_the_formula_of_that_picture_and_that_sound(made):
    fusion, maps, sounds = made
    matrix = fusion.all_pairs(fusion.embed_vision(maps), fusion.embed_audio(sounds))
    assert matrix.shape == (4, 5)
    for i, row in enumerate(matrix):
        for j, logit in enumerate(row):
            assert float(logit) == pytest.approx(_by_hand(fusion, maps[i], sounds[j]), abs=2e-4)


def _by_hand(fusion, places, sound):
    """The logit of one picture (C, h, w) and one sound (C, f, t)."""
    heard = sound.flatten(1).max(1).values
    if fusion.name == "l3":
        seen = places.flatten(1).max(1).values
        hidden = fusion.vision.weight @ seen + fusion.vision.bias + fusion.audio.weight @ heard
        no, yes = fusion.classifier(hidden.clamp_min(0)).tolist()
        return math.log(math.exp(yes) / math.exp(no))
    if fusion.name == "ave":
        seen, heard = fusion.vision(places.flatten(1).max(1).values), fusion.audio(heard)
        distance = float((seen / seen.norm() - heard / heard.norm()).norm())
        return float(fusion.slope) * (float(fusion.threshold) - distance)
    products = [float(fusion.vision(place) @ fusion.audio(heard)) for place in places.flatten(1).T]
    return float(fusion.scale) * max(products) + float(fusion.bias)


def test_heat_is_the_logit_of_a_picture_that_shows_this_place_everywhere(made):
    fusion, maps, sounds = made
    audio = fusion.embed_audio(sounds[:4])
    heat = fusion.heat(maps, audio)
    for y in range(3):
        for x in range(2):
            only = maps[:, :, y : y + 1, x : x + 1].expand_as(maps)
            torch.testing.assert_close(
                heat[:, y, x], fusion.pairs(fusion.embed_vision(only), audio), atol=1e-4, rtol=1e-4
            )


def test_avols_similarities_are_its_largest_place_and_its_pooled_map_both_scaled_and_without_the_bias():
    torch.manual_seed(0)
    fusion = FUSIONS["avol"](12, 10)
    maps, sounds = torch.randn(4, 12, 3, 2), torch.randn(5, 10, 2, 6)
    with torch.no_grad():
        fusion.bias.fill_(3.0)
        fusion.scale.fill_(0.5)
        vision, audio = fusion.embed_vision(maps), fusion.embed_audio(sounds)
        largest, pooled = fusion.similarities(vision, audio, 0.07)
        torch.testing.assert_close(largest + 3, fusion.all_pairs(vision, audio), atol=1e-5, rtol=1e-5)
        whole = fusion.vision(maps.flatten(2).max(-1).values)
        torch.testing.assert_close(pooled, 0.5 * whole @ audio.T, atol=1e-5, rtol=1e-5)
        torch.testing.assert_close(fusion.vectors(vision), whole)
    assert float(FUSIONS["avol"](12, 10).scale.detach()) == pytest.approx(1 / math.sqrt(128))


@pytest.mark.parametrize("name", NAMES)
def test_a_fusion_says_what_rebuilds_it(name):
    config = FUSIONS[name](12, 10).describe()["config"]
    assert config == {"name": name, "vision_channels": 12, "audio_channels": 10}
