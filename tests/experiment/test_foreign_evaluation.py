"""Every protocol takes an encoder of another make: of timm, of a file, of a module."""

from __future__ import annotations

import runpy
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from probe_media import vision_encoder, write_pictures, write_run, write_sounds
from safetensors.torch import save_file
from torch import Tensor, nn

import avssl
from avssl.errors import UserError
from avssl.networks.exporting import Portable, exported
from avssl.networks.front_end import FrontEndConfig

EXAMPLE = Path(__file__).parents[2] / "docs" / "examples" / "evaluate_timm.py"


@pytest.fixture(scope="module")
def pictures(tmp_path_factory) -> Path:
    return write_pictures(tmp_path_factory.mktemp("pictures"), each=6)


def test_a_script_of_less_than_twenty_lines_evaluates_a_network_of_timm_beside_a_run(
    pictures, tmp_path, monkeypatch, capsys
):
    timm = pytest.importorskip("timm", reason="the extra [timm] is not installed")
    assert len(EXAMPLE.read_text().splitlines()) < 20
    torch.manual_seed(0)
    save_file(timm.create_model("test_efficientnet").state_dict(), tmp_path / "weights.safetensors")
    words = [write_run(tmp_path / "run"), pictures, "timm:test_efficientnet", tmp_path / "weights.safetensors"]
    monkeypatch.setattr(sys, "argv", ["evaluate_timm.py", *map(str, words)])
    runpy.run_path(str(EXAMPLE))
    names = [line.split()[0] for line in capsys.readouterr().out.splitlines()]
    assert {"trained", "random", "timm:test_efficientnet", "pixels"} <= set(names)


@pytest.mark.parametrize(
    ("protocol", "options"),
    [
        ("linear", {"iterations": 3}),
        ("svm", {"costs": [0.1]}),
        ("low-shot", {"shots": 2, "samples": 1, "cost": 0.1}),
        ("finetune", {"steps": 2, "batch_size": 4}),
        ("neighbors", {"neighbours": 2, "queries": 2}),
    ],
)
def test_protocols_of_labelled_pictures_take_a_vit(protocol, options, pictures, tmp_path):
    pytest.importorskip("timm", reason="the extra [timm] is not installed")
    torch.manual_seed(0)
    vit = avssl.encoder("timm:test_vit", side=32)
    rows = avssl.evaluate(protocol, vit, pictures, output=tmp_path, device="cpu", **options)
    assert {"trained", "random"} <= {row.name.split("/")[0] for row in rows}


def test_an_exported_encoder_scores_as_the_run_does_and_is_refused_where_it_would_learn(pictures, tmp_path):
    pytest.importorskip("onnxruntime", reason="the extra [export] is not installed")
    path = tmp_path / "vision.onnx"
    path.write_bytes(exported(Portable(vision_encoder()), "onnx", {"side": 32}).data)
    of_file = avssl.evaluate("knn", path, pictures, neighbours=3)
    of_run = avssl.evaluate("knn", vision_encoder(), pictures, neighbours=3, stages="conv2")
    scores = [next(row.value for row in rows if row.name == "trained") for rows in (of_file, of_run)]
    assert scores[0] == pytest.approx(scores[1], abs=0.06), "one picture of eighteen may fall otherwise"
    with pytest.raises(UserError, match=r"vision\.onnx is frozen"):
        avssl.evaluate("finetune", path, pictures, steps=1)


def test_a_module_of_spectrograms_is_probed_on_sounds(tmp_path):
    torch.manual_seed(0)
    front_end = FrontEndConfig("log-mel", rate=8000, bands=16, seconds=0.5)
    hears = avssl.encoder(nn.Conv2d(1, 4, 3, 2, 1), role="audio", front_end=front_end)
    sounds = write_sounds(tmp_path / "sounds", each=6)
    rows = avssl.evaluate("linear", hears, sounds, folds="fold", iterations=3)
    assert {"trained", "random", "mfcc"} <= {row.name for row in rows}


class Foreign(nn.Module):
    """An encoder of somebody else's, with one convolution."""

    role, channels, side = "vision", 4, 32

    def __init__(self, give: Callable[[Tensor], Any]) -> None:
        super().__init__()
        self.give, self.conv = give, nn.Sequential(nn.Conv2d(3, 4, 3, 2), nn.Dropout(0.5))
        self.calls = 0

    def stages(self, x: Tensor) -> Any:
        self.calls += 1
        return self.give(self.conv(x.float()))

    def describe(self) -> dict[str, Any]:
        return {"type": "foreign", "config": {}}


@pytest.mark.parametrize(
    ("give", "message"),
    [
        (lambda maps: {"c": maps.mean((2, 3))}, r"maps \(N, C, h, w\); of 2 inputs 'c' is \(2, 4\)"),
        (lambda maps: {"c": maps[:1]}, r"of 2 inputs 'c' is \(1, 4,"),
        (lambda maps: {"c": maps[..., :0]}, r"'c' is \(2, 4, 15, 0\)"),
        (lambda maps: {"c": maps.numpy()}, "'c' is ndarray"),
        (lambda maps: maps, "must give maps by name, .* not Tensor"),
        (lambda maps: {}, "must give maps by name"),
        (lambda maps: {"a/../b": maps}, "a name is text without slashes"),
        (lambda maps: {f"c{id(maps)}": maps}, "must name the same stages each time"),
    ],
)
def test_an_encoder_whose_stages_are_no_maps_is_refused_before_anything_is_read(
    give: Callable[[Tensor], Any], message: str
) -> None:
    with pytest.raises(UserError, match=message):
        avssl.evaluate("linear", Foreign(give), data="nowhere")  # type: ignore[arg-type]


def test_an_encoder_in_training_is_evaluated_in_eval_mode_and_trained_on(pictures: Path) -> None:
    encoder = Foreign(lambda maps: {"c": maps}).train()
    encoder.conv[0].eval()  # frozen by its owner
    options: dict[str, Any] = {"penalties": [0.1], "iterations": 2, "device": "cpu"}
    first, second = (
        [row.value for row in avssl.evaluate("linear", encoder, data=pictures, **options)]  # type: ignore[arg-type]
        for _ in range(2)
    )
    assert first == second  # no dropout
    assert encoder.training and encoder.conv[1].training and not encoder.conv[0].training


def test_a_run_and_an_encoder_at_once_are_refused(pictures: Path) -> None:
    encoder = Foreign(lambda maps: {"c": maps})
    with pytest.raises(UserError, match="a run or an encoder, not both"):
        avssl.evaluate("linear", encoder, data=pictures, run="runs/a")  # type: ignore[arg-type]
