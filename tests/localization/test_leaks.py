"""Near-duplicate frames between two folders, and the command that says so."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from avssl.cli.main import main


def picture(path: Path, seed: int, noise: int = 0) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    coarse = np.random.default_rng(seed).integers(0, 255, (9, 9, 3), dtype=np.uint8)
    pixels = np.asarray(Image.fromarray(coarse).resize((96, 96), Image.Resampling.BICUBIC), np.int16)
    pixels = pixels + np.random.default_rng(99).integers(-noise, noise + 1, pixels.shape)
    Image.fromarray(pixels.clip(0, 255).astype(np.uint8)).save(path)


def test_a_picture_that_was_saved_again_is_found_and_others_are_not(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for seed in range(6):
        picture(tmp_path / "train" / f"one{seed}.png", seed)
    picture(tmp_path / "test" / "again.jpg", 2, noise=6)
    for seed in range(20, 26):
        picture(tmp_path / "test" / f"new{seed}.png", seed)
    words = [str(tmp_path / "train"), str(tmp_path / "test"), "--frames", "-o", str(tmp_path / "out")]
    assert main(["evaluate", "leaks", *words]) == 0
    assert "1 items of" in capsys.readouterr().out
    twins = json.loads((tmp_path / "out/leaks.json").read_text())["near_duplicates"]
    assert [(Path(t["train"]).name, Path(t["test"]).name) for t in twins] == [("one2.png", "again.jpg")]


def test_lists_are_compared_by_clip_and_by_video(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "train.txt").write_text("aaaaaaaaaaa_30000_40000\nbbbbbbbbbbb_000001\n")
    (tmp_path / "test.csv").write_text("aaaaaaaaaaa_000030,7\nbbbbbbbbbbb_000200,8\nccccccccccc_000001,9\n")
    assert main(["evaluate", "leaks", str(tmp_path / "train.txt"), str(tmp_path / "test.csv")]) == 0
    out = capsys.readouterr().out
    assert "1 of 3 are in both" in out
    assert "2 of 3 are of a video that is in both" in out


def test_frames_want_folders(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "a.txt").write_text("x\n")
    assert main(["evaluate", "leaks", str(tmp_path / "a.txt"), str(tmp_path / "a.txt"), "--frames"]) == 2
    assert "two folders" in capsys.readouterr().err
