"""Towers, front ends, fusions and their files."""

from __future__ import annotations

import json
import math

import numpy as np
import pytest
import torch

import avssl.networks.model as model_module
from avssl.errors import UserError
from avssl.networks.audio import AudioConfig, AudioEncoder
from avssl.networks.config import VisionConfig
from avssl.networks.front_end import FrontEnd, FrontEndConfig
from avssl.networks.fusion import FUSIONS
from avssl.networks.photometry import jitter_colours, mask_spectrogram, transpose_spectrogram
from avssl.networks.saving import load_module, save_module
from avssl.networks.vision import VisionEncoder


def test_the_published_l3_towers_have_the_published_sizes():
    vision = VisionEncoder(VisionConfig(first_stride=1)).eval()
    parameters = sum(p.numel() for p in vision.parameters())
    assert 4.6e6 < parameters < 4.8e6  # "about 4.7 M weights a tower"
    shapes = {name: tuple(x.shape[1:]) for name, x in vision.stages(torch.zeros(1, 3, 224, 224)).items()}
    assert shapes == {
        "conv1": (64, 224, 224),
        "conv2": (128, 112, 112),
        "conv3": (256, 56, 56),
        "conv4": (512, 28, 28),
    }
    ave = VisionEncoder(VisionConfig(width=4, first_stride=2))
    assert ave(torch.zeros(1, 3, 224, 224)).shape[-2:] == (14, 14)


def test_the_l3_front_end_gives_257_by_199_for_a_second_at_48_khz():
    assert FrontEnd(FrontEndConfig("l3", 48000)).raw(torch.zeros(2, 48000)).shape == (2, 257, 199)
    assert FrontEnd(FrontEndConfig("log-mel", 16000)).raw(torch.zeros(1, 16000)).shape == (1, 64, 98)
    assert FrontEnd(FrontEndConfig("openl3-mel256", 48000)).raw(torch.zeros(1, 48000)).shape == (1, 256, 199)


def test_log_mel_agrees_with_librosa():
    import librosa

    sound = np.random.default_rng(0).normal(0, 0.1, 16000).astype(np.float32)
    ours = FrontEnd(FrontEndConfig("log-mel", 16000)).raw(torch.from_numpy(sound)[None])[0].numpy()
    # librosa centres the window in the FFT; ours begins with it. The magnitude is the same for a shifted frame.
    shift = (512 - 400) // 2
    shifted = librosa.feature.melspectrogram(
        y=np.pad(sound, (shift, 512)), sr=16000, n_fft=512, win_length=400, hop_length=160, center=False, n_mels=64
    )[:, :98]
    assert np.allclose(ours, np.log(shifted + 1e-6), atol=1e-3)


def test_openl3_levels_put_each_clip_maximum_at_0_with_a_floor_of_80():
    cells = FrontEnd(FrontEndConfig("openl3-mel128", 48000)).raw(
        torch.randn(3, 48000) * torch.tensor([[1], [0.1], [0.0]])
    )
    assert torch.allclose(cells.amax((1, 2)), torch.zeros(3)) and cells.min() >= -80


@pytest.mark.parametrize("name", ["l3", "ave", "avol"])
def test_all_pairs_have_the_pairs_on_their_diagonal_and_heat_agrees(name):
    torch.manual_seed(0)
    fusion = FUSIONS[name](12, 10)
    maps, sounds = torch.randn(5, 12, 4, 3), torch.randn(5, 10, 2, 6)
    vision, audio = fusion.embed_vision(maps), fusion.embed_audio(sounds)
    matrix = fusion.all_pairs(vision, audio)
    assert matrix.shape == (5, 5)
    assert torch.allclose(matrix.diagonal(), fusion.pairs(vision, audio), atol=1e-5)
    assert fusion.vectors(vision).shape == audio.shape == (5, 128)
    heat = fusion.heat(maps, audio)
    assert heat.shape == (5, 4, 3)
    if name == "avol":
        assert torch.allclose(heat.amax((1, 2)), matrix.diagonal(), atol=1e-5)


def test_ave_starts_with_near_meaning_same_and_has_a_finite_gradient_at_distance_0():
    fusion = FUSIONS["ave"](8, 8)
    vector = torch.nn.functional.normalize(torch.randn(2, 128), dim=1).requires_grad_()
    logits = fusion.pairs(vector, vector)
    assert (logits > 0).all() and (fusion.pairs(vector, vector.flip(0)) < 0).all()
    logits.sum().backward()
    assert torch.isfinite(vector.grad).all()


def test_colours_are_jittered_as_asked_and_masks_cover_what_they_name():
    frames = torch.rand(2, 3, 4, 4)
    same = jitter_colours(frames, torch.zeros(2), torch.ones(2))
    assert torch.allclose(same, frames, atol=1e-6)
    grey = jitter_colours(frames, torch.zeros(2), torch.zeros(2))
    assert torch.allclose(grey[:, 0], grey[:, 2], atol=1e-6)
    masked = mask_spectrogram(torch.ones(1, 1, 10, 20), torch.tensor([[0.0, 0.2, 0.5, 0.75]]))
    assert masked[0, 0, :2].sum() == 0 and masked[0, 0, :, 10:15].sum() == 0 and masked.sum() == 8 * 15


