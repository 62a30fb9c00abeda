"""What a training would do, without doing it."""

from __future__ import annotations

from pathlib import Path

import pytest
from short_runs import make_data

import avssl
from avssl.cli.main import main
from avssl.errors import UserError

SMALL = {"side": 32, "width": 4, "blocks": 3, "vision": "small", "batch_size": 4, "device": "cpu", "workers": 0}


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("data")
    make_data(folder)
    (folder / "pictures" / "broken.png").write_bytes(b"no picture")
    return folder


def test_a_dry_run_tells_what_would_be_done_and_writes_no_run(data: Path, tmp_path: Path):
    found = avssl.train("rotation", data / "pictures", tmp_path / "run", steps=100, dry_run=True, **SMALL)
    assert not (tmp_path / "run").exists()
    assert sum(found.items["rotation"].values()) == 30 and set(found.items["rotation"]) == {
        "train",
        "validation",
        "test",
    }
    assert sum(found.left_out.values()) == 1 and found.sources["rotation"] == 30
    assert found.steps == 100 and found.epochs == pytest.approx(400 / found.items["rotation"]["train"])
    assert found.seconds == pytest.approx(100 * found.step_seconds) and found.step_seconds > 0
    assert found.step_seconds == pytest.approx(found.train_seconds + found.draw_seconds), "no loader draws beside it"
    assert found.memory_bytes > 0 and found.worker_bytes == 0 and found.run_bytes > 0 and found.control_seconds > 0


def test_time_by_minutes_and_epochs_comes_to_steps(data: Path, tmp_path: Path):
    asked = {**SMALL, "dry_run": True, "controls": False}
    found = avssl.train("rotation", data / "pictures", tmp_path / "run", epochs=3, **asked)
    assert found.steps == 3 * (found.items["rotation"]["train"] // 4) and found.control_seconds == 0
    found = avssl.train("rotation", data / "pictures", tmp_path / "run", minutes=2, **asked)
    assert found.seconds == pytest.approx(120, rel=0.05)


def test_the_command_prints_it_in_lines(data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    words = ["train", "multi-task", "--tasks", "rotation,colorization", "--data", str(data / "pictures"), "--dry-run"]
    words += ["--steps", "20", "--batch-size", "2", "--rotation.side", "32", "--colorization.side", "32"]
    assert main([*words, "--device", "cpu", "--out", str(tmp_path / "run")]) == 0
    printed = capsys.readouterr()
    lines = (printed.out + printed.err).splitlines()
    for start in ("rotation: 30 items of 30 sources: ", "colorization: 30 items", "left out: ", "disk: ", "memory: "):
        assert any(line.startswith(start) for line in lines), (start, lines)
    assert any(line.startswith("steps: 20 of 2 puzzles") for line in lines)
    assert any(line.startswith("time: about ") and "for the controls" in line for line in lines)
    assert not (tmp_path / "run").exists()


def test_what_is_to_be_prepared_is_counted_and_not_prepared(data: Path, tmp_path: Path, cache: Path):
    asked = {"side": 48, "width": 4, "rate": 8000, "bands": 24, "batch_size": 4, "workers": 1, "device": "cpu"}
    before = set((cache / "prepared").glob("*"))  # other modules of this test process prepare, too
    found = avssl.train("av-correspondence", data / "clips", tmp_path / "run", steps=10, dry_run=True, **asked)
    assert found.prepared_bytes > 10_000 and found.workers == 1 and found.worker_bytes > 0
    assert set((cache / "prepared").glob("*")) == before


def test_a_dry_run_refuses_what_the_training_refuses(data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    with pytest.raises(UserError, match="no such device"):
        avssl.train("rotation", data / "pictures", tmp_path / "run", dry_run=True, **{**SMALL, "device": "abacus"})
    monkeypatch.setenv("WORLD_SIZE", "2")
    with pytest.raises(UserError, match="without torchrun"):
        avssl.train("rotation", data / "pictures", tmp_path / "run", dry_run=True, **SMALL)
