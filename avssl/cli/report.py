"""``avssl report``: one HTML page of a run, or of several side by side."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from avssl.cli.options import Command, Option
from avssl.errors import UserError
from avssl.system.console import say, size


def run(argv: Sequence[str]) -> None:
    """Report."""
    command = Command(
        "avssl report",
        "One HTML page of a run, or of several side by side: curves against chance, controls, sheets, neighbours,\n"
        "figures by stage, localization, retrieval and every other result, options and environment, with what\n"
        "differs between runs marked. Everything is in the one file: it can be sent, printed, and read on a phone.\n"
        "What a run lacks is said, with the command that makes it.",
        "avssl report runs/mine\navssl report runs/rotation runs/jigsaw -o compared.html",
    )
    command.positional("run", "folders of runs", many=True)
    command.add(
        [
            Option(
                "output",
                str | None,
                None,
                "the page to write (default: report.html in the run; of several runs in the current folder)",
                "-o",
                "HTML",
            )
        ]
    )
    values = command.parse(argv)
    runs = values["run"]
    place = Path(values["output"] or (Path(runs[0]) / "report.html" if len(runs) == 1 else "report.html"))
    if place.suffix.lower() not in (".html", ".htm"):
        raise UserError(f"-o {place} must end in .html")
    from avssl.report.page import report_page
    from avssl.report.run_parts import read_runs
    from avssl.system.files import whole_file

    parts = read_runs(runs)
    text = report_page(parts, place)
    with whole_file(place, "w") as file:
        file.write(text)
    for one in parts:
        for fault in one.faults:
            say(f"{one.path}: {fault}")
    say(f"{place}: {len(parts)} run{'s' if len(parts) > 1 else ''}, {size(place.stat().st_size)}")
