"""Progress on a terminal, drawn by rich."""

from __future__ import annotations

import sys
from collections.abc import Callable
from contextlib import suppress
from typing import Any


class TerminalBar:
    """A bar and a line of text on stderr, gone when it is closed.

    Args:
        first: what stands there until it is updated.
        now: the share and the text, asked whenever it is drawn; None: as they were given last.
    """

    def __init__(self, first: str, now: Callable[[], tuple[float, str]] | None) -> None:
        from rich.console import Console
        from rich.errors import LiveError
        from rich.progress import BarColumn, TextColumn
        from rich.progress import Progress as RichProgress

        class Drawn(RichProgress):
            def get_renderables(bar) -> Any:
                if now is not None and bar.task_ids:
                    share, text = now()
                    bar.update(bar.task_ids[0], completed=share, description=text)
                return super().get_renderables()

        self._bar = Drawn(
            BarColumn(bar_width=8),
            TextColumn("{task.description}", markup=False),
            console=Console(stderr=True),
            transient=True,
            redirect_stdout=sys.stdout.isatty(),  # else lines would miss the file that they are sent to
        )
        self._row = self._bar.add_task(first, total=1.0)
        with suppress(LiveError):  # within another bar it is that one which is seen
            self._bar.start()

    def update(self, share: float, text: str) -> None:
        """Show how much is done, from 0 to 1, and the text."""
        self._bar.update(self._row, completed=share, description=text)

    def close(self) -> None:
        """Take it away."""
        self._bar.stop()
