"""How far it is, for people and for programs."""

from __future__ import annotations

import io
import re
from pathlib import Path

import pytest

import avssl
from avssl.cli.main import main
from avssl.system import console
from avssl.system.console import counted, counting, duration, log, print_lines, progress


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_without_a_terminal_a_line_now_and_then_says_how_far_it_is_and_what_is_left(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    now = [0.0]
    monkeypatch.setattr(console.time, "monotonic", lambda: now[0])
    with progress("preparing", "clip") as on_progress, progress("auditing", "%") as of_hundred:
        for done in range(1, 5):
            now[0] += 6
            on_progress(done, 5)
            of_hundred(done, 16) if done == 4 else None
    assert capsys.readouterr().err.splitlines() == [
        "preparing: 2 of 5 clips, 18.0 s left",
        "preparing: 4 of 5 clips, 6.0 s left",
        "auditing: 25 %, 1 min 12 s left",
    ]


def test_on_a_terminal_the_time_left_runs_down_until_more_is_done(monkeypatch: pytest.MonkeyPatch) -> None:
    now = [0.0]
    monkeypatch.setattr(console.time, "monotonic", lambda: now[0])
    counts = console._Counts("preparing", "clip")
    now[0] = 10.0
    counts.know(1, 3)
    shown = []
    for now[0] in (10.0, 15.0, 40.0):
        shown.append(counts.now()[1])
    counts.know(2, 3)
    assert [*shown, counts.now()[1]] == [
        "preparing: 1 of 3 clips, 20.0 s left", "preparing: 1 of 3 clips, 15.0 s left",
        "preparing: 1 of 3 clips, 1 min 20 s left",
        "preparing: 2 of 3 clips, 20.0 s left",
    ]  # fmt: skip


def test_of_several_processes_only_the_first_shows_how_far_it_is(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(console, "LINE_EVERY_SECONDS", 0.0)
    for rank in ("0", "1"):
        monkeypatch.setenv("RANK", rank)
        with progress("preparing") as on_progress:
            on_progress(2, 2)
    assert capsys.readouterr().err == "preparing: 2 of 2 files\n"


def test_on_a_terminal_it_is_a_bar_that_is_gone_at_the_end(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setattr("sys.stderr", terminal := Terminal())
    with progress("preparing", "[clip]") as on_progress, progress("within", "that") as within:
        within(1, 2)
        on_progress(4, 4)
    shown = terminal.getvalue()
    assert "preparing: 4 of 4 [clip]s" in shown and "━" in shown
    assert shown.endswith("\x1b[2K")


def test_on_a_terminal_what_is_being_done_stands_there_before_it_is_known_how_much(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setattr("sys.stderr", terminal := Terminal())
    with progress("exporting"):
        pass
    assert "exporting" in terminal.getvalue() and "starting" not in terminal.getvalue()


def test_a_function_is_called_with_what_is_done_and_all_and_nothing_is_shown(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(console, "LINE_EVERY_SECONDS", 0.0)
    calls: list[tuple[int, int]] = []
    with counting("preparing", 8, shown=lambda done, total: calls.append((done, total))) as more:
        more(3)
        more(5)
    with counting("preparing", 8, shown=False) as more:
        more(8)
    assert calls == [(3, 8), (8, 8)]
    assert capsys.readouterr() == ("", "")


def test_a_count_agrees_with_its_noun() -> None:
    assert [counted(1, noun) for noun in ("clip", "box", "person")] == ["1 clip", "1 box", "1 person"]
    many = [counted(2, noun) for noun in ("clip", "box", "class", "batch", "query", "day", "person")]
    assert many == ["2 clips", "2 boxes", "2 classes", "2 batches", "2 queries", "2 days", "2 people"]
    assert counted(0, "clip") == "0 clips"


def test_no_message_gives_a_count_a_plural_of_its_own() -> None:
    """What :func:`counted` is for: one clip is not "1 clips"."""
    nouns = "clips|files|items|sources|puzzles|moments|steps|rows|shards|pictures|classes|boxes|pairs|videos|people"
    after_a_count = re.compile(r"\{(?:len|sum)\([^{}]*\)\} (?:" + nouns + r")\b")
    package = Path(avssl.__file__).parent
    found = [
        f"{path.relative_to(package)}: {line.strip()}"
        for path in sorted(package.rglob("*.py"))
        for line in path.read_text(encoding="utf-8").splitlines()
        if after_a_count.search(line) or re.search(r"""\{['"]e?s['"] if |else ['"]e?s['"]\}""", line)
    ]
    assert found == []


def test_durations_are_read_at_a_glance() -> None:
    assert [duration(seconds) for seconds in (4.2, 200, 7500)] == ["4.2 s", "3 min 20 s", "2 h 5 min"]


def narrow_stdout(monkeypatch: pytest.MonkeyPatch) -> Terminal:
    """Standard output of 40 columns."""
    monkeypatch.setenv("COLUMNS", "40")
    monkeypatch.setattr("sys.stdout", terminal := Terminal())
    print_lines()
    return terminal


def test_on_a_terminal_lines_are_broken_between_words_and_paths_are_not(monkeypatch: pytest.MonkeyPatch) -> None:
    narrow = narrow_stdout(monkeypatch)
    path = "/tmp/a-very-long-folder/with/a/file/that-is-not-media.mp4"
    log(f"not usable: {path}: truncated: the index of this file is missing")
    shown = narrow.getvalue().splitlines()
    assert shown == ["not usable:", f"{path}:", "truncated: the index of this file is", "missing"]


def test_on_a_terminal_the_second_column_of_a_line_stays_a_column(monkeypatch: pytest.MonkeyPatch) -> None:
    narrow = narrow_stdout(monkeypatch)
    log("in runs/mine:\n  sheet.png    puzzles of the held-out part with answers")
    assert narrow.getvalue().splitlines() == [
        "in runs/mine:",
        "  sheet.png    puzzles of the held-out",
        "               part with answers",
    ]


def test_elsewhere_a_line_stays_whole(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "40")
    print_lines()
    log(line := "a line for a file is found again by whoever looks for its words")
    assert capsys.readouterr().out == line + "\n"


def test_an_error_on_a_terminal_is_broken_between_words(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "30")
    monkeypatch.setattr("sys.stderr", terminal := Terminal())
    assert main(["index", "/nowhere/at/all"]) == 2
    shown = terminal.getvalue().splitlines()
    assert len(shown) > 1 and all(len(line) <= 30 for line in shown)
