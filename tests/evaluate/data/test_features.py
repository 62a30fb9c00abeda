"""Features are computed once, are those of the encoder, and are distinguished by weights, data and choices."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from probe_media import SIDE, audio_encoder, vision_encoder, write_pictures, write_sounds

import avssl
from avssl.evaluate.data import features
from avssl.evaluate.data.encoders import random_twin, weights_digest
from avssl.evaluate.data.features import FeatureSpec, grid, inputs, pooled, stage_features, window_starts
from avssl.media.facts import Facts


@pytest.fixture(scope="module")
def pictures(tmp_path_factory):
    return avssl.open(write_pictures(tmp_path_factory.mktemp("pictures"), each=4), workers=0)


@pytest.mark.parametrize(
    ("channels", "places"), [(64, 12), (192, 7), (384, 5), (256, 6), (512, 4), (1024, 3), (2048, 2), (96, 10)]
)
def test_square_maps_become_as_wide_as_published(channels, places):
    assert grid(channels, 55, 55) == (places, places)


@pytest.mark.parametrize("size", [(512, 32, 12), (64, 257, 199), (64, 1000, 3), (20000, 3, 3), (8, 4, 4)])
def test_no_map_becomes_larger_than_the_limit_or_than_it_was(size):
    channels, height, width = size
    rows, columns = grid(channels, height, width)
    assert 1 <= rows <= height
    assert 1 <= columns <= width
    assert channels * rows * columns <= max(features.MOST_FEATURES, channels)


def test_pooling_keeps_the_largest_of_each_cell():
    maps = torch.arange(16.0).view(1, 1, 4, 4)
    assert pooled(maps, "max", 4).tolist() == [[5, 7, 13, 15]]
    assert pooled(maps, "average", 4).tolist() == [[2.5, 4.5, 10.5, 12.5]]


def test_features_are_the_encoders_pooled_maps(pictures, tmp_path):
    encoder = vision_encoder()
    found = stage_features(encoder, pictures, cache=tmp_path)
    frames = torch.from_numpy(np.concatenate([inputs(encoder, pictures, i, 1) for i in range(len(pictures))]))
    assert frames.shape == (12, 3, SIDE, SIDE)
    maps = encoder.stages(frames)
    assert found.stages == tuple(maps)
    for name, each in maps.items():
        expected = pooled(each).detach().numpy()
        np.testing.assert_allclose(found.stage(name)[:, 0], expected, rtol=1e-3, atol=1e-3 * expected.max())


def test_features_are_computed_once_and_read_again_unchanged(pictures, tmp_path, monkeypatch):
    fresh = stage_features(vision_encoder(), pictures, cache=tmp_path)
    before = {name: fresh.stage(name) for name in fresh.stages}
    monkeypatch.setattr(features, "_compute", lambda *_: pytest.fail("computed again"))
    again = stage_features(vision_encoder(), pictures, cache=tmp_path)
    assert all(np.array_equal(again.stage(name), before[name]) for name in fresh.stages)


def test_other_weights_data_or_choices_have_features_of_their_own(pictures, tmp_path):
    encoder = vision_encoder()
    folders = {
        stage_features(encoder, pictures, cache=tmp_path).folder,
        stage_features(vision_encoder(1), pictures, cache=tmp_path).folder,
        stage_features(encoder, pictures.subset(range(3)), cache=tmp_path).folder,
        stage_features(encoder, pictures, FeatureSpec(pool="average"), cache=tmp_path).folder,
    }
    assert len(folders) == 4


def test_the_random_twin_has_the_architecture_and_other_weights(pictures, tmp_path):
    encoder = vision_encoder()
    twin, again = random_twin(encoder, 0), random_twin(encoder, 0)
    assert twin.config == encoder.config
    assert weights_digest(twin) == weights_digest(again)
    assert len({weights_digest(one) for one in (encoder, twin, random_twin(encoder, 1))}) == 3
    ours, theirs = (stage_features(one, pictures, cache=tmp_path).stage("conv2") for one in (encoder, twin))
    assert not np.allclose(ours, theirs)


def test_the_twin_of_an_audio_encoder_hears_on_the_same_scale():
    encoder = audio_encoder()
    encoder.front_end.set_statistics(-3.0, 2.0)
    twin = random_twin(encoder, 0)
    assert float(twin.front_end.mean) == -3.0
    assert weights_digest(twin) != weights_digest(encoder)


def test_numbers_too_large_for_sixteen_bits_are_kept(pictures, tmp_path):
    encoder = vision_encoder()
    with torch.no_grad():
        first = next(p for p in encoder.trunk.parameters() if p.ndim == 4)
        first.mul_(1e6)
    frames = torch.from_numpy(np.concatenate([inputs(encoder, pictures, i, 1) for i in range(len(pictures))]))
    expected = pooled(encoder.stages(frames)["conv1"]).detach().numpy()
    assert expected.max() > 70000
    found = stage_features(encoder, pictures, cache=tmp_path).stage("conv1")[:, 0]
    np.testing.assert_allclose(found, expected, rtol=1e-3, atol=1e-3 * expected.max())


def test_a_sound_has_windows_from_its_start_to_its_end(tmp_path):
    media = avssl.open(write_sounds(tmp_path / "sounds", each=1), workers=0)
    starts = window_starts(media.facts(0), 0.5, 3)
    assert starts == pytest.approx([0.0, 0.5, 1.0], abs=0.01)
    found = stage_features(audio_encoder(), media, FeatureSpec(3), cache=tmp_path / "cache")
    assert found.stage("conv1").shape[:2] == (2, 3)


def test_windows_of_a_sound_too_short_lie_round_its_middle():
    facts = Facts("a.wav", "sound", 0.2, 0, 0, 0, 0.0, 8000, 1, 0.0, 0.2)
    assert window_starts(facts, 0.5, 2) == pytest.approx([-0.15, -0.15])


def test_an_encoder_whose_features_are_not_finite_is_refused(pictures, tmp_path: Path):
    encoder = vision_encoder()
    with torch.no_grad():
        next(iter(encoder.trunk.parameters())).fill_(float("nan"))
    with pytest.raises(avssl.UserError, match="not finite"):
        stage_features(encoder, pictures, cache=tmp_path)
    assert not list(tmp_path.iterdir())
