"""``avssl index``: what is there; each unusable file with its reason."""

from __future__ import annotations

import json
import time
from collections.abc import Sequence
from pathlib import Path

from avssl.cli.checks import require
from avssl.cli.options import Command, Option
from avssl.errors import NothingUsable
from avssl.experiment.data import offer_tables
from avssl.media import Prepared, open_media, summarize
from avssl.media.facts import Media
from avssl.media.indexing.summary import Summary, relative, verdicts
from avssl.media.prepared.verify import verify
from avssl.report.tables import console, plain_table
from avssl.system.console import duration, say
from avssl.system.files import write_json
from avssl.system.progress import telling

SHORT_LIST = 100
"""So many files or fewer are all listed; of more only those with something to say, unless --all asks."""


def run(argv: Sequence[str]) -> None:
    """Index what is named and print it."""
    command = Command(
        "avssl index",
        "Look at every file of DATA once, in parallel: what can be used, what cannot and why, what is odd.\n"
        "The index is kept, so that the next look is instant; a file that changed is looked at again.\n"
        "All checksums of a prepared set are compared.\n\n"
        "Flags: silent (the sound is), still (the picture does not move), short (under a second), junk (bytes after\n"
        "the sound), joined (more than one recording), unknown length (a header written into a pipe).",
        "avssl index videos/\navssl index clips.csv --all\navssl index videos/ --to index/ --json summary.json",
    )
    command.positional(
        "data", "folder of videos or images, CSV (path[,label,start,split]), tar of images, prepared set"
    )
    command.add(
        [
            Option("to", str | None, None, "folder to keep the index in, instead of the cache", metavar="DIR"),
            Option("json", str | None, None, "also write what is printed to this file", metavar="FILE"),
            Option("again", bool, False, "look at every file again, also where nothing changed"),
            Option("quick", bool, False, "of a prepared set: compare sizes only, not checksums"),
            Option("all", bool, False, f"list every file, also of more than {SHORT_LIST}"),
            Option("workers", int | None, None, "processes that look at files (default: as many as cores)"),
        ]
    )
    values = command.parse(argv)
    require(values, "workers", values["workers"] is None or values["workers"] >= 0, "must not be negative")
    began = time.monotonic()
    try:
        media = open_media(values["data"], index=values["to"], again=values["again"], workers=values["workers"])
    except NothingUsable as error:
        if len(error.rejected) > 1:  # one alone is named by the line that ends the command
            print_rejected([(relative(path, error.root), reason) for path, reason in error.rejected])
        raise
    offer_tables(values["data"], say)
    if isinstance(media, Prepared):
        with telling(None) as tell:
            say(f"{media.folder}: {verify(media, quick=values['quick'], tell=tell).words()}")
    summary = summarize(media)
    print_summary(summary)
    print_files(media, summary, everything=values["all"])
    opened = getattr(media, "looked_at", None)
    if opened is not None:
        known = summary.usable + len(summary.rejected) - opened
        before = f"; {known} were known from before" if known > 0 else ""
        say(f"looked at {opened} files in {duration(time.monotonic() - began)}{before}")
    if values["json"] is not None:
        files = [verdict._asdict() for verdict in verdicts(media)]
        write_json(Path(values["json"]), json.loads(json.dumps({**summary.as_json(), "files": files}, default=str)))


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
    """Every file with a true word about it, or of many only those with something to say."""
    count = summary.usable + len(summary.rejected)
    if everything or count <= SHORT_LIST:
        listed = list(verdicts(media))
        rows = [(verdict.path, "" if verdict.usable else "unusable", verdict.words) for verdict in listed]
        console().print(plain_table(["file", "", "what it is, or why it cannot be used"], rows))
        return
    if summary.rejected:
        print_rejected(summary.rejected)
    if summary.odd:
        odd = [(verdict.path, verdict.words) for verdict in summary.odd]
        console().print(plain_table(["usable, but flagged", "what it is"], odd))


def print_rejected(rejected: Sequence[tuple[str, str]]) -> None:
    """Every unusable file with its reason."""
    console().print(plain_table(["unusable file", "reason"], list(rejected)))
