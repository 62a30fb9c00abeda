"""The command line called in this process, and a finished run."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from small_runs import TINY, Result, write_clip

from avssl.cli.main import main
from avssl.system import console as screen


@pytest.fixture(autouse=True)
def no_lines_of_progress(monkeypatch: pytest.MonkeyPatch) -> None:
    """Progress depends on the clock: on a busy machine its lines would be among what a test compares."""
    monkeypatch.setattr(screen, "LINE_EVERY_SECONDS", float("inf"))


@pytest.fixture
def avssl(capfd: pytest.CaptureFixture[str]) -> Callable[..., Result]:
    """Call the command line here; returns its exit status and what it printed."""

    def call(*words: str | Path) -> Result:
        capfd.readouterr()
        status = main([str(word) for word in words])
        return Result(status, *capfd.readouterr())

    return call


@pytest.fixture(scope="session")
def clips(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Twelve clips with sound."""
    folder = tmp_path_factory.mktemp("clips")
    for number in range(12):
        write_clip(folder / f"{number:02d}.mp4", number)
    return folder


@pytest.fixture(scope="session")
def finished(clips: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a finished run on those clips."""
    out = tmp_path_factory.mktemp("runs") / "finished"
    status = main(["train", "av-correspondence", "--data", str(clips), "--out", str(out), "--steps", "2", *TINY])
    assert status == 0
    return out
