"""``avssl compare``: the options, figures and environments in which runs differ."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from avssl.cli.command import parsed
from avssl.errors import UserError
from avssl.options import argument, option
from avssl.system.console import log
from avssl.system.files import write_json

WHAT = """Say in which options and figures runs differ, and in versions and machines. Options that are equal are
counted. Figures stand side by side with their intervals; where they are of the same metric on the same data, the
difference from the first run stands beside them, and whether the intervals are apart, that is, do not overlap."""
EXAMPLE = """avssl compare runs/mine runs/other
avssl compare runs/seed-0 runs/seed-1 runs/seed-2 --json seeds.json"""


@dataclass(frozen=True, kw_only=True)
class CompareOptions:
    """Which runs, and where the comparison goes."""

    run: tuple[str, ...] = argument("two or more runs: folders, or hf://ORG/NAME; all are compared with the first")
    json: str | None = option(None, "also write the comparison to this file", metavar="FILE")


def run(argv: Sequence[str]) -> None:
    """Compare."""
    options = parsed(argv, CompareOptions, "avssl compare", WHAT, EXAMPLE)
    if len(options.run) < 2:
        raise UserError("avssl compare needs two runs or more: avssl compare runs/mine runs/other")
    from avssl.report.comparison import compare, print_comparison  # rich and NumPy: not for help
    from avssl.report.run_parts import read_runs
    from avssl.report.tables import console

    found = compare(read_runs(options.run, "avssl compare", with_levels=False))
    print_comparison(found, console())
    if options.json is not None:
        write_json(Path(options.json), found.as_json())
        log(f"JSON in {options.json}")
