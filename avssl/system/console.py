"""What is said while something is done: lines by the logger "avssl", progress on stderr.

A program of one's own turns the lines off, or elsewhere, as it does with any library:
``logging.getLogger("avssl").setLevel("WARNING")``. Where nothing listens they are printed on stdout.
"""

from __future__ import annotations

import logging
import os
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from pathlib import Path

from avssl.system.notebook import NotebookBar, in_notebook

Progress = Callable[[int, int], None]
"""Called with (done, total) while something long goes on."""


LOGGER = logging.getLogger("avssl")

_heading: ContextVar[str] = ContextVar("heading", default="")
_muted: ContextVar[bool] = ContextVar("muted", default=False)


def log(text: str) -> None:
    """A line for the person who waits; of several processes only the first speaks."""
    if os.environ.get("RANK", "0") != "0" or _muted.get():
        return
    if not LOGGER.hasHandlers():
        print_lines()
    if LOGGER.level == logging.NOTSET:  # else the root's level, WARNING, holds
        LOGGER.setLevel(logging.INFO)
    LOGGER.info(_heading.get() + text)


say = log


def print_lines() -> None:
    """Print the lines of :func:`log` on stdout, as the command line does."""
    if not any(isinstance(handler, _Stdout) for handler in LOGGER.handlers):
        LOGGER.addHandler(_Stdout())


@contextmanager
def headed(name: str) -> Iterator[None]:
    """Within, each line begins with what it is about ("rotation: …"); nothing for no name."""
    token = _heading.set(f"{name}: " if name else "")
    try:
        yield
    finally:
        _heading.reset(token)


@contextmanager
def quiet() -> Iterator[None]:
    """Within, no lines: for work that is done again, aloud, later."""
    token = _muted.set(True)
    try:
        yield
    finally:
        _muted.reset(token)


class _Stdout(logging.Handler):
    def emit(self, record: logging.LogRecord) -> None:
        print(record.getMessage(), flush=True)  # sys.stdout as it is now: notebooks and tests replace it


@contextmanager
def progress(what: str, unit: str = "files") -> Iterator[Progress]:
    """A bar on a terminal and in a notebook; elsewhere a line now and then, so that a log is not flooded."""
    if in_notebook():
        cell = NotebookBar()
        try:
            yield lambda done, total: cell.update(done / max(total, 1), f"{what}: {done} of {total} {unit}")
        finally:
            cell.close()
        return
    if sys.stderr.isatty():
        from rich.console import Console
        from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeRemainingColumn
        from rich.progress import Progress as Bar

        columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TextColumn(unit))
        with Bar(*columns, TimeRemainingColumn(), console=Console(stderr=True), transient=True) as bar:
            task = bar.add_task(what, total=None)
            yield lambda done, total: bar.update(task, completed=done, total=total)
        return
    yield _Lines(what, unit)


class _Lines:
    SECONDS = 10.0

    def __init__(self, what: str, unit: str) -> None:
        self._what, self._unit = what, unit
        self._next = time.monotonic() + self.SECONDS

    def __call__(self, done: int, total: int) -> None:
        if time.monotonic() >= self._next:
            self._next = time.monotonic() + self.SECONDS
            print(f"{self._what}: {done} of {total} {self._unit}", file=sys.stderr, flush=True)


def size(count: int) -> str:
    """Bytes for people: "3.2 MB"."""
    value = float(count)
    for unit in ("bytes", "kB", "MB", "GB"):
        if value < 1000:
            return f"{value:.0f} {unit}" if unit == "bytes" or value >= 100 else f"{value:.1f} {unit}"
        value /= 1000
    return f"{value:.1f} TB"


def duration(seconds: float) -> str:
    """Seconds for people: "4.2 s", "3 min 20 s", "2 h 5 min"."""
    if seconds < 60:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    if minutes < 60:
        return f"{minutes} min {rest} s"
    return f"{minutes // 60} h {minutes % 60} min"


def folder_size(folder: Path) -> int:
    """Bytes of all files below a folder; 0 if there is none."""
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file() and not path.is_symlink())