def save_run(folder, norm="batch"):
    vision = VisionEncoder(VisionConfig(width=4, convs=1, side=32, norm=norm))
    audio = AudioEncoder(AudioConfig(FrontEndConfig(rate=8000, bands=16), width=4, convs=1))
    audio.front_end.set_statistics(-3.0, 2.0)
    fusion = FUSIONS["avol"](vision.channels, audio.channels)
    for name, part in {"vision": vision, "audio": audio, "fusion": fusion}.items():
        save_module(part, folder / "encoders" / name)
    return vision, audio, fusion


@pytest.mark.parametrize("wrong", [math.nan, math.inf])
def test_a_sound_with_a_sample_that_is_not_finite_is_refused(wrong, tmp_path):
    save_run(tmp_path)
    sound = np.zeros((3, 8000), np.float32)
    sound[2, 700] = wrong
    for rate in (8000, 16_000):
        with pytest.raises(UserError, match=r"^sample 700 of waveform 2 is not a finite number"):
            model_module.load(tmp_path).audio(sound, rate)


def test_what_is_saved_is_loaded_front_end_and_statistics_included(tmp_path):
    vision, audio, fusion = (part.eval() for part in save_run(tmp_path))
    model = model_module.load(tmp_path)
    frames = torch.randint(0, 256, (3, 3, 32, 32), dtype=torch.uint8)
    sound = torch.randn(3, 8000) * 0.1
    with torch.no_grad():
        assert torch.equal(model.image(frames), fusion.vectors(fusion.embed_vision(vision(frames))))
        assert torch.equal(model.audio(sound, 8000), fusion.embed_audio(audio(sound)))
    assert model.image(np.zeros((2, 3, 90, 50), np.uint8)).shape == (2, 128)
    assert model.audio(np.zeros((2, 44100), np.float32), 44100).shape == (2, 128)
    assert model.heat(frames, sound, 8000).ndim == 3
    probability = model.correspondence(frames, sound, 8000)
    assert ((probability >= 0) & (probability <= 1)).all()


def test_embeddings_of_fixed_weights_and_fixed_sound_do_not_drift():
    # An upgrade of an audio front end once changed everybody's embeddings in silence.
    t = torch.arange(16000) / 16000
    sound = (0.5 * torch.sin(2 * torch.pi * 440 * t))[None]
    cells = FrontEnd(FrontEndConfig("log-mel", 16000)).raw(sound)[0]
    peak = int(cells.mean(1).argmax())
    assert peak == 9
    assert float(cells[peak].mean()) == pytest.approx(3.862, abs=0.002)


@pytest.mark.parametrize("damage", ["missing", "truncated", "other", "json"])
def test_damaged_encoders_give_one_line(tmp_path, damage):
    save_run(tmp_path)
    weights = tmp_path / "encoders" / "vision.safetensors"
    if damage == "missing":
        weights.unlink()
    elif damage == "truncated":
        weights.write_bytes(weights.read_bytes()[:200])
    elif damage == "other":
        weights.write_bytes((tmp_path / "encoders" / "audio.safetensors").read_bytes())
    else:
        (tmp_path / "encoders" / "vision.json").write_text("{")
    with pytest.raises(UserError) as error:
        model_module.load(tmp_path)
    assert "\n" not in str(error.value) and "vision" in str(error.value)


def test_an_unknown_part_is_refused(tmp_path):
    save_run(tmp_path)
    path = tmp_path / "encoders" / "fusion.json"
    found = {
        name: value for name, value in json.loads(path.read_text()).items() if name not in ("seal", "weights_crc32")
    }
    path.write_text(json.dumps({**found, "type": "os.system"}))
    with pytest.raises(UserError, match="not known"):
        load_module(path.with_suffix(""))


def test_a_folder_that_is_no_run_is_named(tmp_path):
    with pytest.raises(UserError, match="holds no encoders"):
        model_module.load(tmp_path)
    with pytest.raises(UserError, match="not a folder"):
        model_module.load(tmp_path / "nowhere")


@pytest.mark.parametrize("name", ["resnet18"])
def test_torchvisions_resnets_serve_as_either_encoder(name):
    vision = VisionEncoder(VisionConfig(name, norm="group"))
    assert list(vision.stages(torch.zeros(1, 3, 64, 64))) == ["stem", "layer1", "layer2", "layer3", "layer4"]
    audio = AudioEncoder(AudioConfig(FrontEndConfig(rate=8000), name))
    assert audio(torch.zeros(2, 8000)).shape[:2] == (2, 512)


def test_a_transposed_spectrogram_is_shifted_along_its_bands():
    spectrogram = torch.arange(8.0).view(1, 1, 8, 1).expand(3, 1, 8, 2)
    shifted = transpose_spectrogram(spectrogram, torch.tensor([0.0, 0.25, -0.125]))
    assert shifted[0, 0, :, 0].tolist() == [0, 1, 2, 3, 4, 5, 6, 7]
    assert shifted[1, 0, :, 1].tolist() == [0, 0, 0, 1, 2, 3, 4, 5]
    assert shifted[2, 0, :, 0].tolist() == [1, 2, 3, 4, 5, 6, 7, 7]
