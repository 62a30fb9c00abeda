"""The progress of an audit as a whole."""

from __future__ import annotations

from typing import TYPE_CHECKING

from avssl.system.console import Progress

if TYPE_CHECKING:
    from avssl.tasks.base import Task

# What a step of each stage takes on one core, about.
_SECONDS = {"sources": 0.1, "measuring": 0.05, "shortcuts": 8.0, "planting": 5.0}


class AuditProgress:
    """Progress of the whole audit.

    Args:
        on_progress: called with the work done and all, in tenths of a second as guessed before.
        task: whose shortcuts and controls are tried, if any.
        items: of all data.
        measured: how many of them are measured.
        fast: whether no leak is planted.
    """

    def __init__(self, on_progress: Progress | None, task: Task | None, items: int, measured: int, fast: bool) -> None:
        from avssl.evaluate.pretext.shortcuts import known_count
        from avssl.experiment.audit.planted import can_be_planted

        self._on_progress = on_progress
        controls = 0 if task is None or fast or not can_be_planted(task) else len(task.controls()) + 1
        self._total: dict[str, float] = {
            "sources": items,
            "measuring": measured,
            "shortcuts": 0 if task is None else known_count(task),
            "planting": controls,
        }
        self._done: dict[str, float] = dict.fromkeys(self._total, 0)
        self.done("sources", 0)  # shows the bar before the first, long step

    def done(self, stage: str, count: float | None = None) -> None:
        """So many steps of a stage are done; all of it if None."""
        self._done[stage] = self._total[stage] if count is None else min(count, self._total[stage])
        if self._on_progress is not None:
            self._on_progress(self._work(self._done), self._work(self._total))

    def finish(self) -> None:
        """All is done."""
        for stage in self._total:
            self.done(stage)

    @staticmethod
    def _work(steps: dict[str, float]) -> int:
        return round(10 * sum(count * _SECONDS[stage] for stage, count in steps.items()))
