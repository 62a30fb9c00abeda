"""One HTML page of runs, written."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from avssl.errors import UserError
from avssl.options import argument, option
from avssl.system.files import whole_file
from avssl.system.hub import is_hub_run
from avssl.system.stages import stages

if TYPE_CHECKING:
    from avssl.report.run_parts import RunParts


@dataclass(frozen=True, kw_only=True)
class ReportOptions:
    """Of which runs, and where the page goes."""

    run: tuple[str, ...] = argument("folders of runs, or hf://ORG/NAME")
    output: str | None = option(
        None,
        "the page to write (default: report.html in the run; of several, or of one on a hub, here)",
        short="-o",
        metavar="HTML",
    )


def write_report(options: ReportOptions) -> tuple[Path, list[RunParts]]:
    """Write the page; where it lies, and what was read of each run.

    Raises:
        UserError: a folder that is no run, a name that does not end in .html, a full disk.
    """
    runs = options.run
    # What was fetched is the hub's cache: a page in it would be found by nobody.
    own = len(runs) == 1 and not is_hub_run(runs[0])
    page = Path(options.output or (Path(runs[0]) / "report.html" if own else "report.html"))
    # Before runs are read: -o runs/mine is more often a slip than a name for a page.
    if page.suffix.lower() not in (".html", ".htm"):
        raise UserError(f"-o {page} must end in .html")
    # Seconds on two idle cores: of PyTorch, of Matplotlib, and of each run.
    with stages("report", {"reading": 2.0 + 0.2 * len(runs), "drawing": 1.0 + 0.8 * len(runs)}) as begin:
        begin("reading")
        from avssl.report.run_parts import read_runs  # loads torch

        parts = read_runs(runs)
        begin("drawing")
        from avssl.report.page import report_page

        text = report_page(parts, page)
    with whole_file(page, "w") as file:
        file.write(text)
    return page, parts
