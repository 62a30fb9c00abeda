"""Any module is an encoder with a function that picks its features: of pictures or of sound."""

from __future__ import annotations

import copy

import pytest
import torch
from probe_media import audio_encoder, vision_encoder, write_pictures, write_run, write_sounds
from torch import nn

import avssl
from avssl.errors import UserError
from avssl.evaluate.data.encoders import random_twin, weights_digest
from avssl.evaluate.data.features import stage_features
from avssl.media.opening import open_media
from avssl.networks.encoder import Encoder, is_image_encoder, is_waveform_encoder
from avssl.networks.front_end import FrontEndConfig

SIDE = 32


def convolutions() -> nn.Module:
    torch.manual_seed(0)
    return nn.Sequential(nn.Conv2d(3, 4, 3, 2, 1), nn.ReLU(), nn.Conv2d(4, 6, 3, 2, 1))


class Patches(nn.Module):
    """Tokens (N, 1 + places, 8), as a ViT gives them."""

    def __init__(self, patch: int = 8) -> None:
        super().__init__()
        self.cut = nn.Conv2d(3, 8, patch, patch)
        self.first = nn.Parameter(torch.randn(1, 1, 8))

    def forward(self, x):
        tokens = self.cut(x).flatten(2).transpose(1, 2)
        return torch.cat([self.first.expand(len(x), -1, -1), tokens], dim=1)


def test_the_encoders_of_a_run_and_any_module_keep_one_protocol():
    seen, heard = vision_encoder(), audio_encoder()
    module = avssl.encoder(convolutions(), side=SIDE)
    sound = avssl.encoder(nn.Conv1d(1, 4, 80, 40), role="audio", rate=8000, features=lambda net, x: net(x[:, None]))
    for encoder in (seen, heard, module, sound):
        assert isinstance(encoder, Encoder)
    assert is_image_encoder(seen) and is_image_encoder(module) and not is_image_encoder(heard)
    assert is_waveform_encoder(heard) and is_waveform_encoder(sound) and not is_waveform_encoder(module)
    assert (seen.side, heard.rate, heard.seconds) == (32, 8000, 0.5)
    assert not isinstance(nn.Linear(2, 2), Encoder)


def test_a_name_that_is_no_encoder_is_refused_with_what_there_is():
    with pytest.raises(UserError, match=r"no encoder is called 'resnett'; give timm:NAME, .* the folder of a run"):
        avssl.encoder("resnett")


def test_a_module_that_does_not_take_what_it_is_given_is_refused_with_the_shape_and_the_way_out():
    with pytest.raises(UserError, match=r"Conv1d does not take an input of shape \(2, 8000\): .*; features=lambda"):
        avssl.encoder(nn.Conv1d(1, 4, 80, 40), role="audio", rate=8000)


def test_a_module_is_given_normalised_pictures_and_says_its_stages():
    net = convolutions()
    encoder = avssl.encoder(net, side=SIDE, features=lambda net, x: {"first": net[0](x), "last.one": net(x)})
    frames = torch.randint(0, 256, (2, 3, SIDE, SIDE), dtype=torch.uint8)
    mean, std = torch.tensor([0.485, 0.456, 0.406]), torch.tensor([0.229, 0.224, 0.225])
    fed = (frames / 255 - mean.view(3, 1, 1)) / std.view(3, 1, 1)
    stages = encoder.stages(frames)
    assert list(stages) == ["first", "last-one"], "names that a file may bear"
    torch.testing.assert_close(stages["last-one"], net(fed))
    assert torch.equal(encoder(frames), stages["last-one"]) and encoder.channels == 6
    plain = avssl.encoder(net, side=SIDE, mean=(0, 0, 0), std=(1, 1, 1))
    torch.testing.assert_close(plain(frames), net(frames / 255))


def test_tokens_become_a_map_with_the_aspect_of_the_picture_without_the_class_token():
    net = Patches()
    encoder = avssl.encoder(net, side=SIDE, mean=(0, 0, 0), std=(1, 1, 1))
    frames = torch.rand(1, 3, 16, 40)
    torch.testing.assert_close(encoder(frames), net.cut(frames))
    assert encoder(frames).shape == (1, 8, 2, 5)
    with pytest.raises(UserError, match="5 tokens are no map of a picture of 24 × 32 px"):
        avssl.encoder(net, side=SIDE, features=lambda net, x: net(x)[:, :5]).stages(torch.rand(1, 3, 24, 32))
    vectors = avssl.encoder(net, side=SIDE, features=lambda net, x: net(x)[:, 0])
    assert vectors(frames).shape == (1, 8, 1, 1)


