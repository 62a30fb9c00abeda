"""An encoder leaves its run from the command line."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from probe_media import write_run

import avssl as package
from avssl.networks.config import VisionConfig
from avssl.networks.saving import save_module
from avssl.networks.vision import VisionEncoder


@pytest.fixture(scope="module")
def several(tmp_path_factory) -> Path:
    return write_run(tmp_path_factory.mktemp("runs") / "several", "multi-task", ("vision", "vision-jigsaw", "audio"))


def _read(path: Path) -> torch.nn.Module:
    return torch.export.load(path).module()


def test_the_encoder_that_is_named_is_the_one_exported(avssl, several, tmp_path):
    frames = torch.from_numpy(np.random.default_rng(0).integers(0, 256, (2, 3, 32, 32), np.uint8))
    model = package.load(several)
    for name, flags in (("vision", ()), ("vision-jigsaw", ("--encoder", "vision-jigsaw"))):
        result = avssl("export", several, "-o", tmp_path / f"{name}.pt2", *flags)
        assert (result.status, result.err) == (0, "")
        assert f"encoder {name}, architecture small, side 32" in result.out
        assert "takes frames, uint8 (N, 3, 32, 32); gives map" in result.out
        assert "largest difference to the module: 0" in result.out
        assert f"torch.export.load('{name}.pt2').module()" in result.out
    assert torch.equal(_read(tmp_path / "vision.pt2")(frames), model.vision(frames))
    assert not torch.equal(_read(tmp_path / "vision-jigsaw.pt2")(frames), model.vision(frames))


def test_the_128_numbers_of_a_run_of_correspondence(avssl, finished, tmp_path):
    result = avssl("export", finished, "--encoder", "audio", "--embedding", "-o", tmp_path / "audio.pt2")
    assert (result.status, result.err) == (0, "")
    model = package.load(finished)
    front_end = model.audio_encoder.config.front_end
    sound = torch.randn(2, round(front_end.rate * front_end.seconds))
    torch.testing.assert_close(_read(tmp_path / "audio.pt2")(sound), model.audio(sound, front_end.rate))


def test_torchvisions_weights_by_the_suffix(avssl, tmp_path):
    run = write_run(tmp_path / "run")
    save_module(VisionEncoder(VisionConfig("alexnet", side=64)).eval(), run / "encoders" / "vision")
    result = avssl("export", run, "-o", tmp_path / "alexnet.pth")
    assert (result.status, result.err) == (0, "")
    assert "net.load_state_dict(torch.load('alexnet.pth'))" in result.out
    assert set(torch.load(tmp_path / "alexnet.pth")) == {
        f"features.{k}.{part}" for k in (0, 3, 6, 8, 10) for part in ("weight", "bias")
    }


@pytest.mark.parametrize(
    ("words", "line"),
    [
        ((), "avssl export needs RUN"),
        (("{run}",), "needs -o FILE"),
        (("{run}", "-o", "a.bin"), "the suffix must be one of .safetensors, .pth, .onnx, .pt2; or give --format"),
        (("{run}", "-o", "a.bin", "--format", "tflite"), "--format needs one of torchvision, onnx, torch-export"),
        (("{run}", "-o", "a.pth"), "torchvision has no network like the encoder 'small'"),
        (("{run}", "-o", "a.pth", "--embedding"), "torchvision's networks have no 128-d embedding"),
        (("{run}", "-o", "a.pt2", "--embedding"), "has no 128-d embedding; --embedding needs a run of"),
        (("{run}", "-o", "a.pt2", "--embedding", "--encoder", "vision-jigsaw"), "--embedding needs --encoder vision"),
        (("{run}", "-o", "a.pt2", "--encoder", "vison"), "did you mean 'vision'?"),
        (("nowhere", "-o", "a.pt2"), "nowhere is no folder"),
    ],
)
def test_what_is_wrong_is_reported_in_one_line(avssl, several, tmp_path, monkeypatch, words, line):
    monkeypatch.chdir(tmp_path)
    result = avssl("export", *(word.format(run=several) for word in words))
    assert result.status == 2
    assert result.err.startswith("avssl: ")
    assert line in result.err
    assert result.err.count("\n") == 1
    assert not list(tmp_path.iterdir())
