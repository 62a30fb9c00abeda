"""How it goes, for the person who waits: a bar on a terminal, a line every ten seconds elsewhere."""

from __future__ import annotations

import sys
import time
from dataclasses import dataclass, field
from typing import Any, Literal, Protocol

from avssl.system.console import log
from avssl.system.notebook import NotebookBar, in_notebook

Style = Literal["auto", "bar", "lines", "none"]

LINE_EVERY_SECONDS, DRAW_EVERY_SECONDS = 10.0, 0.25


@dataclass
class Status:
    """Where a training stands.

    Attributes:
        first_step: where this process began.
        share: the part of the whole training that is done, 0 to 1.
        waited_seconds: spent waiting for data by this process.
        figures: the newest of the loss and the measures worth showing.
    """

    first_step: int
    total_steps: int | None
    puzzles_per_step: int
    first_share: float = 0.0
    step: int = 0
    share: float = 0.0
    waited_seconds: float = 0.0
    figures: dict[str, float] = field(default_factory=dict)
    began: float = field(default_factory=time.monotonic)

    def line(self) -> str:
        """ "step 120/400 · loss 0.43 · accuracy 0.81 · 3.2 steps/s · 205 puzzles/s · waiting for data 4 % · …"."""
        place, left, rate, waited = self._pace()
        puzzles = f"{rate * self.puzzles_per_step:.0f} puzzles/s"
        parts = [f"step {place}", *self._shown(), f"{rate:.1f} steps/s", puzzles]
        return " · ".join([*parts, f"waiting for data {waited:.0f} %", f"{left} left"])

    def short(self) -> str:
        """The same for a terminal of 80 columns, what people look for first."""
        place, left, rate, waited = self._pace()
        return " · ".join([place, f"{left} left", f"{rate:.1f}/s", f"data {waited:.0f} %", *self._shown()])

    def _pace(self) -> tuple[str, str, float, float]:
        """Step of steps, time left, steps a second, and the share of time (%) spent waiting for data."""
        seconds = max(time.monotonic() - self.began, 1e-9)
        total = "" if self.total_steps is None else f"/{self.total_steps}"
        done = self.share - self.first_share
        left = spoken(seconds * (1 - self.share) / done) if done > 0 else "?"
        rate = (self.step - self.first_step) / seconds
        return f"{self.step}{total}", left, rate, 100 * self.waited_seconds / seconds

    def _shown(self) -> list[str]:
        return [f"{name} {value:.3g}" for name, value in self.figures.items()]


def spoken(seconds: float) -> str:
    """ "42 s", "3 min 05 s", "2 h 10 min"."""
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60:02d} s"
    return f"{whole // 3600} h {whole % 3600 // 60:02d} min"


class Progress(Protocol):
    """Shown from the first step to the last."""

    def update(self, status: Status) -> None:
        """Called after every step; must cost next to nothing."""

    def close(self) -> None:
        """Called at the end, whatever the end."""


def show_progress(style: Style) -> Progress:
    """ "auto": a bar on a terminal and in a notebook, else lines."""
    if style == "auto":
        style = "bar" if sys.stdout.isatty() or in_notebook() else "lines"
    if style == "bar":
        return _NotebookBar() if in_notebook() else _Bar()
    return _Lines() if style == "lines" else _Silence()


class _Lines:
    def __init__(self) -> None:
        self._logged = time.monotonic()

    def update(self, status: Status) -> None:
        now = time.monotonic()
        if now - self._logged >= LINE_EVERY_SECONDS:
            self._logged = now
            log(status.line())

    def close(self) -> None:
        """Nothing is open."""


class _Silence:
    def update(self, status: Status) -> None:
        """Nothing is shown."""

    def close(self) -> None:
        """Nothing is open."""


class _Bar:
    def __init__(self) -> None:
        from rich.progress import BarColumn, TextColumn
        from rich.progress import Progress as RichProgress

        self._bar: Any = RichProgress(BarColumn(bar_width=8), TextColumn("{task.description}"), transient=True)
        self._row = self._bar.add_task("starting", total=1.0)
        self._bar.start()
        self._drawn = 0.0

    def update(self, status: Status) -> None:
        now = time.monotonic()
        if now - self._drawn >= DRAW_EVERY_SECONDS:
            self._drawn = now
            self._bar.update(self._row, completed=status.share, description=status.short())

    def close(self) -> None:
        self._bar.stop()


class _NotebookBar:
    def __init__(self) -> None:
        self._bar = NotebookBar()
        self._drawn = 0.0

    def update(self, status: Status) -> None:
        now = time.monotonic()
        if now - self._drawn >= DRAW_EVERY_SECONDS:
            self._drawn = now
            self._bar.update(status.share, status.short())

    def close(self) -> None:
        self._bar.close()
