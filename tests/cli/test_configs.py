"""Every config says what it is for, and can be trained with."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

import pytest
from small_runs import Result, write_clip

from avssl.tasks import names

pytestmark = pytest.mark.slow

Call = Callable[..., Result]
REPOSITORY = Path(__file__).resolve().parents[2]
CONFIGS = [
    pytest.param(path, id=f"{path.parent.name}/{path.stem}", marks=[pytest.mark.slow] * (path.parent.name == "paper"))
    for path in sorted((REPOSITORY / "configs").glob("*/*.yaml"), key=str)
    if path.parent.name != "claims"  # these are of `avssl reproduce`, see tests/experiment/test_claims.py
]

BRIEF = (
    *("--steps", "1", "--batch-size", "2", "--accumulate", "1", "--workers", "0", "--no-prepare", "--no-controls"),
    *("--validation-puzzles", "2", "--validate-every", "1000", "--device", "cpu", "--precision", "fp32"),
    *("--validation-share", "0.2"),
)


@pytest.fixture(scope="session")
def listed_clips(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Clips with sound, listed with the columns that configs ask for; every task can use them."""
    folder = tmp_path_factory.mktemp("listed")
    lines = ["path,label,sound,split"]
    for number in range(12):
        write_clip(folder / f"{number:02d}.mp4", number, seconds=8.0, fps=25)  # as long as the published triplets
        lines.append(f"{number:02d}.mp4,kind{number % 2},sound{number},{'test' if number > 8 else 'train'}")
    (folder / "clips.csv").write_text("\n".join(lines) + "\n")
    return folder / "clips.csv"


def header(path: Path) -> str:
    """The comment that a config opens with, as one text."""
    lines = path.read_text(encoding="utf-8").splitlines()
    opening = lines[: next(i for i, line in enumerate(lines) if not line.startswith("#"))]
    return "\n".join(line.lstrip("# ").rstrip() for line in opening)


def task_of(path: Path) -> str:
    """The task that the command in a config's comment trains."""
    found = re.search(r"\btrain ([a-z][a-z-]+)", header(path))
    assert found is not None, f"{path} does not open with its command"
    return found[1]


@pytest.mark.parametrize("path", CONFIGS)
def test_a_config_opens_with_its_command_and_trains_a_step(avssl: Call, listed_clips: Path, tmp_path: Path, path: Path):
    assert f"--config configs/{path.parent.name}/{path.name}" in header(path)
    task = task_of(path)
    assert task in names() or task == "multi-task"
    # Sixteen frames pass ViT-B in four minutes.
    tubes = ("--frames", "3", "--vision", "timm:vit_tiny_patch16_224") if path.stem == "frame-filling-tubes" else ()
    result = avssl("train", task, "--config", path, "--data", listed_clips, "--out", tmp_path / "run", *BRIEF, *tubes)
    assert result.status == 0, result.err
    assert (tmp_path / "run" / "metrics.jsonl").stat().st_size > 0
