"""``avssl search``: the best moments of a collection for a picture, a sound or a video."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from avssl.cli.command import parsed
from avssl.experiment.search import SearchOptions, searched
from avssl.system.console import log, visible_name
from avssl.system.files import whole_file, write_json

WHAT = """Find the moments of a collection that go with a sound or a picture. QUERY is a picture, a sound, a video (its
sound in the middle, or --by image its frame; --at SECONDS another time), or a vector that was saved with NumPy.
--in names an index that avssl embed --index wrote, or data, of which one is made in the cache.

score         the cosine between QUERY and the moment, -1 to 1
above         the share of unrelated pairs (moments of different sources) with a lower score: what the score means

Moments of QUERY's own file are left out; with --own they are not. Of other files two are listed at most, as the nearest
are often neighbours of each other; --per-file 0 lists any number."""
EXAMPLE = """avssl search bark.wav --in videos/ --run runs/mine
avssl search photo.jpg --in videos.index --top 20 --html found.html
avssl search clip.mp4 --at 12.5 --by image --kind both --in videos.index --exclude-source"""


NAMED = 3
"""Files that are not what was embedded which are named."""


def run(argv: Sequence[str]) -> None:
    """Search and print."""
    options = parsed(argv, SearchOptions, "avssl search", WHAT, EXAMPLE)
    answer = searched(options)
    from avssl.report.search_sheet import print_found, search_sheet

    print_found(answer.query, answer.found)
    files = {answer.index.rows[row].path: why for row, why in answer.outdated.items()}
    for path, why in list(files.items())[:NAMED]:
        log(f"{visible_name(path)} {why}")
    if len(files) > NAMED:
        log(f"… and {len(files) - NAMED} more files that are not what was embedded")
    if options.json is not None:
        write_json(Path(options.json), answer.as_json())
        log(f"JSON in {options.json}")
    if options.html is not None:
        with whole_file(Path(options.html), "w") as file:
            file.write(search_sheet(answer.index, answer.query, answer.found))
        log(f"page in {options.html}")
