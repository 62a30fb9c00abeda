"""What is shown and evaluated of a run was never trained on."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from small_runs import TINY, Result

from avssl.errors import UserError
from avssl.evaluate.data.load_run import from_plain, open_run
from avssl.experiment.data import DataOptions, gather, held_out_of
from avssl.media.facts import Media
from avssl.media.indexing.index import indexed

Call = Callable[..., Result]


def paths(media: Media) -> set[str]:
    return {media.facts(i).path for i in range(len(media))}


@pytest.mark.parametrize("flag", ["--controls", "--no-controls"])
def test_what_a_run_is_evaluated_on_was_not_trained_on(
    avssl: Call, clips: Path, tmp_path: Path, flag: str, caplog: pytest.LogCaptureFixture
):
    out = tmp_path / "run"
    assert avssl("train", "av-correspondence", "--data", clips, "--out", out, "--steps", 1, *TINY, flag).status == 0
    run = open_run(out)
    caplog.clear()
    parts = gather(run.task, from_plain(DataOptions, run.config), 0, need_test=flag == "--controls")
    assert not paths(held_out_of(run)) & paths(parts.train)
    assert any("validation part" in line for line in caplog.messages) is (flag == "--no-controls")
    result = avssl("evaluate", "av-correspondence", "--run", out, "--puzzles", 8)
    assert result.status == 0, result.err
    assert avssl("show", "av-correspondence", "--run", out, "--count", 2, "-o", tmp_path / "a.png").status == 0


def test_a_run_that_held_nothing_out_wants_data(avssl: Call, clips: Path, tmp_path: Path):
    for number in range(3):  # too few sources to validate on
        (tmp_path / "few" / f"{number}.mp4").parent.mkdir(exist_ok=True)
        (tmp_path / "few" / f"{number}.mp4").write_bytes((clips / f"{number:02d}.mp4").read_bytes())
    words = ("--data", tmp_path / "few", "--out", tmp_path / "run", "--steps", 1, *TINY, "--no-controls")
    assert avssl("train", "av-correspondence", *words).status == 0
    with pytest.raises(UserError, match="give held-out data with --data"):
        held_out_of(open_run(tmp_path / "run"))


def test_a_file_that_breaks_after_it_was_indexed_costs_itself_alone(
    avssl: Call, clips: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    def broken_at_once(*args: Any, **options: Any) -> Any:
        found = indexed(*args, **options)
        calls.append(found)
        for name in ("03.mp4", "08.mp4") if len(calls) % 2 == 0 else ():
            content = bytearray((videos / name).read_bytes())
            start = content.index(b"mdat") + 4
            content[start : start + len(content) // 2] = bytes(len(content) // 2)
            (videos / name).write_bytes(content)
        return found

    calls: list[Any] = []  # few files are looked into once before torch is loaded, and once by the training
    videos = tmp_path / "videos"
    monkeypatch.setattr("avssl.media.opening.indexed", broken_at_once)
    words = ("train", "av-correspondence", "--data", videos, "--steps", 2, *TINY)
    shutil.copytree(clips, videos)
    result = avssl(*words, "--out", tmp_path / "skip", "--on-bad-file", "skip")
    assert result.status == 0, result.err
    assert "skipped: " in result.out
    shutil.rmtree(videos)
    shutil.copytree(clips, videos)
    result = avssl(*words, "--out", tmp_path / "raise")
    assert result.status == 2 and ("03.mp4" in result.err or "08.mp4" in result.err)
