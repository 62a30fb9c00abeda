"""torchvision's data sets by name."""

from __future__ import annotations

import pickle
import struct
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import yaml
from PIL import Image
from small_runs import Result

from avssl.errors import UserError
from avssl.experiment.places import open_source
from avssl.experiment.torchvision_data import open_torchvision

Call = Callable[..., Result]


def write_mnist(root: Path, train: int = 8, test: int = 4) -> np.ndarray:
    """Digits as their idx files: a magic number, the sizes, the bytes."""
    raw = root / "MNIST" / "raw"
    raw.mkdir(parents=True)
    pictures = np.random.default_rng(0).integers(0, 256, (train + test, 28, 28), dtype=np.uint8)
    for name, part in (("train", pictures[:train]), ("t10k", pictures[train:])):
        count = len(part)
        (raw / f"{name}-images-idx3-ubyte").write_bytes(struct.pack(">IIII", 2051, count, 28, 28) + part.tobytes())
        (raw / f"{name}-labels-idx1-ubyte").write_bytes(struct.pack(">II", 2049, count) + bytes(range(count)))
    return pictures


def test_pictures_splits_and_labels_are_the_data_sets_own(tmp_path: Path):
    pictures = write_mnist(tmp_path)
    media = open_source(f"torchvision:MNIST:{tmp_path}")
    assert len(media) == 12
    assert [media.facts(i).split for i in (0, 7, 8, 11)] == ["train", "train", "test", "test"]
    assert media.facts(2).label == "2 - two" and media.facts(2).width == 28 and media.facts(2).kind == "image"
    assert np.array_equal(media.frames(9, [0.0])[0], np.repeat(pictures[9][None], 3, axis=0))
    again = pickle.loads(pickle.dumps(media))
    assert np.array_equal(again.frames(3, [0.0]), media.frames(3, [0.0]))
    assert again.fingerprint == media.fingerprint


def test_a_folder_of_images_is_opened_without_reading_them(tmp_path: Path):
    for number, kind in enumerate(("cat", "dog")):
        (tmp_path / kind).mkdir()
        Image.new("RGB", (30 + number, 20), (10, 200, 30)).save(tmp_path / kind / "0.png")
    media = open_torchvision(f"torchvision:ImageFolder:{tmp_path}")
    assert [(f.label, f.width, f.split) for f in (media.facts(0), media.facts(1))] == [
        ("cat", 30, None),
        ("dog", 31, None),
    ]


def test_what_is_not_there_is_one_line(tmp_path: Path):
    with pytest.raises(UserError, match="did you mean 'CIFAR10'"):
        open_torchvision(f"torchvision:CIFAR:{tmp_path}")
    with pytest.raises(UserError, match="nothing is downloaded"):
        open_torchvision(f"torchvision:CIFAR10:{tmp_path}")
    with pytest.raises(UserError, match="is no folder"):
        open_torchvision(f"torchvision:CIFAR10:{tmp_path / 'nowhere'}")
    with pytest.raises(UserError, match="torchvision:NAME:FOLDER"):
        open_torchvision("torchvision:CIFAR10")


def test_a_run_on_them_keeps_their_name_and_place(avssl: Call, tmp_path: Path):
    write_mnist(tmp_path / "data")
    result = avssl(
        *("train", "rotation", "--data", f"torchvision:MNIST:{tmp_path / 'data'}", "--out", tmp_path / "run"),
        *("--steps", "1", "--batch-size", "2", "--width", "4", "--workers", "0", "--validation-puzzles", "2"),
        *("--control-puzzles", "4", "--control-steps", "1", "--validation-share", "0.4"),
    )
    assert result.status == 0, result.err
    config = yaml.safe_load((tmp_path / "run" / "config.yaml").read_text())
    assert config["data"] == f"torchvision:MNIST:{tmp_path / 'data'}"
