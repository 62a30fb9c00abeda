"""``avssl index``: the files of a collection; each unusable one with its reason."""

from __future__ import annotations

import json
import time
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from avssl.cli.command import parsed
from avssl.errors import NothingUsable
from avssl.experiment.part_options import PartOptions
from avssl.experiment.places import offer_tables
from avssl.media.collection import Collection
from avssl.media.facts import Media
from avssl.media.indexing.summary import Summary, relative, summarize, verdicts
from avssl.media.opening import IndexWork, open_media
from avssl.media.prepared.read import Prepared
from avssl.media.prepared.verify import verify
from avssl.media.selection import Subset
from avssl.options import argument, option
from avssl.report.tables import console, plain_table
from avssl.system.console import counted, duration, log
from avssl.system.files import write_json

# So many files or fewer are all listed; of more only those that are flagged, unless --all asks.
SHORT_LIST = 100


WHAT = """Inspect every file of DATA once, in parallel: whether it can be used, why not, and what is unusual about it.
The index is cached, so that the next time is instant; files that changed are inspected again.
Of a prepared set all checksums are compared.

Flags: silent (no sound to be heard), still (the picture does not move), short (under a second), junk (bytes after
the sound), joined (more than one recording), unknown length (a header written into a pipe)."""
EXAMPLE = """avssl index videos/
avssl index clips.csv --all
avssl index videos/ --to index/ --json summary.json
avssl index videos/ --part 3/8                    one task of a job array; then avssl index videos/ --merge"""


@dataclass(frozen=True, kw_only=True)
class IndexOptions(PartOptions):
    """What is looked at, and what is shown of it."""

    data: str = argument("folder of videos or images, CSV (path[,label,start,split]), tar of images, prepared set")
    to: str | None = option(None, "folder to keep the index in, instead of the cache", metavar="DIR")
    json: str | None = option(None, "also write what is printed to this file", metavar="FILE")
    again: bool = option(False, "inspect every file again, even if unchanged")
    quick: bool = option(False, "of a prepared set: compare sizes only, not checksums")
    all: bool = option(False, f"list every file, even if there are more than {SHORT_LIST}")
    workers: int | None = option(None, "worker processes (default: as many as cores)", low=0)


def run(argv: Sequence[str]) -> None:
    """Index what is named and print it."""
    options = parsed(argv, IndexOptions, "avssl index", WHAT, EXAMPLE)
    options.check()
    began = time.monotonic()
    work = IndexWork(options.data, index=options.to, again=options.again)
    try:
        media = _opened(options, work)
        if media is None:  # a part of a job array: there is nothing to sum up yet
            return
    except NothingUsable as error:
        if len(error.rejected) > 1:  # one alone is named by the line that ends the command
            print_rejected([(relative(path, error.root), reason) for path, reason in error.rejected])
        raise
    offer_tables(options.data)
    if isinstance(media, Prepared):
        log(f"{media.name}: {verify(media, quick=options.quick, progress=True).words()}")
    summary = summarize(media)
    print_summary(summary)
    print_files(media, summary, everything=options.all)
    opened = getattr(media, "inspected", None)
    if opened is not None:
        known = summary.usable + len(summary.rejected) - opened
        before = f"; {known} were known from before" if known > 0 else ""
        log(f"inspected {counted(opened, 'file')} in {duration(time.monotonic() - began)}{before}")
    if options.json is not None:
        files = [verdict._asdict() for verdict in verdicts(media)]
        # Through JSON once: what is no JSON value (paths) becomes text.
        write_json(Path(options.json), json.loads(json.dumps({**summary.as_json(), "files": files}, default=str)))


def _opened(options: IndexOptions, work: IndexWork) -> Collection | Prepared | Subset | None:
    """What is indexed; None where that was a part of it."""
    in_parts = options.part is not None or options.merge or options.engine != "local"
    # Merging reads what the parts have found: to inspect all again would do their work a second time.
    opened = partial(
        open_media, options.data, index=options.to, again=options.again and not in_parts, workers=options.workers
    )
    return options.carry_out(work, partial(opened, merge=True), options.workers) if in_parts else opened()


def print_summary(summary: Summary) -> None:
    """The figures, a row each."""
    names = ("", "time", "flagged", "splits", "labels", "rejected")
    rows = []
    for line in summary.lines():
        name, _, rest = line.partition(": ")
        if name.endswith(("splits", "labels")):
            rows.append((name.split()[1], f"{name.split()[0]}: {rest}"))
        elif name in names:
            rows.append((name, rest))
        else:
            rows.append(("usable" if rest else "time", line))
    console().print(plain_table(["", ""], rows))


def print_files(media: Media, summary: Summary, *, everything: bool) -> None:
    """Every file with its flags, or of many only those that are flagged."""
    count = summary.usable + len(summary.rejected)
    if everything or count <= SHORT_LIST:
        listed = list(verdicts(media))
        # In one column: beside another for the few that are not usable, each file would take two lines of 80 columns.
        rows = [(each.path, each.words if each.usable else f"unusable: {each.words}") for each in listed]
        console().print(plain_table(["file", "what it is, or why it cannot be used"], rows))
        return
    if summary.rejected:
        print_rejected(summary.rejected)
    if summary.odd:
        odd = [(verdict.path, verdict.words) for verdict in summary.odd]
        console().print(plain_table(["usable, but flagged", "what it is"], odd))


def print_rejected(rejected: Sequence[tuple[str, str]]) -> None:
    """Every unusable file with its reason."""
    console().print(plain_table(["unusable file", "reason"], list(rejected)))
