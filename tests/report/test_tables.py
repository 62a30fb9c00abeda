"""Result tables, as they are read on a terminal and in a log."""

from __future__ import annotations

import io
from dataclasses import replace

import pytest

from avssl.evaluate.core.rows import ResultRow
from avssl.report.tables import console, fitted_table, plain_table, print_rows
from avssl.system.console import log, print_lines, visible_name

SEEN = "18 of the 20 sources were trained on"
ROLES = {
    "trained": "the network that was trained",
    "vision-only": "sees the picture, hears nothing",
    "shuffled-labels": "trained on answers drawn at random",
}


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def rows(before: str) -> list[ResultRow]:
    return [
        ResultRow(name, "balanced-accuracy", 0.531, 0.43, 0.632, 1024, 0.5, "test", 0, note=before + role)
        for name, role in ROLES.items()
    ]


@pytest.mark.parametrize("before", [SEEN + "; ", ""])
def test_on_a_terminal_of_80_columns_no_figure_and_no_name_is_broken(before: str, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("COLUMNS", "80")
    monkeypatch.setenv("NO_COLOR", "1")
    monkeypatch.setenv("TERM", "dumb")
    file = Terminal()
    print_rows(rows(before), "Held out", file)
    lines = file.getvalue().splitlines()
    assert max(len(line) for line in lines) <= 80
    for name, role in ROLES.items():
        line = next(line for line in lines if line.startswith(name))
        assert line.split() == f"{name} balanced-accuracy 53.1 % 43.0 % – 63.2 % 50.0 % 1024 at chance".split()
        assert f"  {name}: {role}" in [line.rstrip() for line in lines]
    assert sum(SEEN in line for line in lines) == (1 if before else 0)


def test_on_a_narrow_terminal_the_note_of_a_network_with_several_metrics_stands_once():
    file = io.StringIO()
    print_rows(rows("") + rows(""), "Held out", file, width=80)
    assert file.getvalue().count("vision-only: sees the picture, hears nothing") == 1


def test_on_a_narrow_terminal_a_long_metric_breaks_at_its_hyphens():
    file = io.StringIO()
    long = ResultRow("trained", "accuracy-one-visible", 0.531, 0.43, 1.0, 3072, 0.5, "test", 0)
    print_rows([long, *rows("")], "Held out", file, width=80)
    lines = [" ".join(line.split()) for line in file.getvalue().splitlines()]
    assert "trained accuracy-one- 53.1 % 43.0 % – 100.0 % 50.0 % 3072 at chance" in lines
    assert "visible" in lines


def test_what_all_rows_say_in_several_clauses_stands_once():
    file = io.StringIO()
    same = [replace(row, note=f"{SEEN}; gallery of 10 pairs") for row in rows("")]
    print_rows(same, "Retrieval", file, width=80)
    assert file.getvalue().splitlines()[0] == f"Retrieval; {SEEN}; gallery of 10 pairs"
    assert file.getvalue().count("gallery of 10 pairs") == 1


def test_a_log_keeps_each_row_with_its_note_on_one_line_and_says_once_what_all_notes_say():
    file = io.StringIO()
    print_rows(rows(SEEN + "; "), "Held out", file)
    text = file.getvalue()
    assert text.splitlines()[0].rstrip() == f"Held out; {SEEN}"
    assert text.count(SEEN) == 1
    titled = io.StringIO()
    print_rows(rows(SEEN + "; "), f"a run, {SEEN}", titled)
    assert titled.getvalue().count(SEEN) == 1
    assert all(
        any(line.strip().startswith(name) and role in line for line in text.splitlines())
        for name, role in ROLES.items()
    )


def test_a_table_in_a_pipe_has_no_spaces_at_the_ends_of_its_lines() -> None:
    pipe = io.StringIO()
    console(pipe).print(plain_table(["file", "what it is"], [["a.mp4", "video"], ["a longer name.mp4", "x"]]))
    lines = pipe.getvalue().splitlines()
    assert [line for line in lines if line != line.rstrip()] == []
    assert any(line.split() == ["a.mp4", "video"] for line in lines)


@pytest.mark.parametrize("table", [plain_table, lambda *parts: fitted_table(*parts, console(io.StringIO(), 60))])
def test_no_name_steers_the_terminal_or_is_read_as_markup(table):
    file = io.StringIO()
    made = table(["file", "[/red]"], [["\x1b[2Jgone\x07\x9b1m", "[bold]ba\u202etxt.wav[/x]"]])
    console(file, 100).print(made)
    assert "\\x1b[2Jgone\\x07\\x9b1m" in file.getvalue() and "[bold]ba\\u202etxt.wav[/x]" in file.getvalue()
    assert "[/red]" in file.getvalue()


def test_a_title_is_shown_as_it_is():
    file = io.StringIO()
    console(file, 100).print(plain_table(["a"], [["b" * 60]], "nearest to [/x]\x1b[2J.wav"))
    assert file.getvalue().startswith("nearest to [/x]\\x1b[2J.wav")


def test_lines_for_people_show_what_would_steer_the_terminal(capsys):
    print_lines()
    log("wrote a\x1b[2Jb\r.mp4")
    assert capsys.readouterr().out == "wrote a\\x1b[2Jb\\r.mp4\n"
    assert visible_name("two\nlines\tand äöü 日本") == "two\\nlines\\tand äöü 日本"
