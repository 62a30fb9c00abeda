"""Work whose parts are unlike shows which part it is at, and the time left."""

from __future__ import annotations

import io
import re
import time

import pytest

from avssl.system import console
from avssl.system.stages import stages

SECONDS = {"loading": 2.0, "writing": 6.0, "comparing": 1.0}


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """The time, which stands still unless a test moves it."""
    now = [100.0]
    monkeypatch.setattr(console.time, "monotonic", lambda: now[0])
    return now


def test_the_time_left_follows_how_long_the_parts_before_took(
    clock: list[float], capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(console, "LINE_EVERY_SECONDS", 0.0)
    with stages("exporting", SECONDS) as begin:
        begin("loading")
        clock[0] += 4  # twice as long as usual
        begin("writing")
        clock[0] += 6  # twice as fast as was to be feared
        begin("comparing")
    assert capsys.readouterr().err.splitlines() == [
        "exporting: loading (1 of 3), 9.0 s left",
        "exporting: writing (2 of 3), 14.0 s left",
        "exporting: comparing (3 of 3), 1.2 s left",
    ]


def test_on_a_terminal_the_time_left_runs_down_within_a_part(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setattr("sys.stderr", terminal := Terminal())
    with stages("exporting", {"loading": 3.0, "writing": 20.0}) as begin:
        begin("loading")
        for _ in range(100):
            if terminal.getvalue().count(" left") > 2:
                break
            time.sleep(0.03)
    left = re.findall(r"\(1 of 2\), ([0-9.]+) s left", terminal.getvalue())
    assert len(set(left)) > 1 and float(left[-1]) < float(left[0])


def test_where_it_is_turned_off_nothing_is_shown_and_a_function_is_called_instead(
    clock: list[float], capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(console, "LINE_EVERY_SECONDS", 0.0)
    calls: list[tuple[int, int]] = []
    for shown in (False, lambda done, total: calls.append((done, total))):
        with stages("exporting", SECONDS, shown) as begin:
            begin("loading")
            begin("comparing")  # writing was not needed
    assert calls == [(0, 3), (2, 3), (3, 3)]
    assert capsys.readouterr() == ("", "")
