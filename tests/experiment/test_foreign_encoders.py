"""Networks of timm and torchvision train every task, by name, and their runs are runs as all others."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from experiment.short_runs import make_data
from safetensors.torch import save_file

import avssl
from avssl.errors import UserError
from avssl.evaluate.data.load_run import open_run
from avssl.localization.localizer import open_localizer
from avssl.networks.exporting import Portable, exported

timm = pytest.importorskip("timm", reason="the extra [timm] is not installed")

VIT = "timm:test_vit"
COMMON = {
    **{
        "vision": VIT,
        "steps": 2,
        "batch_size": 4,
        "workers": 0,
        "device": "cpu",
        "precision": "fp32",
        "prepare": False,
    },
    **{"validate_every": 2, "validation_puzzles": 4, "controls": False},
}
TASKS = {
    "rotation": ("pictures", {"side": 32, "pool": 1}),
    "relative-position": ("pictures", {"patch": 16, "gap": 4, "pixels_low": 4000, "pixels_high": 6000, "pool": 1}),
    "jigsaw": ("pictures", {"tile": 16, "cell": 18, "permutations": 8, "pool": 1}),
    "colorization": ("pictures", {"side": 32, "head_width": 8}),
    "inpainting": ("pictures", {"side": 32, "decoder_width": 4}),
    "instance-contrast": ("pictures", {"side": 32}),
    "video-colorization": ("clips", {"side": 48, "head_width": 8, "colours": 4}),
    "frame-filling": ("clips", {"side": 32, "head_width": 8}),
    "shuffle-learn": ("clips", {"side": 48, "gap_min": 0.1, "tau_min": 0.1, "grid": 2}),
    "av-correspondence": ("clips", {"side": 48, "fusion": "avol", "rate": 8000, "bands": 24, "width": 4}),
}


@pytest.fixture(scope="module")
def data(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("data")
    make_data(folder)
    return folder


def train(task: str, data: Path, out: Path, **options):
    name, own = TASKS[task]
    return avssl.train(task, data / name, out, **{**COMMON, **own, **options})


OFTEN = ("rotation", "jigsaw", "shuffle-learn", "av-correspondence")  # one of each kind of data and of head


@pytest.mark.parametrize("task", [pytest.param(t, marks=[pytest.mark.slow] * (t not in OFTEN)) for t in TASKS])
def test_a_vit_trains_every_task_and_its_run_is_read_back(task, data, tmp_path):
    train(task, data, tmp_path / "run")
    frames = torch.randint(0, 256, (1, 3, 48, 48), dtype=torch.uint8)
    encoder = avssl.encoder(tmp_path / "run")
    assert encoder(frames).shape == (1, 64, 3, 3)
    trained = open_run(tmp_path / "run").network.vision
    assert torch.equal(trained(frames), encoder(frames))


def test_a_run_of_a_vit_is_continued_and_localizes(data, tmp_path):
    run = tmp_path / "run"
    train("av-correspondence", data, run, checkpoint_every=1)
    learned = avssl.encoder(run).trunk.net.blocks[0].attn.qkv.weight.clone()
    sorted((run / "checkpoints").glob("*.pt"))[-1].unlink()  # as if it had been killed after its first step
    avssl.Run(run).continue_()
    assert torch.equal(avssl.encoder(run).trunk.net.blocks[0].attn.qkv.weight, learned)
    frames = np.random.default_rng(0).integers(0, 256, (2, 3, 60, 100), dtype=np.uint8)
    maps = open_localizer(run).maps(frames, np.zeros((2, 8000), np.float32))
    assert maps.shape == (2, 3, 5), "48 × 80 pixels in patches of 16"
    assert np.isfinite(maps).all()


def test_weights_from_a_file_are_what_training_starts_from(data, tmp_path):
    torch.manual_seed(5)
    theirs = timm.create_model("test_vit", num_classes=3)
    save_file(theirs.state_dict(), tmp_path / "weights.safetensors")
    train("rotation", data, tmp_path / "run", init=tmp_path / "weights.safetensors", steps=1, learning_rate=1e-9)
    learned = avssl.encoder(tmp_path / "run").trunk.net.blocks[0].attn.qkv.weight
    torch.testing.assert_close(learned, theirs.blocks[0].attn.qkv.weight)
    with pytest.raises(UserError, match="does not take these weights"):
        train("rotation", data, tmp_path / "other", vision="timm:test_vit2", init=tmp_path / "weights.safetensors")


def test_a_side_that_patches_do_not_fit_and_a_file_that_is_frozen_are_refused_before_training(data, tmp_path):
    with pytest.raises(UserError, match="patches of 16 px, so that their side must be 32 or 48 px"):
        train("rotation", data, tmp_path / "run", side=40)
    with pytest.raises(UserError, match="ONNX file is frozen"):
        train("rotation", data, tmp_path / "run", vision="encoder.onnx")


@pytest.mark.slow
def test_two_tasks_share_a_vit_though_their_pictures_are_of_two_sizes_and_it_is_exported(data, tmp_path):
    common = {name: value for name, value in COMMON.items() if name != "vision"}
    own = {"rotation": {"side": 32, "vision": VIT}, "colorization": {"side": 48, "vision": VIT, "head_width": 8}}
    run = avssl.train(list(own), data / "pictures", tmp_path / "run", mix="joint", **common, **own)
    assert sorted(run.encoders) == ["vision", "vision-colorization"]
    made = exported(Portable(run.encoders["vision"]), "torch-export", {})
    assert made.difference < 1e-4 * made.largest
