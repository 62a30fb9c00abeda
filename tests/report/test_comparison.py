"""``avssl compare``: in which options, figures and circumstances runs differ, and what may be said of a difference."""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from dataclasses import replace
from io import StringIO
from pathlib import Path
from typing import Any

import pytest
from made_run import row, write_rows

from avssl.cli.main import main
from avssl.evaluate.core.rows import ResultRow
from avssl.report.comparison import Comparison, compare, print_comparison
from avssl.report.run_parts import read_runs
from avssl.report.tables import console


def write_run(folder: Path, rows: Sequence[ResultRow] = (), held_out: str = "same", **options: Any) -> Path:
    folder.mkdir()
    config = {"task": "rotation", "steps": 300, "seed": 0} | options
    (folder / "config.yaml").write_text(json.dumps(config))
    environment = {"time": folder.name, "versions": {"torch": "2.10" if folder.name == "a" else "2.11", "av": "18"}}
    (folder / "environment.json").write_text(json.dumps(environment))
    (folder / "data.json").write_text(json.dumps({"test": {"items": 9, "fingerprint": held_out}}))
    write_rows(folder / "results" / "controls.json", [replace(each, protocol="rotation") for each in rows])
    return folder


def compared(*runs: Path) -> Comparison:
    return compare(read_runs(runs, with_levels=False))


def test_options_that_differ_are_named_and_equal_ones_counted(tmp_path: Path):
    runs = [write_run(tmp_path / "a", steps=300), write_run(tmp_path / "b", steps=500, extra=1)]
    found = compared(*runs)
    assert list(found.options.differing) == [("steps", ["300", "500"])]
    assert list(found.options.partial) == [("extra", ["", "1"])]
    assert len(found.options.equal) == 2
    # When a run began says nothing; with which versions it was made does.
    assert list(found.environment.differing) == [("versions.torch", ["2.10", "2.11"])]


@pytest.mark.parametrize(
    ("value", "width", "apart", "sentence"),
    [
        (0.7, 0.03, True, "B's accuracy (controls) is 10.0 points higher than A's; the intervals are apart."),
        (0.5, 0.03, True, "B's accuracy (controls) is 10.0 points lower than A's; the intervals are apart."),
        (
            0.7,
            0.08,
            False,
            "B's accuracy (controls) is 10.0 points higher than A's; the intervals overlap, so this does not show that "
            "they differ.",
        ),
    ],
)
def test_a_difference_says_whether_the_intervals_are_apart(
    tmp_path: Path, value: float, width: float, apart: bool, sentence: str
):
    runs = [
        write_run(tmp_path / "a", [row("trained", 0.6)]),
        write_run(tmp_path / "b", [row("trained", value, width=width)]),
    ]
    found = compared(*runs)
    assert found.figures[0].differences[0] == pytest.approx(value - 0.6)
    assert found.figures[0].apart == (apart,)
    assert found.sentences() == [sentence]


@pytest.mark.parametrize(
    ("changed", "held_out", "reason"),
    [
        ({}, "other", "other held-out data"),
        ({"chance": 0.5}, "same", "other chance"),
        ({"command": "avssl evaluate linear --run b --data photos"}, "same", "data not known"),
        ({"split": "validation"}, "same", "other part of the data"),
        ({"value": math.nan}, "same", "no figure"),
    ],
)
def test_figures_of_other_data_are_not_subtracted(tmp_path: Path, changed: dict[str, Any], held_out: str, reason: str):
    first = row("trained", 0.6)
    runs = [
        write_run(tmp_path / "a", [first]),
        write_run(tmp_path / "b", [replace(first, **changed)], held_out=held_out),
    ]
    found = compared(*runs)
    assert found.figures[0].differences == (None,)
    assert found.sentences() == [f"B's accuracy (controls) is not compared with A's: {reason}."]


def test_without_an_interval_a_difference_is_shown_and_nothing_claimed(tmp_path: Path):
    first = row("trained", 0.6)
    runs = [write_run(tmp_path / "a", [first]), write_run(tmp_path / "b", [replace(first, value=0.9, method="range")])]
    assert compared(*runs).sentences() == [
        "B's accuracy (controls) is 30.0 points higher than A's; there is no interval to judge it by."
    ]


def test_evaluations_of_two_sets_of_data_are_two_figures(tmp_path: Path):
    runs = [write_run(tmp_path / "a"), write_run(tmp_path / "b")]
    for run, data in zip(runs, ("/photos", "/cifar"), strict=True):
        write_rows(run / "results" / "linear.json", [row("trained/conv1", 0.5, data=data)])
    write_rows(runs[1] / "results" / "linear-photos.json", [row("trained/conv1", 0.6, data="/photos")])
    found = {figure.data: figure.differences[0] for figure in compared(*runs).figures}
    assert found == {"/photos": pytest.approx(0.1), "/cifar": None}


def test_a_task_of_several_stands_beside_a_run_of_it_alone(tmp_path: Path):
    runs = [
        write_run(tmp_path / "a", [row("trained", 0.6)]),
        write_run(tmp_path / "b", [row("trained/rotation", 0.6)], task="multi-task", tasks=["rotation", "jigsaw"]),
    ]
    (runs[1] / "data.json").write_text(json.dumps({"rotation/test": {"items": 9, "fingerprint": "same"}}))
    assert compared(*runs).figures[0].differences == (0.0,)


@pytest.mark.parametrize("width", [64, 80])
def test_the_tables_fit_the_terminal_and_say_how_figures_are_judged(tmp_path: Path, width: int):
    runs = [
        write_run(tmp_path / name, [row("trained", value), row("untrained", 0.25, "accuracy-one-visible")])
        for name, value in (("a", 0.6), ("b", 0.7), ("c", 0.61))
    ]
    text = StringIO()
    print_comparison(compared(*runs), console(text, width))
    assert all(len(line.rstrip()) <= width for line in text.getvalue().splitlines())
    words = " ".join(text.getvalue().split())
    assert "10.0 points higher than A's; the intervals are apart" in words
    assert "C's accuracy (controls) is 1.0 points higher than A's; the intervals overlap" in words
    assert "none is assumed" in words


def test_what_one_run_alone_has_is_listed_once(tmp_path: Path):
    with_figures = write_run(tmp_path / "a", [row("trained", 0.6)])
    text = StringIO()
    print_comparison(compared(with_figures, write_run(tmp_path / "b")), console(text, 80))
    assert text.getvalue().count("Only A has figures of") == 1 and "Only B" not in text.getvalue()


def test_the_command_prints_and_writes_the_same(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    runs = [write_run(tmp_path / "a", [row("trained", math.nan)]), write_run(tmp_path / "b", steps=500)]
    assert main(["compare", *map(str, runs), "--json", str(tmp_path / "both.json")]) == 0
    assert "Options: 1 differ, 2 are equal" in capsys.readouterr().out
    written = json.loads((tmp_path / "both.json").read_text(), parse_constant=pytest.fail)
    assert written["options"]["differing"] == [["steps", ["300", "500"]]]


def test_what_a_user_can_cause_is_one_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    run = str(write_run(tmp_path / "a"))
    for words, line in (
        ([run], "avssl compare needs two runs or more"),
        ([run, run], "is given twice"),
        ([run, str(tmp_path / "none")], "is no folder; avssl compare needs folders of runs"),
        ([run, str(tmp_path)], "holds no run"),
    ):
        assert main(["compare", *words]) == 2
        err = capsys.readouterr().err
        assert line in err
        assert err.count("\n") == 1
