"""``avssl report``: one HTML page of a run, or of several side by side."""

from __future__ import annotations

from collections.abc import Sequence

from avssl.cli.command import parsed
from avssl.experiment.report import ReportOptions, write_report
from avssl.system.console import counted, log, size

WHAT = """One HTML page of a run, or of several side by side: curves against chance, controls, sheets, neighbours,
figures by stage, localization, retrieval and every other result, options and environment, with what
differs between runs marked. Everything is in the one file: it can be sent, printed, and read on a phone.
What a run lacks is listed, with the command that makes it."""
EXAMPLE = """avssl report runs/mine
avssl report runs/rotation runs/jigsaw -o compared.html"""


def run(argv: Sequence[str]) -> None:
    """Report."""
    page, parts = write_report(parsed(argv, ReportOptions, "avssl report", WHAT, EXAMPLE))
    for one in parts:
        for fault in one.faults:
            log(f"{one.path}: {fault}")
    log(f"{page}: {counted(len(parts), 'run')}, {size(page.stat().st_size)}")
