"""The report of a real run, opened in a browser, and from there the page on which one hears what was retrieved."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

from browser import opened
from small_runs import Result

Call = Callable[..., Result]


def test_a_run_is_reported_and_its_retrieval_heard_from_there(avssl: Call, finished: Path, clips: Path, tmp_path: Path):
    run = Path(shutil.copytree(finished, tmp_path / "finished"))
    for result in (run / "results").iterdir():  # other tests judge the same run
        if result.name != "controls.json":
            result.unlink()
    assert avssl("evaluate", "retrieval", "--run", run, "--data", clips, "--draws", 20).status == 0
    page = tmp_path / "report.html"
    outcome = avssl("report", run, "-o", page)
    assert (outcome.status, outcome.err) == (0, "")
    assert outcome.out.startswith(f"{page}: 1 run, ")
    with opened(page) as shown:
        widths = shown.picture_widths()
        assert len(widths) == 1
        assert widths[0] > 400
        names = shown.tab.locator("#controls tbody th[scope=row]").all_inner_texts()
        assert names == ["trained", "untrained", "vision-only", "audio-only", "shuffled-labels"]
        shown.tab.click("#retrieval a")
        assert min(shown.picture_widths()) > 0
        shown.tab.locator("button[data-sound]").first.click()
        assert shown.becomes("player.currentTime > 0.1 && !player.paused")
    assert shown.faults == []


def test_without_a_place_the_page_lies_in_the_run_or_here(avssl: Call, tmp_path: Path, monkeypatch):
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "config.yaml").write_text("task: rotation\n")
    monkeypatch.chdir(tmp_path)
    result = avssl("report", "one")
    assert result.status == 0
    assert "one: environment.json is not there" in result.out
    assert (tmp_path / "one" / "report.html").read_text().startswith("<!doctype html>")
    assert avssl("report", "one", "two").status == 0
    assert "two" in (tmp_path / "report.html").read_text()


def test_what_a_user_can_cause_is_one_line(avssl: Call, tmp_path: Path):
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "config.yaml").write_text("task: rotation\n")
    for words, line in (
        ((), "avssl report needs RUN"),
        ((tmp_path / "nowhere",), "is no folder; avssl report needs folders of runs"),
        ((tmp_path,), "holds no run (there is no config.yaml in it)"),
        ((tmp_path / "run", "-o", "page.pdf"), "-o page.pdf must end in .html"),
        ((tmp_path / "run", "-o", tmp_path / "run" / "config.yaml" / "page.html"), "page.html"),
    ):
        result = avssl("report", *words)
        assert result.status == 2
        assert line in result.err
        assert len(result.err.strip().splitlines()) == 1
    assert not list(tmp_path.rglob("*.html"))
