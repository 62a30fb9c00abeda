"""``avssl doctor``: what this installation has, and what is missing for what."""

from __future__ import annotations

from collections.abc import Sequence

from avssl.cli.command import Command
from avssl.experiment.doctor import examine_installation
from avssl.report.tables import console, plain_table
from avssl.system.console import log

WHAT = """Report what this installation has: versions, devices, precision, decoders, the cache and its size,
free disk space, and what is missing for what. Writes a small clip to a temporary folder and reads it
back with every reader that a training would use. Ends with status 2 where something does not work."""


def run(argv: Sequence[str]) -> None:
    """Print the tables; :class:`UserError` where a reader does not work, or a package that avssl needs is missing."""
    Command("avssl doctor", WHAT, "avssl doctor").parse(argv)
    found = examine_installation()
    screen = console()
    for title, rows in found.tables.items():
        screen.print(plain_table(["", ""], rows, title))
    if found.missing:
        screen.print(plain_table(["", "what for"], found.missing, "Not installed, and not needed for anything else"))
    found.check()  # last, so that the tables say why
    log(f"All readers returned what was written{found.ranges}.")
