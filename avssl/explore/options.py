"""The options of ``avssl explore``."""

from __future__ import annotations

from dataclasses import dataclass

from avssl.options import argument, option


@dataclass(frozen=True, kw_only=True)
class ExploreOptions:
    """Which run on which collection, and where the page is served."""

    run: str | None = argument(
        "the folder of a finished run of av-correspondence, or hf://ORG/NAME (default: quickstart's)", default=None
    )
    data: str | None = option(None, "videos to explore (default: the generated clips)", metavar="DATA")
    index: str | None = option(None, "an index of avssl embed --index, in the place of DATA", metavar="INDEX")
    every: float | None = option(None, "seconds from moment to moment of an index that is made", above=0)
    host: str = option("127.0.0.1", "address to serve at; others than this machine's need the token that is printed")
    port: int = option(8765, "port; if it is taken the next free one, 0 for any", low=0, high=65535)
    token: str | None = option(None, "token that visitors must give (default: none on this machine, else a random one)")
    browser: bool = option(True, "open the page in the browser")
    device: str = option("auto", "auto, cpu, cuda, cuda:1, mps")
