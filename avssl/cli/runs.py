"""``avssl runs``: the runs in a folder with their headline figures."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from avssl.cli.command import parsed
from avssl.options import argument, option
from avssl.system.console import log
from avssl.system.files import write_json

WHAT = """List the runs in folders, the newest first: task, steps done of those asked, whether it is finished, the
trained network's figure with interval and chance (the loss where no controls were made), when it began, its size.
Folders of runs within a folder are looked through, too; whatever is damaged, or no run, is listed with the reason."""
EXAMPLE = """avssl runs
avssl runs experiments/ runs/mine --json runs.json"""


@dataclass(frozen=True, kw_only=True)
class RunsOptions:
    """Where is looked, and where the list goes."""

    folder: tuple[str, ...] = argument("folders that hold runs, or are runs (default: runs)", default=("runs",))
    json: str | None = option(None, "also write the list to this file", metavar="FILE")


def run(argv: Sequence[str]) -> None:
    """List."""
    options = parsed(argv, RunsOptions, "avssl runs", WHAT, EXAMPLE)
    from avssl.report.run_list import list_runs, print_runs  # rich and NumPy: not for help
    from avssl.report.tables import console

    found = list_runs(options.folder)
    print_runs(found, console())
    if options.json is not None:
        write_json(Path(options.json), found.as_json())
        log(f"JSON in {options.json}")
