"""How long work is followed: lines for a log, and counts for a progress bar."""

from __future__ import annotations

from collections.abc import Callable

Log = Callable[[str], None]
"""Takes a line for people."""

OnProgress = Callable[[int, int], None]
"""Takes (done, total)."""


def no_log(line: str) -> None:
    """Keeps silent."""
