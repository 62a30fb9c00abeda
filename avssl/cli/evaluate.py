"""``avssl evaluate``: figures of a finished run."""

from __future__ import annotations

import shlex
from collections.abc import Sequence

from avssl.cli.command import Command
from avssl.cli.help_text import listing
from avssl.experiment.protocols import PROTOCOLS, get, outcome_of, refuse_encoder
from avssl.experiment.protocols.base import by_heading
from avssl.experiment.results import write
from avssl.system.console import log

WHAT = """Evaluate a finished run: rows with interval, chance and N, beside the same network with random weights."""
EXAMPLE = """  avssl evaluate av-correspondence --run runs/mine
  avssl evaluate linear --run runs/mine --data photos/ -o results/photos"""


def run(argv: Sequence[str]) -> None:
    """Evaluate, print and write."""
    if not argv or argv[0] in ("-h", "--help"):
        print(listing("avssl evaluate", "PROTOCOL", WHAT, PROTOCOLS, EXAMPLE), end="")
        return
    name = argv[0]
    protocol = get(name)
    command = Command(f"avssl evaluate {name}", f"{PROTOCOLS[name]}\n\n{protocol.help()}", protocol.examples)
    for heading, group in by_heading(protocol).items():
        command.add(group, heading)
    # Before the words are parsed: where there is no such option, the reason says more than "no option --encoder".
    if any(word.partition("=")[0] == "--encoder" for word in argv):
        refuse_encoder(name)
    options = command.parse(argv[1:]).build(protocol)
    outcome = outcome_of(name, options, shlex.join(["avssl", "evaluate", *argv]))
    if outcome.title:
        from avssl.report.tables import print_rows  # rich: not for help

        print_rows(outcome.rows, outcome.title)
    for note in outcome.notes:
        log(note)
    write(outcome, getattr(options, "run", None), getattr(options, "output", None))
