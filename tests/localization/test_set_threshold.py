"""Evaluating a run leaves the threshold that ``avssl localize`` uses as it is, unless asked."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace

import pytest

from avssl.cli.main import main
from avssl.evaluate.core.rows import ResultRow
from avssl.evaluate.core.training_overlap import Seen
from avssl.evaluate.localization import synthetic as world
from avssl.evaluate.localization.threshold import read_threshold, write_threshold


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A run whose maps, clips and fitting are stood in for: fitting gives 1.5."""
    folder = tmp_path / "run"
    folder.mkdir()
    (folder / "config.yaml").write_text("task: av-correspondence\n")
    localizer = lambda path, *_: SimpleNamespace(threshold=read_threshold(Path(path)), model=None)  # noqa: E731
    monkeypatch.setattr("avssl.localization.localizer.open_localizer", localizer)
    monkeypatch.setattr("avssl.evaluate.data.encoders.untrained", lambda *_: None)
    monkeypatch.setattr("avssl.localization.localizer.Localizer", lambda *_: None)
    for name in ("Regions", "PeakDiscs"):
        monkeypatch.setattr(f"avssl.localization.regions.{name}", lambda *_: None)
    monkeypatch.setattr("avssl.media.opening.open_media", lambda *_, **__: [0, 1, 2])
    monkeypatch.setattr(world, "is_world", lambda _: True)
    monkeypatch.setattr(world, "threshold_of", lambda *_: 1.5)
    evaluated = lambda test, models, chosen, context, threshold, *_, **__: [  # noqa: E731
        ResultRow("trained", "iou", threshold, 0, 2, 3, None, "test", 0)
    ]
    monkeypatch.setattr(world, "evaluate_world", evaluated)
    monkeypatch.setattr("avssl.experiment.protocols.localization.seen_by", lambda *_: Seen())
    return folder


def evaluate(run: Path, *words: str) -> int:
    return main(["evaluate", "localization", "--run", str(run), "--data", str(run), *words])


def test_a_run_without_a_threshold_is_given_one_and_keeps_it(run: Path, capsys: pytest.CaptureFixture[str]):
    assert evaluate(run) == 0 and read_threshold(run) == 1.5
    assert "avssl localize now uses it" in capsys.readouterr().out
    write_threshold(run, 0.3, "9 clips of somewhere")
    assert evaluate(run) == 0 and read_threshold(run) == 0.3
    predicted = capsys.readouterr().out
    assert "threshold 0.30, fitted on 9 clips of somewhere: kept" in predicted and "--set-threshold" in predicted


def test_asked_for_it_is_fitted_again(run: Path):
    write_threshold(run, 0.3, "9 clips of somewhere")
    assert evaluate(run, "--set-threshold") == 0 and read_threshold(run) == 1.5


def test_a_run_that_was_fetched_from_a_hub_is_left_as_it_is(
    run: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    fetched = run.parent / "models--lab--a" / "snapshots" / "0"
    fetched.parent.mkdir(parents=True)
    run.rename(fetched)
    monkeypatch.setattr("avssl.experiment.protocols.fetched_run", lambda _: str(fetched))
    words = ("evaluate", "localization", "--run", "hf://lab/a", "--data", str(fetched))
    assert main([*words]) == 0 and sorted(path.name for path in fetched.iterdir()) == ["config.yaml"]
    assert "none was pushed with the run" in capsys.readouterr().out
    assert main([*words, "--set-threshold"]) == 2
    assert "stays as it is; leave out --set-threshold" in capsys.readouterr().err
