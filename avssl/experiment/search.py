"""Search for the best moments of an index, by a picture, a sound, a moment of a video or a vector."""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from avssl.errors import UserError
from avssl.experiment.loading import load_torch
from avssl.experiment.places import refuse_missing
from avssl.options import argument, check_bounds, option
from avssl.search.files import DamagedIndex, is_index
from avssl.system.console import log
from avssl.system.files import cache_folder
from avssl.system.hub import fetched_run

if TYPE_CHECKING:
    from avssl.search.index import Found, SearchIndex
    from avssl.search.query import Query
    from avssl.search.rows import Kind


@dataclass(frozen=True, kw_only=True)
class SearchOptions:
    """What is searched with, where, and how the answer is given."""

    query: str = argument("a picture, a sound, a video, or a vector in a .npy")
    in_: str | None = option(
        None, "where: a search index, or data, of which one is made in the cache (default: the generated world)",
        metavar="INDEX|DATA", formerly="in",
    )  # fmt: skip
    run: str | None = option(
        None, "the run that embeds (default: the one that made the index, or runs/quickstart)", metavar="RUN"
    )
    by: Literal["image", "audio"] | None = option(
        None, "which half of QUERY: its picture or its sound (default: the sound of what has one)"
    )
    at: float | None = option(None, "when in QUERY, seconds (default: its middle)")
    kind: Literal["image", "audio", "both"] | None = option(
        None, "what is searched: pictures, sounds, or both separately (default: what QUERY is not)"
    )
    top: int = option(10, "how many moments", low=1, high=1000)
    per_file: int = option(2, "at most so many moments of one file (more where files are few); 0 for any number", low=0)
    own: bool = option(False, "include moments of QUERY's own file")
    exclude_source: bool = option(False, "leave out whatever was cut from the same source as QUERY")
    every: float | None = option(None, "seconds between moments, of an index that is made (default: 1)", above=0)
    json: str | None = option(None, "write what was found as JSON", metavar="FILE")
    html: str | None = option(None, "write a page of frames, sounds and scores", metavar="FILE")
    device: str = option("auto", "auto, cpu, cuda, cuda:1, mps")


@dataclass(frozen=True)
class Answer:
    """What a search found.

    Attributes:
        index: where it was looked for.
        query: what with.
        found: by kind, the best first.
    """

    index: SearchIndex
    query: Query
    found: dict[Kind, list[Found]]

    @cached_property
    def outdated(self) -> dict[int, str]:
        """By row why its file is not what was embedded; none where it still is."""
        rows = {one.moment.row for several in self.found.values() for one in several}
        return {row: why for row in sorted(rows) if (why := self.index.outdated(row)) is not None}

    def as_json(self) -> dict[str, Any]:
        """As ``--json`` writes it."""
        about = self.index.header
        return {
            "query": {"path": self.query.path, "of": self.query.of, "seconds": self.query.seconds},
            "index": str(self.index.path),
            "run": about["run"],
            "moments": len(self.index),
            "found": [
                {
                    "kind": kind,
                    "path": one.moment.path,
                    "seconds": one.moment.file_seconds,
                    "score": one.score,
                    "share_below": None if np.isnan(one.share_below) else one.share_below,
                    "label": one.moment.label,
                    "source": one.moment.source,
                    "row": one.moment.row,
                    "outdated": self.outdated.get(one.moment.row),
                }
                for kind, several in self.found.items()
                for one in several
            ],
        }


def searched(options: SearchOptions) -> Answer:
    """Search, and write what is asked for.

    Raises:
        UserError: a query without such a half, a silent one, no index, one that is damaged or of another run.
    """
    check_bounds(options)
    refuse_missing(options.query, options.in_, options.run)
    # Before anything is loaded: an answer over the query would destroy what was asked about.
    for name in (options.json, options.html):
        if name is not None and Path(name).absolute() == Path(options.query).absolute():
            raise UserError(f"{name} is the query itself; name another file")
    load_torch()
    from avssl.search.query import read_query

    index = open_index(options.in_, options.run, options.every, options.device)
    query = read_query(options.query, options.by, options.at, index.sound_format)
    # A vector has no rate, a waveform has: only the former must be as long as those of the index.
    if query.content.ndim == 1 and query.rate is None and len(query.content) != index.dimensions:
        raise UserError(
            f"{options.query} has {len(query.content)} dimensions; the vectors of {index.path} have {index.dimensions}"
        )
    # What one has, one does not look for: a sound asks for pictures.
    other: Kind = "audio" if query.of == "image" else "image"
    kinds: list[Kind] = ["image", "audio"] if options.kind == "both" else [options.kind or other]
    out = _left_out(index, query, options)
    found = {
        kind: index.search(query.content, kind, of=query.of, rate=query.rate, k=options.top, leave_out=out,
                           per_file=options.per_file or None)
        for kind in kinds
    }  # fmt: skip
    answer = Answer(index, query, found)
    if not any(found.values()):
        halves = {"image": "pictures", "audio": "sounds"}
        raise UserError(f"{index.path} has no {' and no '.join(halves[kind] for kind in kinds)} to be found")
    return answer


def open_index(where: str | None, run: str | None, every: float | None, device: str) -> SearchIndex:
    """The index that is named, or one of data, which is made in the cache or brought up to date.

    Args:
        where: an index, or data; None is the generated world.
        run: None is the run that made the index, or quickstart's.
        every: seconds between moments of an index that is made; None for its default.

    Raises:
        UserError: no such data or run, or a damaged index.
    """
    from avssl.search.index import SearchIndex

    run = fetched_run(run)
    if where is not None and is_index(Path(where)):
        if every is not None:
            raise UserError("--every is of an index that is made; leave it out")
        return SearchIndex(where, run, device)
    from avssl.experiment.embed import log_changes
    from avssl.media.selection import digest_of
    from avssl.search.building import EVERY_SECONDS, update_index, weights_digest
    from avssl.search.places import absolute

    run = run or _default_run()
    # Named by content of weights, not by the run's path: a run that is trained on has an index of its own.
    data = absolute(where or _generated())
    every = every or EVERY_SECONDS
    folder = cache_folder() / "search" / digest_of(data, weights_digest(run), f"{every:g}")
    if not is_index(folder):
        load_torch()  # a known index is explored without: the page is there before torch would be
        log(f"embedding {data}, a moment every {every:g} s, once, into {folder}")
    try:
        changes = update_index(folder, data, run, every, device=device)
    except DamagedIndex as error:
        # One in the cache is nobody's work but ours; one that was named is never removed.
        log(f"{error.args[0].partition(';')[0]}; it is made again")
        shutil.rmtree(folder, ignore_errors=True)
        changes = update_index(folder, data, run, every, device=device)
    if changes.embedded or changes.forgotten:
        log_changes(folder, changes)
    return SearchIndex(folder, run, device)


# Imported only where nothing is named: they bring all that draws and sounds, and a known collection opens without.
def _generated() -> str:
    from avssl.experiment.generated import default_world

    return str(default_world())


def _default_run() -> str:
    from avssl.experiment.default_localizer import default_run

    return str(default_run(to_point=False))


def _left_out(index: SearchIndex, query: Query, options: SearchOptions) -> Any:
    own = index.rows_of(path=query.path)
    if not options.exclude_source:
        return () if options.own else own
    if not len(own):
        raise UserError(f"{query.path} is not in {index.path}, so its source is not known; leave out --exclude-source")
    return index.rows_of(source=index.rows[int(own[0])].source)
