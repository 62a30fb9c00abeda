"""Ctrl-C and SIGTERM: end the step, save, and only then end."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType


class Stopped(SystemExit):
    """The training was stopped by a signal, after it was saved; as an exit status 130 (Ctrl-C) or 143 (SIGTERM).

    Attributes:
        signal_number: which signal.
    """

    def __init__(self, signal_number: int) -> None:
        self.signal_number = signal_number
        super().__init__(128 + signal_number)


class Watch:
    """The signal that came, if one did."""

    number: int = 0

    def __call__(self, number: int, frame: FrameType | None) -> None:
        self.number = number
        signal.signal(number, signal.SIG_DFL)  # a second one ends the process at once


@contextmanager
def watch_signals() -> Iterator[Watch]:
    """Within, SIGINT and SIGTERM are noted rather than obeyed (in the main thread; elsewhere Python forbids it)."""
    watch = Watch()
    if threading.current_thread() is not threading.main_thread():
        yield watch
        return
    before = {number: signal.signal(number, watch) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield watch
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
