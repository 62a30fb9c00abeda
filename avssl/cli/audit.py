"""``avssl audit``: audit data before training on them."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from avssl.cli.checks import require
from avssl.cli.options import Command, Option, options_of, source_options
from avssl.experiment import sources as data_sources
from avssl.experiment.data import open_source
from avssl.system.console import progress, say
from avssl.system.files import write_json

if TYPE_CHECKING:
    from avssl.experiment.audit import Audit
    from avssl.tasks.base import Task

WHAT = """Audit data before training: duplicates and sources, what the test part shares with the training part, and
cheap cues (loudness, hum, borders, grain, encoding) that match pictures with sounds. With --task also each known
shortcut of the task, with and without its countermeasure, and whether its controls catch a planted leak.
Takes a minute or two for a hundred clips; --fast skips the planted leaks.

Verdicts: ok (at chance), leak, warning (check by hand), too few (sources to tell); planted leaks: caught or blind."""
EXAMPLE = """avssl audit videos/
avssl audit videos/ --task av-correspondence --html audit.html
avssl audit train/ --test test/ --task av-correspondence --json audit.json"""


def run(argv: Sequence[str]) -> None:
    """Audit and print."""
    kind = _task_of(argv)
    command = Command("avssl audit", WHAT, EXAMPLE)
    command.positional("data", "folder of videos or images, CSV, tar of images, prepared set, torchvision:NAME:FOLDER")
    command.add(
        [
            Option(
                "task",
                str | None,
                None,
                "pretext task whose shortcuts and controls are tested; takes its options, too",
            ),
            Option(
                "test",
                str | None,
                None,
                "held-out data (default: the splits of DATA, or what training would hold out)",
            ),
            *source_options(),
            Option("json", str | None, None, "also write the audit to this file", metavar="FILE"),
            Option("html", str | None, None, "also write one HTML page", metavar="FILE"),
            Option("fast", bool, False, "skip the planted leaks, which train the controls"),
            Option("items", int, 1000, "measure at most N items, a sample if there are more"),
            Option("seed", int, 0, "seed of samples, probes and planted leaks"),
        ]
    )
    if kind is not None:
        command.add(options_of(kind.Options), f"the puzzle and the network of {kind.name}")
    values = command.parse(argv)
    require(values, "items", values["items"] >= 1, "must be at least 1")
    from avssl.experiment.audit import audit

    mode = data_sources.asked(values["sources"], values["source_column"])
    column = data_sources.column_of(mode, values["data"])
    media = open_source(values["data"], column)
    test = None
    if values["test"] is not None:
        is_table = Path(values["test"]).suffix.lower() in (".csv", ".tsv")
        test = open_source(values["test"], column if is_table else None)
    with progress("auditing", "steps") as tell:
        found = audit(
            media,
            None if kind is None else kind(values.build(kind.Options)),
            test,
            sources=mode,
            fast=values["fast"],
            items=values["items"],
            seed=values["seed"],
            names=(values["data"], values["test"]),
            on_progress=tell,
        )
    _show(found)
    if values["json"] is not None:
        write_json(Path(values["json"]), found.as_json())
        say(f"JSON in {values['json']}")
    if values["html"] is not None:
        page = Path(values["html"])
        page.parent.mkdir(parents=True, exist_ok=True)
        page.write_text(found.html(), encoding="utf-8")
        say(f"page in {page}")


def _task_of(argv: Sequence[str]) -> type[Task] | None:
    """The task that is named: its options are options of this command."""
    from avssl.tasks.registry import get

    words = list(argv)
    for place, word in enumerate(words):
        if word == "--task" and place + 1 < len(words):
            return get(words[place + 1])
        if word.startswith("--task="):
            return get(word.partition("=")[2])
    return None


_COLOURS = {
    "leak": "bold red",
    "blind": "bold red",
    "warning": "yellow",
    "ok": "green",
    "caught": "green",
    "too few": "dim",
}


def _show(found: Audit) -> None:
    """The lines; on a terminal titles stand out and verdicts have a colour."""
    from rich.text import Text

    from avssl.report.tables import console

    screen = console()
    for line in found.lines():
        text: Any = Text(line)
        verdict = re.search(r"   (leak|blind|warning|ok|caught|too few)$", line)
        if verdict:
            text.stylize(_COLOURS[verdict[1]], verdict.start(1), verdict.end(1))
        elif line and not line.startswith(" ") and line.rstrip().endswith("chance"):
            text.stylize("bold")
        screen.print(text, soft_wrap=True)
