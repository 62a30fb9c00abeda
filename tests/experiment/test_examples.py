"""The scripts of docs/examples do what they say, in fewer than twenty lines each."""

from __future__ import annotations

import runpy
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

import avssl
from avssl.media.facts import Media
from avssl.samplers.keys import Key
from avssl.tasks.av_correspondence.task import AVCorrespondence

pytestmark = pytest.mark.slow

EXAMPLES = Path(__file__).parents[2] / "docs" / "examples"


def run(name: str, *words: str | Path) -> dict[str, Any]:
    """Run an example as a script; its variables."""
    before, sys.argv = sys.argv, [name, *map(str, words)]
    try:
        return runpy.run_path(str(EXAMPLES / f"{name}.py"), run_name="__main__")
    finally:
        sys.argv = before


@pytest.fixture
def epochs(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """The epoch of each puzzle that is drawn."""
    seen: list[int] = []
    draw = AVCorrespondence.draw

    def spy(task: AVCorrespondence, media: Media, key: Key) -> Any:
        seen.append(key.epoch)
        return draw(task, media, key)

    monkeypatch.setattr(AVCorrespondence, "draw", spy)
    return seen


@pytest.mark.parametrize("path", sorted(EXAMPLES.glob("*.py")), ids=lambda path: path.stem)
def test_each_has_fewer_than_twenty_lines(path: Path) -> None:
    assert len([line for line in path.read_text().splitlines() if line.strip()]) < 20


@pytest.mark.parametrize(
    ("name", "needs"),
    [("bare_loop", None), ("lightning_loop", "lightning"), ("huggingface_trainer", "transformers")],
)
def test_a_loop_draws_each_epoch_s_own_puzzles(
    name: str, needs: str | None, clips: Path, tmp_path: Path, epochs: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    if needs is not None:
        pytest.importorskip(needs)
    monkeypatch.chdir(tmp_path)
    found = run(name, clips, tmp_path / "out")
    assert epochs == [0] * 12 + [1] * 12
    assert found["data"].epoch == 1


def test_a_training_is_read_without_the_command_line(
    clips: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    found = run("train_and_read", clips, tmp_path / "run")
    message = capsys.readouterr().out
    assert isinstance(found["run"], avssl.Run)
    assert "untrained" in message and "conv3 (1, 128, 16, 16)" in message
    assert (tmp_path / "run" / "answers.png").exists()


def test_a_task_of_one_s_own_is_learned(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "photos").mkdir()
    rng = np.random.default_rng(0)
    for number in range(48):  # light above and dark below
        sky = np.linspace(220, 40, 40)[:, None, None] + rng.normal(0, 12, (40, 40, 3))
        Image.fromarray(sky.clip(0, 255).astype(np.uint8)).save(tmp_path / "photos" / f"{number:02d}.png")
    found = run("own_task", tmp_path / "photos", tmp_path / "run")
    rows = {row.name: row.value for row in found["run"].results}
    assert rows["trained"] > 0.8 > rows["untrained"]
    assert "right; chance is 50 %" in capsys.readouterr().out
