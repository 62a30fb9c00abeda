"""``avssl audit``: audit data before training on them."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from avssl.cli.command import Command
from avssl.experiment.audit_options import AuditOptions
from avssl.experiment.named_audit import audited
from avssl.system.console import log
from avssl.system.files import whole_file, write_json
from avssl.tasks.registry import options_class

if TYPE_CHECKING:
    from avssl.experiment.audit import Audit

WHAT = """Audit data before training: duplicates and sources, what the test part shares with the training part, and
cheap cues (loudness, hum, borders, grain, encoding) that match pictures with sounds. With --task also each known
shortcut of the task, with and without its countermeasure, and whether its controls catch a planted leak.
Takes a minute or two for a hundred clips; --fast skips the planted leaks.

Verdicts: ok (at chance), leak, warning (check by hand), too few (sources to decide); planted leaks: caught or blind."""
EXAMPLE = """avssl audit videos/
avssl audit videos/ --task av-correspondence --html audit.html
avssl audit train/ --test test/ --task av-correspondence --json audit.json"""


def run(argv: Sequence[str]) -> None:
    """Audit and print."""
    command = Command("avssl audit", WHAT, EXAMPLE)
    command.add(AuditOptions)
    # --task decides which further options there are: it is read before the others can be.
    name = command.peek(argv, "task")
    kind = None if name is None else options_class(name)
    if kind is not None:
        command.add(kind, f"the puzzle and the network of {name}")
    values = command.parse(argv)
    options = values.build(AuditOptions)
    found = audited(options, None if kind is None else values.build(kind))
    _show(found)
    if options.json is not None:
        write_json(Path(options.json), found.as_json())
        log(f"JSON in {options.json}")
    if options.html is not None:
        with whole_file(Path(options.html), "w") as page:
            page.write(found.html())
        log(f"page in {options.html}")


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
        # The lines are those that a file of it would hold: colours are put on what they say.
        verdict = re.search(r"   (leak|blind|warning|ok|caught|too few)$", line)
        if verdict:
            text.stylize(_COLOURS[verdict[1]], verdict.start(1), verdict.end(1))
        elif line and not line.startswith(" ") and line.rstrip().endswith("chance"):
            text.stylize("bold")
        screen.print(text, soft_wrap=True)  # lines are wrapped already
