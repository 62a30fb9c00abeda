"""How far a long piece of work has come, told to a function or shown on the screen."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import NamedTuple

from avssl.system.notebook import NotebookBar, in_notebook


class Progress(NamedTuple):
    """How far it is."""

    what: str
    """"looking at files", "preparing"."""
    done: int
    total: int
    seconds_left: float | None
    """None as long as nothing is done."""


Tell = Callable[[Progress], None]


@contextmanager
def telling(progress: Tell | bool | None) -> Iterator[Tell]:
    """A function that takes progress: the one given; a line on the screen; or one that keeps silent.

    Args:
        progress: a function of one :class:`Progress`; True a line on stderr; None such a line if stderr is a
            terminal or this is a notebook; False silence.
    """
    if callable(progress):
        yield progress
    elif progress is not False and in_notebook():
        cell = NotebookBar()
        try:
            yield lambda step: cell.update(step.done / max(step.total, 1), f"{step.what}: {step.done} of {step.total}")
        finally:
            cell.close()
    elif progress or (progress is None and sys.stderr.isatty()):
        with _line() as line:
            yield line
    else:
        yield lambda step: None


class Clockwork:
    """Counts work and tells of it, a few times a second at most, with the time left at the pace so far."""

    def __init__(self, what: str, total: int, tell: Tell, every_seconds: float = 0.2) -> None:
        self._what = what
        self._total = total
        self._tell = tell
        self._every = every_seconds
        self._began = self._told = time.monotonic()
        self.done = 0

    def step(self, count: int = 1) -> None:
        self.done += count
        now = time.monotonic()
        if now - self._told >= self._every or self.done == self._total:
            self._told = now
            left = (now - self._began) / self.done * (self._total - self.done) if self.done else None
            self._tell(Progress(self._what, self.done, self._total, left))


@contextmanager
def _line() -> Iterator[Tell]:
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeRemainingColumn
    from rich.progress import Progress as Bar

    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Bar(*columns, console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task("", total=None)

        def tell(step: Progress) -> None:
            bar.update(task, description=step.what, completed=step.done, total=step.total)

        yield tell