def test_features_that_are_no_tensor_are_refused_in_one_line():
    with pytest.raises(UserError, match="features must be a tensor"):
        avssl.encoder(convolutions(), side=SIDE, features=lambda net, x: {"map": None})
    with pytest.raises(UserError, match="shape \\(2,\\)"):
        avssl.encoder(convolutions(), side=SIDE, features=lambda net, x: net(x).mean((1, 2, 3)))
    with pytest.raises(UserError, match="needs side="):
        avssl.encoder(convolutions())
    with pytest.raises(UserError, match="needs rate="):
        avssl.encoder(nn.Identity(), role="audio")


def test_a_module_of_spectrograms_hears_through_a_front_end():
    front_end = FrontEndConfig("log-mel", rate=8000, bands=16, seconds=0.5)
    encoder = avssl.encoder(nn.Conv2d(1, 4, 3, 2, 1), role="audio", front_end=front_end)
    assert (encoder.rate, encoder.seconds, encoder.channels) == (8000, 0.5, 4)
    waveform = torch.randn(2, 4000)
    maps = encoder(waveform)
    assert maps.shape[:3] == (2, 4, 8), "half of the bands"
    assert torch.equal(maps, encoder.trunk_map(encoder.front_end(waveform)))


def test_features_of_any_module_are_taken_of_pictures_and_of_sounds(tmp_path):
    media = open_media(write_pictures(tmp_path / "pictures", each=2))
    features = stage_features(avssl.encoder(convolutions(), side=SIDE), media, cache=tmp_path / "cache")
    assert features.stage("features").shape == (6, 1, 6 * 8 * 8)
    sounds = open_media(write_sounds(tmp_path / "sounds", each=1))
    hears = avssl.encoder(nn.Conv1d(1, 4, 80, 40), role="audio", rate=8000, features=lambda net, x: net(x[:, None]))
    assert stage_features(hears, sounds, cache=tmp_path / "cache").stage("features").shape[0] == 2


def test_what_a_module_gives_is_what_identifies_it():
    net = convolutions()
    one = avssl.encoder(net, side=SIDE, features=lambda net, x: net(x))
    same = avssl.encoder(copy.deepcopy(net), side=SIDE, features=lambda net, x: net(x))
    other = avssl.encoder(net, side=SIDE, features=lambda net, x: 2 * net(x))
    assert weights_digest(one) == weights_digest(same) != weights_digest(other)


def test_its_random_twin_has_learned_nothing_and_depends_on_the_seed_alone():
    encoder = avssl.encoder(Patches(), side=SIDE)
    twin, again, other = (random_twin(encoder, seed) for seed in (1, 1, 2))
    frames = torch.rand(1, 3, SIDE, SIDE)
    assert torch.equal(twin(frames), again(frames)) and not torch.equal(twin(frames), other(frames))
    assert not torch.equal(twin(frames), encoder(frames)), "the encoder itself is left alone"
    assert torch.equal(twin.net.first.flatten().sort().values, encoder.net.first.flatten().sort().values)
    assert not torch.equal(twin.net.first, encoder.net.first)


def test_a_run_is_opened_by_its_role(tmp_path):
    run = write_run(tmp_path / "run", names=("vision", "audio"))
    assert is_image_encoder(avssl.encoder(run)) and is_waveform_encoder(avssl.encoder(run, role="audio"))
    with pytest.raises(UserError, match="has no audio encoder"):
        avssl.encoder(write_run(tmp_path / "seen"), role="audio")


@pytest.mark.parametrize(
    ("module", "options", "message"),
    [
        (nn.Conv2d(1, 4, 3), {"side": SIDE}, r"^Conv2d does not take an input of shape \(2, 3, 32, 32\): "),
        (convolutions(), {"side": 0}, "^side needs a whole number of pixels, not 0$"),
        (convolutions(), {"side": "32"}, "^side needs a whole number of pixels, not '32'$"),
        (convolutions(), {"side": float("nan")}, "^side needs a whole number of pixels, not nan$"),
    ],
)
def test_what_a_module_cannot_take_is_one_line(module, options, message):
    with pytest.raises(UserError, match=message):
        avssl.encoder(module, **options)
