"""``avssl runs``: what is in a folder of runs, whole, damaged or foreign, is listed and fits a terminal."""

from __future__ import annotations

import json
import subprocess
import sys
from io import StringIO
from pathlib import Path
from typing import Any

import pytest
from made_run import row, write_rows

from avssl.cli.main import main
from avssl.errors import UserError
from avssl.report.run_list import RunSummary, list_runs, print_runs, summary
from avssl.report.tables import console


def write_run(folder: Path, day: int = 1, done: int = 300, config: str = "", accuracy: float | None = None) -> Path:
    """A run that has logged up to step ``done`` of 300, begun on this day of January."""
    (folder / "results").mkdir(parents=True)
    (folder / "config.yaml").write_text(config or "task: rotation\nsteps: 300\ncontrols: false\n")
    (folder / "environment.json").write_text(json.dumps({"time": f"2026-01-{day:02d}T03:04:05+0000"}))
    lines: list[dict[str, Any]] = [
        {"step": step, "split": split, "task": "rotation", "loss": 2 - step / 300 + (split == "train")}
        for step in range(100, done + 1, 100)
        for split in ("train", "val")
    ]
    (folder / "metrics.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    if accuracy is not None:
        write_rows(folder / "results" / "controls.json", [row("untrained", 0.25), row("trained", accuracy)])
    return folder


def shown(folder: Path, width: int = 80) -> list[str]:
    text = StringIO()
    print_runs(list_runs([folder]), console(text, width))
    return text.getvalue().splitlines()


def words(run: RunSummary) -> list[str]:
    return [headline.words() for headline in run.headlines]


def test_runs_are_listed_with_the_newest_first_also_those_one_folder_deeper(tmp_path: Path):
    write_run(tmp_path / "old", 1)
    write_run(tmp_path / "group" / "new", 9)
    write_run(tmp_path / "middle", 5)
    found = list_runs([tmp_path, tmp_path / "old"])  # one that is given twice is listed once
    assert [run.name for run in found.runs] == ["group/new", "middle", "old"]
    assert not found.others
    assert [run.name for run in list_runs([tmp_path / "old"]).runs] == ["old"]


def test_the_headline_is_the_trained_row_of_the_controls_with_interval_and_chance(tmp_path: Path):
    assert words(summary(write_run(tmp_path / "a", accuracy=0.6))) == ["accuracy 60.0 % (57.0 – 63.0 %), chance 25.0 %"]
    assert words(summary(write_run(tmp_path / "b"))) == ["validation loss 1"]
    assert words(summary(write_run(tmp_path / "c", done=0))) == []


def test_each_task_of_a_run_of_several_has_its_own_headline(tmp_path: Path):
    run = write_run(tmp_path / "both", config="task: multi-task\ntasks: [rotation, jigsaw]\nsteps: 300\n")
    write_rows(run / "results" / "controls.json", [row("trained/jigsaw", 0.5), row("trained/rotation", 0.6)])
    assert [(one.of, one.value) for one in summary(run).headlines] == [("rotation", 0.6), ("jigsaw", 0.5)]
    assert summary(run).task == "rotation + jigsaw"


@pytest.mark.parametrize(
    ("done", "config", "progress", "state"),
    [
        (300, "steps: 300\ncontrols: false", "300/300 steps", "finished"),
        (200, "steps: 300\ncontrols: false", "200/300 steps", "not finished"),
        (300, "steps: 300\ncontrols: true", "300/300 steps", "controls missing"),
        (200, "minutes: 5.0", "200 in 5 minutes", "not finished"),
    ],
)
def test_a_run_says_how_far_it_came(tmp_path: Path, done: int, config: str, progress: str, state: str):
    found = summary(write_run(tmp_path / "run", done=done, config=f"task: rotation\n{config}\n"))
    assert (found.progress, found.state) == (progress, state)


def test_a_run_of_so_many_minutes_is_finished_when_its_sheet_is_drawn(tmp_path: Path):
    run = write_run(tmp_path / "run", config="task: rotation\nminutes: 5\n")
    (run / "sheet.png").touch()
    assert summary(run).state == "finished"


def test_of_many_folders_that_are_no_runs_a_line_is_enough(tmp_path: Path):
    write_run(tmp_path / "mine")
    for name in ("data", "[photos]", "world", "old"):
        (tmp_path / name / "within").mkdir(parents=True)
    text = " ".join(" ".join(shown(tmp_path)).split())
    assert "4 other folders hold no run: [photos], data, old, world" in text and "what is wrong" not in text


def test_damaged_and_foreign_folders_are_listed_with_the_reason(tmp_path: Path):
    (tmp_path / "photos" / "june").mkdir(parents=True)
    for name, text in (("taskless", "steps: 3"), ("broken", "a: [b"), ("binary", "\x00")):
        (tmp_path / name).mkdir()
        (tmp_path / name / "config.yaml").write_text(text)
    bad = write_run(tmp_path / "bad")
    (bad / "environment.json").write_text("{")
    (bad / "metrics.jsonl").write_bytes(b'\xff\n{"step": 7, "split": "val", "task": "rotation", "loss": NaN}\n[')
    (bad / "results" / "controls.json").write_text("[" * 100_000)
    found = list_runs([tmp_path])
    reasons = {path.name: reason for path, reason in found.others}
    assert reasons.keys() == {"photos", "taskless", "broken", "binary"}
    assert reasons["photos"] == "holds no run (there is no config.yaml in it)"
    assert "names no task" in reasons["taskless"]
    assert [run.name for run in found.runs] == ["bad"]
    assert len(found.runs[0].faults) == 2
    assert found.runs[0].steps == 7
    text = " ".join(" ".join(shown(tmp_path)).split())
    assert "results/controls.json is damaged" in text
    assert "loss –" in text
    json.loads(json.dumps(found.as_json(), allow_nan=False))


def test_names_are_shown_as_they_are(tmp_path: Path):
    """Rich would read the one as a style and the other as an emoji."""
    write_run(tmp_path / "[bold]a")
    write_run(tmp_path / "a:on:b")
    text = "\n".join(shown(tmp_path, 200))
    assert "[bold]a" in text
    assert "a:on:b" in text


@pytest.mark.parametrize("width", [64, 80, 100])
def test_the_table_fits_the_terminal_and_breaks_no_word(tmp_path: Path, width: int):
    write_run(tmp_path / "a-rather-long-name-of-a-run-with-its-seed-0", accuracy=0.6)
    write_run(tmp_path / "rotation", accuracy=0.7)
    lines = shown(tmp_path, width)
    assert all(len(line.rstrip()) <= width for line in lines)
    text = "\n".join(lines)
    for whole in ("2026-01-01 03:04", "300/300 steps", "57.0 – 63.0 %", "chance 25.0 %", "accuracy", "seed-0"):
        assert whole in text


def test_the_command_prints_and_writes_the_same_and_refuses_what_is_no_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    write_run(tmp_path / "runs" / "mine", accuracy=0.6)
    monkeypatch.chdir(tmp_path)
    assert main(["runs", "--json", "list.json"]) == 0
    assert "accuracy 60.0 % (57.0 – 63.0 %), chance 25.0 %" in capsys.readouterr().out
    assert json.loads(Path("list.json").read_text())["runs"][0]["headlines"][0]["value"] == 0.6
    with pytest.raises(UserError, match="nowhere is no folder"):
        list_runs(["nowhere"])


def test_neither_runs_nor_compare_imports_torch(tmp_path: Path):
    for name in ("a", "b"):
        write_run(tmp_path / name, accuracy=0.6)
    code = f"""
import sys
from avssl.cli.main import main
assert main(["runs", {str(tmp_path)!r}]) == 0
assert main(["compare", {str(tmp_path / "a")!r}, {str(tmp_path / "b")!r}]) == 0
print("torch" in sys.modules)
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == "False"
