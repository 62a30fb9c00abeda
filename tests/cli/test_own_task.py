"""A task of one's own: the very file that docs/own-task.md shows, in a folder of its own, used on the command line."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

pytestmark = pytest.mark.slow

REPOSITORY = Path(__file__).parents[2]
BRIEF = ("--width", "4", "--side", "32", "--batch-size", "8", "--validation-puzzles", "8", "--control-steps", "1")


@pytest.fixture(scope="module")
def own(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the file and with pictures that are light above and dark below."""
    folder = tmp_path_factory.mktemp("own")
    blocks = re.findall(r"```python\n(.*?)```", (REPOSITORY / "docs" / "own-task.md").read_text(), re.DOTALL)
    assert len(blocks) == 1
    (folder / "upside_down.py").write_text(blocks[0])
    (folder / "photos").mkdir()
    rng = np.random.default_rng(0)
    for number in range(48):
        sky = np.linspace(220, 40, 40)[:, None, None] + rng.normal(0, 12, (40, 40, 3))
        Image.fromarray(sky.clip(0, 255).astype(np.uint8)).save(folder / "photos" / f"{number:02d}.png")
    return folder


def call(own: Path, *words: str | Path, file: str = "upside_down.py") -> subprocess.CompletedProcess[str]:
    environment = os.environ | {"AVSSL_TASKS": str(own / file), "OMP_NUM_THREADS": "1"}
    command = [sys.executable, "-m", "avssl", *map(str, words)]
    return subprocess.run(command, capture_output=True, text=True, env=environment, cwd=own, timeout=240, check=False)


def test_it_is_named_in_the_help_without_being_imported(own: Path):
    result = call(own, "train", "--help")
    assert result.returncode == 0
    assert "Was this picture turned upside down?" in result.stdout


def test_it_is_trained_evaluated_and_shown_from_the_command_line(own: Path):
    run = own / "run"
    words = ("train", "upside-down", "--data", "photos", "--out", run, "--steps", "40", "--learning-rate", "0.01")
    result = call(own, *words, *BRIEF, "--control-puzzles", "64", "--workers", "1", "--warmup-steps", "0")
    assert result.returncode == 0, result.stderr
    rows = {row["name"]: row for row in json.loads((run / "results" / "controls.json").read_text())}
    assert {"trained", "untrained", "shuffled-labels"} <= set(rows)
    assert rows["trained"]["value"] > 0.9
    assert (run / "encoders" / "vision.safetensors").exists()
    shown = call(own, "show", "upside-down", "--run", run, "-o", own / "sheet.png")
    assert shown.returncode == 0, shown.stderr
    assert (own / "sheet.png").stat().st_size > 5000


def test_it_shares_an_encoder_with_a_built_in_task(own: Path):
    tasks = ("--tasks", "upside-down,rotation", "--data", "photos", "--steps", "2", "--workers", "0", "--no-controls")
    result = call(own, "train", "multi-task", *tasks, "--batch-size", "4", "--out", own / "both")
    assert result.returncode == 0, result.stderr


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (None, "there is no such file"),
        ("raise ValueError('half done')", "cannot be imported (ValueError: half done)"),
        ("'''Nothing in here.'''", "registers no task 'wrong'"),
    ],
)
def test_a_file_that_is_no_task_is_reported_in_a_line(own: Path, text: str | None, message: str):
    if text is not None:
        (own / "wrong.py").write_text(text)
    result = call(own, "train", "wrong", file="wrong.py")
    assert result.returncode == 2
    assert message in result.stderr
    assert "Traceback" not in result.stderr
