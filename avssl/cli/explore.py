"""``avssl explore``: a run and a collection in the browser."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence

from avssl.cli.command import parsed
from avssl.explore.options import ExploreOptions
from avssl.explore.server import explore
from avssl.system.console import log

WHAT = """Explore a run and a collection in the browser: search by a sound, a picture or a moment; see where the sound
comes from while a clip plays; a map of all moments; the run's puzzles to play against the network; its report.
Everything stays on this machine: the page needs no network, and is served to this machine alone unless --host
says otherwise. The index of a collection is made once, and kept."""
EXAMPLE = """avssl explore
avssl explore runs/mine --data videos/
avssl explore runs/mine --index videos.index --no-browser"""


def run(argv: Sequence[str]) -> None:
    """Explore, until Ctrl-C."""
    options = parsed(argv, ExploreOptions, "avssl explore", WHAT, EXAMPLE)
    try:
        explore(options)
    except KeyboardInterrupt:
        log("the page is closed")
        sys.stdout.flush()
        os._exit(0)  # a film that is still being made has a thread that Python would wait for
