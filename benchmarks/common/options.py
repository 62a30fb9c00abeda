"""Options of a script, and what they are with ``--quick``."""

from __future__ import annotations

import argparse
from typing import Any

from common.videos import KINDS


def parse(parser: argparse.ArgumentParser, **quick: Any) -> argparse.Namespace:
    """The options of the command line; ``quick`` are the defaults with ``--quick``, which every script has."""
    parser.add_argument("--quick", action="store_true", help="few and small: that it runs to its end, no figures")
    if parser.parse_known_args()[0].quick:
        parser.set_defaults(**quick)
    return parser.parse_args()


def about_videos(description: str | None, rounds: int) -> argparse.ArgumentParser:
    """Of a script that compares calls on the videos."""
    parser = argparse.ArgumentParser(description=description, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=rounds, help="measurements of each, interleaved")
    parser.add_argument("--kind", choices=list(KINDS), nargs="+", default=list(KINDS), help="which videos")
    return parser
