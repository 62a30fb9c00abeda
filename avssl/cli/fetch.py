"""``avssl fetch``: the clips of a published list."""

from __future__ import annotations

from collections.abc import Sequence

from avssl.cli.command import parsed
from avssl.experiment.fetch import FetchOptions, fetch

WHAT = """Fetch the clips that a published list names: of each video just the seconds that are named, not larger than
asked. OUT holds clips/, a table of them for --data (clips.csv), dead links with their reasons (dead.csv), and the state
(fetched.jsonl): interrupted, the same command continues. You must have the right to download what you fetch.

Needs yt-dlp. Hosts are asked slowly; one that asks for a pause gets it, and where one refuses everything, fetching
ends."""
EXAMPLE = """avssl fetch vggsound.csv vggsound/ --limit 100
avssl fetch train.csv kinetics-sounds/ --labels kinetics-sounds --size 256
avssl fetch Annotations.txt ave/ --starts balanced_train_segments.csv,eval_segments.csv
avssl fetch list.csv clips/ --address https://example.org/{id}.mp4 --sleep 0"""


def run(argv: Sequence[str]) -> None:
    """Fetch."""
    fetch(parsed(argv, FetchOptions, "avssl fetch", WHAT, EXAMPLE))
