"""``avssl reproduce``: a claim of the field, trained, evaluated and answered."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from avssl.cli.command import parsed
from avssl.errors import UserError
from avssl.experiment.claims.options import Options
from avssl.options import argument, option
from avssl.system.console import log
from avssl.system.files import write_json

WHAT = """Reproduce a published claim: train what is missing, evaluate it beside its baselines, and say whether the
claim is shown, not shown, or against the figures, by 95 % intervals over seeds and evaluated items together. Writes
OUT/CLAIM/ with rows.json, figure.png and page.md. The same command continues one that was stopped."""
EXAMPLE = """avssl reproduce --list
avssl reproduce rotation-semantics --data-root data/
avssl reproduce mine.yaml --seeds 5 -o experiments/"""


@dataclass(frozen=True, kw_only=True)
class ReproduceOptions(Options):
    """The same, and the list."""

    claim: str = argument("its name (--list shows all), or a YAML file of your own", default="")
    list: bool = option(False, "print all claims with their last answers in --out")
    json: str | None = option(None, "also write the list to this file", metavar="FILE")


def run(argv: Sequence[str]) -> None:
    """Reproduce, or list."""
    options = parsed(argv, ReproduceOptions, "avssl reproduce", WHAT, EXAMPLE)
    if options.list == bool(options.claim):
        raise UserError("avssl reproduce needs the name of a claim, or --list")
    if not options.list:
        from avssl.experiment.claims.reproduce import reproduce_with  # NumPy: not for help

        reproduce_with(options)
        return
    from avssl.experiment.claims.page import listed, print_list

    print_list(Path(options.out))
    if options.json is not None:
        write_json(Path(options.json), {"claims": listed(Path(options.out))})
        log(f"JSON in {options.json}")
