"""The progress of a training in one line."""

from __future__ import annotations

import time
from dataclasses import dataclass, field

from avssl.system.console import duration

# Of 80 columns, beside the bar of 8 and the space after it
_ROOM = 71


@dataclass
class Status:
    """Where a training stands."""

    first_step: int  # where this process began
    total_steps: int | None
    puzzles_per_step: int
    first_share: float = 0.0
    step: int = 0
    share: float = 0.0  # the part of the whole training that is done, 0 to 1
    waited_seconds: float = 0.0  # spent waiting for data by this process
    figures: dict[str, float] = field(default_factory=dict)  # the newest of the loss and the measures worth showing
    began: float = field(default_factory=time.monotonic)

    def line(self) -> str:
        """ "step 120/400 · loss 0.43 · accuracy 0.81 · 3.2 steps/s · 205 puzzles/s · waiting for data 4 % · …"."""
        place, left, rate, waited = self._pace()
        puzzles = f"{rate * self.puzzles_per_step:.0f} puzzles/s"
        parts = [f"step {place}", *self._shown(), f"{rate:.1f} steps/s", puzzles]
        return " · ".join([*parts, f"waiting for data {waited:.0f} %", f"{left} left"])

    def short(self) -> str:
        """The same for a terminal of 80 columns: what people look for first, and of the rest what fits."""
        place, left, rate, waited = self._pace()
        # How training goes on unseen clips is worth more than how it goes on those that it sees.
        shown = sorted(self._shown(), key=lambda figure: "accuracy" in figure and "held-out" not in figure)
        line = f"{place} · {left} left"
        for part in (*shown, f"{rate:.1f}/s", f"data {waited:.0f} %"):
            line += f" · {part}" if len(line) + 3 + len(part) <= _ROOM else ""
        return line

    def _pace(self) -> tuple[str, str, float, float]:
        """Step of steps, time left, steps a second, and the share of time (%) spent waiting for data."""
        # Of this process alone: a run continued after a week's rest would seem to take a week more.
        seconds = max(time.monotonic() - self.began, 1e-9)
        total = "" if self.total_steps is None else f"/{self.total_steps}"
        done = self.share - self.first_share
        left = duration(seconds * (1 - self.share) / done) if done > 0 else "?"
        rate = (self.step - self.first_step) / seconds
        return f"{self.step}{total}", left, rate, 100 * self.waited_seconds / seconds

    def _shown(self) -> list[str]:
        return [f"{name} {value:.3g}" for name, value in self.figures.items()]
