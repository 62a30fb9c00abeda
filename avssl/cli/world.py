"""``avssl world``: generate clips with their ground truth."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from avssl.cli.command import Command
from avssl.options import argument, option
from avssl.system.console import counted, duration, folder_size, log, progress, size
from avssl.world.settings import Settings

WHAT = """Generate short clips of objects that fall, bounce, swing and collide, and sound when they do: ordinary
video files, each with its ground truth in a JSON file (boxes, kinds, what sounds when), in training, validation
and test parts. The same seed makes the same world. An interrupted world is continued."""
EXAMPLE = """avssl world clips/
avssl world clips/ --train 200 --test 50 --seed 1 --preset localization"""


@dataclass(frozen=True, kw_only=True)
class WorldOptions:
    """Where a world goes, beside the settings that make it."""

    out: str = argument("folder to write: train/, validation/, test/ and world.json")
    sheet: str | None = option(None, "also draw a contact sheet of the first clips to this PNG", metavar="PNG")
    workers: int | None = option(None, "processes (default: as many as cores)", low=0)


def run(argv: Sequence[str]) -> None:
    """Generate a world, or continue one that was begun."""
    command = Command("avssl world", WHAT, EXAMPLE)
    command.add(Settings)
    command.add(WorldOptions)
    values = command.parse(argv)
    settings, options = values.build(Settings), values.build(WorldOptions)
    from avssl.world.build import generate  # physics and fonts: not for help
    from avssl.world.sheet import contact_sheet

    out, began = Path(options.out), time.monotonic()
    with progress("generating", "clip") as on_progress:
        generate(out, settings, workers=options.workers, on_progress=on_progress)
    count = settings.train + settings.validation + settings.test
    took = duration(time.monotonic() - began)
    log(f"{out}: {counted(count, 'clip')} of {settings.seconds:.1f} s, {size(folder_size(out))}, in {took}")
    if options.sheet is not None:
        contact_sheet(out, Path(options.sheet))
        log(f"{options.sheet}: the first clips, with their sound")
