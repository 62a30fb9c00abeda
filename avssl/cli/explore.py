"""``avssl explore``: a run and a collection in the browser."""

from __future__ import annotations

import os
import signal
import sys
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress

from avssl.cli.command import parsed
from avssl.explore.options import ExploreOptions
from avssl.explore.server import explore
from avssl.system.console import log
from avssl.system.scratch import remove_own

WHAT = """Explore a run and a collection in the browser: search by a sound, a picture or a moment; see where the sound
comes from while a clip plays; a map of all moments; the run's puzzles to play against the network; its report.
Everything stays on this machine: the page needs no network, and is served to this machine alone unless --host
says otherwise. The index of a collection is made once, and kept."""
EXAMPLE = """avssl explore
avssl explore runs/mine --data videos/
avssl explore runs/mine --index videos.index --no-browser"""


def run(argv: Sequence[str]) -> None:
    """Explore, until Ctrl-C or another signal that ends it."""
    options = parsed(argv, ExploreOptions, "avssl explore", WHAT, EXAMPLE)
    try:
        with _unwinding():
            explore(options)
    except (KeyboardInterrupt, SystemExit) as stop:
        with suppress(OSError):  # the terminal may be gone
            log("the page is closed")
            sys.stdout.flush()
        remove_own()
        # A film that is still being made has a thread that Python would wait for.
        os._exit(stop.code if isinstance(stop, SystemExit) and isinstance(stop.code, int) else 0)


@contextmanager
def _unwinding() -> Iterator[None]:
    """Within, SIGTERM and SIGHUP (a closed terminal) clean up as Ctrl-C does, instead of ending the process at once."""

    def end(number: int, frame: object) -> None:
        raise SystemExit(128 + number)

    numbers = [getattr(signal, name) for name in ("SIGTERM", "SIGHUP") if hasattr(signal, name)]  # Windows lacks one
    if threading.current_thread() is not threading.main_thread():  # elsewhere Python forbids it
        numbers = []
    before = {number: signal.signal(number, end) for number in numbers}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
