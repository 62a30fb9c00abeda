"""How fast a host is asked: one start at a time with a pause between, longer ones when it asks for them."""

from __future__ import annotations

import random
import threading
import time
from email.utils import parsedate_to_datetime

from avssl.errors import UserError
from avssl.system.console import duration

LONGEST_PAUSE_SECONDS = 600.0  # of those that nobody asked for
LONGEST_WAIT_SECONDS = 3600.0  # a host that asks for more is not waited for
REFUSALS_IN_A_ROW = 8  # so many answers without a good one among them, and the host is left in peace


def seconds_of(retry_after: str) -> float:
    """What a header ``Retry-After`` asks for (RFC 9110, 10.2.3): seconds, or a date; 0 of anything else."""
    text = retry_after.strip()
    if text.isascii() and text.isdigit():
        return float(text[:9])
    try:
        return max(parsedate_to_datetime(text).timestamp() - time.time(), 0.0)
    except (ValueError, TypeError, OverflowError):
        return 0.0


class HostRefuses(UserError):
    """A host answers nothing that is asked."""


class Pace:
    """The pace of one host, for all threads.

    Args:
        host: its name.
        pause_seconds: between two starts, on average; each differs by up to half of it.
        stop: set when all is to end.
    """

    def __init__(self, host: str, pause_seconds: float, stop: threading.Event) -> None:
        self.host = host
        self._pause, self._stop = pause_seconds, stop
        self._lock = threading.Lock()
        self._next = 0.0
        self._refusals = 0

    def wait(self) -> None:
        """Wait for this thread's turn, or until all is to end."""
        while not self._stop.is_set():
            with self._lock:
                left = self._next - time.monotonic()
                if left <= 0:
                    self._next = time.monotonic() + self._pause * random.uniform(0.5, 1.5)
                    return
            # Not all of it at once: another thread's refusal may have moved the turn further away.
            self._stop.wait(min(left, 1.0))

    def answered(self) -> None:
        """The host answered as it should, if only that there is no such video."""
        with self._lock:
            self._refusals = 0

    def refused(self, reason: str, *, slower: bool, wait_seconds: float = 0.0) -> None:
        """The host refused, or could not be reached.

        Args:
            slower: whether it asks for a longer pause; it doubles each time.
            wait_seconds: it asks not to be asked again for so long.

        Raises:
            HostRefuses: nothing else has come from it for :data:`REFUSALS_IN_A_ROW` answers, or it asks for more than
                an hour.
        """
        with self._lock:
            self._refusals += 1
            if slower:
                pause = min(self._pause * 2.0**self._refusals, LONGEST_PAUSE_SECONDS)
                self._next = max(self._next, time.monotonic() + max(pause, wait_seconds))
            if wait_seconds > LONGEST_WAIT_SECONDS:
                raise HostRefuses(
                    f"{self.host} wants to be asked again in {duration(wait_seconds)} ({reason}); run the same command "
                    "again then: it goes on where it was"
                )
            if self._refusals >= REFUSALS_IN_A_ROW:
                raise HostRefuses(
                    f"{self.host} refuses everything (at last: {reason}); wait some hours, or give --cookies of a "
                    "browser that it knows, and run the same command again: it goes on where it was"
                )
