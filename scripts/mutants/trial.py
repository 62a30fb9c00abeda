"""One mutant: written into the copy, tried in a fork, taken back."""

from __future__ import annotations

import contextlib
import os
import resource
import signal
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from reach import PLAIN, Tests, enter
from sample import Mutant

CPU_FACTOR, CPU_SECONDS = 5, 20
"""A fork may take this much longer than its tests do, and this much more, in seconds of CPU: a busy machine kills none.
"""

WALL_FACTOR = 4
"""And as many times that by the clock, for what waits for ever."""

MOST_BYTES = 6 * 2**30
"""Of memory of its own: a loop that never ends may fill a list. Other systems than Linux count otherwise: no limit."""


@dataclass(frozen=True)
class Outcome:
    """What became of a mutant: "killed", "endless" (which counts as killed) or "survived"; by which test."""

    word: str
    by: str
    seconds: float


def try_mutant(copy: Path, mutant: Mutant, tests: Tests) -> Outcome:
    """Run these tests with the mutant in place of the file.

    Args:
        copy: a copy of the repository that nobody else uses.
    """
    path = copy / mutant.file
    whole = path.read_bytes()
    _write(path, mutant.code.encode())
    try:
        return _forked(copy, tests)
    finally:
        _write(path, whole)


def _write(path: Path, content: bytes) -> None:
    path.write_bytes(content)
    for compiled in (path.parent / "__pycache__").glob(f"{path.stem}.*.pyc"):
        compiled.unlink()  # two mutants of one size and second would be one


def _forked(copy: Path, tests: Tests) -> Outcome:
    note = copy / "failed.txt"
    note.unlink(missing_ok=True)
    begin = time.monotonic()
    limit = round(CPU_FACTOR * tests.seconds + CPU_SECONDS)
    child = os.fork()
    if not child:
        os.setsid()
        resource.setrlimit(resource.RLIMIT_CPU, (limit, limit + 5))
        if sys.platform == "linux":
            resource.setrlimit(resource.RLIMIT_DATA, (MOST_BYTES, MOST_BYTES))
        _silence(copy / "output.txt")
        enter(copy)
        status = 3
        try:
            status = int(pytest.main([*PLAIN, *tests.names], plugins=[_Note(note)]))
        finally:
            os._exit(status)
    status = _waited(child, WALL_FACTOR * limit)
    seconds = time.monotonic() - begin
    by = note.read_text() if note.exists() else ""
    if status is None or status in (-signal.SIGXCPU, -signal.SIGKILL):
        return Outcome("endless", by, seconds)
    if status == pytest.ExitCode.OK:
        return Outcome("survived", "", seconds)
    if status == pytest.ExitCode.NO_TESTS_COLLECTED:
        raise SystemExit(f"none of {tests.names} is there")
    return Outcome("killed", by or f"pytest ends with {status}", seconds)


def _waited(child: int, seconds: float) -> int | None:
    """The exit status of the child, negative for a signal; None if it had to be ended, with all that it started."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        done, status = os.waitpid(child, os.WNOHANG)
        if done:
            _end(child)  # workers that it left behind
            return os.waitstatus_to_exitcode(status)
        time.sleep(0.05)
    _end(child)
    os.waitpid(child, 0)
    return None


def _end(group: int) -> None:
    with contextlib.suppress(ProcessLookupError):
        os.killpg(group, signal.SIGKILL)


def _silence(path: Path) -> None:
    target = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
    os.dup2(target, 1)
    os.dup2(target, 2)


class _Note:
    """Writes down which test fails first."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def pytest_runtest_logreport(self, report: Any) -> None:
        if report.failed and not self._path.exists():
            self._path.write_text(report.nodeid)

    def pytest_collectreport(self, report: Any) -> None:
        if report.failed and not self._path.exists():
            self._path.write_text(f"collecting {report.nodeid}")
