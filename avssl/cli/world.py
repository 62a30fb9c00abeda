"""``avssl world``: clips with their truth."""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Sequence
from pathlib import Path

from avssl.cli.checks import require
from avssl.cli.options import Command, Option, options_of
from avssl.system.console import duration, folder_size, progress, say, size
from avssl.world import contact_sheet, generate
from avssl.world.settings import Settings


def run(argv: Sequence[str]) -> None:
    """Generate a world, or continue one that was begun."""
    command = Command(
        "avssl world",
        "Generate short clips of objects that fall, bounce, swing and collide, and sound when they do: ordinary\n"
        "video files, each with its truth beside it (boxes, kinds, who sounds when). Train, validation and test\n"
        "clips apart. The same seed makes the same world. An interrupted world goes on where it was.",
        "avssl world clips/\navssl world clips/ --train 200 --test 50 --seed 1 --preset localization",
    )
    command.positional("out", "folder to write: train/, validation/, test/ and world.json")
    command.add(options_of(Settings))
    command.add(
        [
            Option(
                "sheet", str | None, None, "also draw a contact sheet of the first clips to this PNG", metavar="PNG"
            ),
            Option("workers", int | None, None, "processes (default: as many as cores)"),
        ]
    )
    values = command.parse(argv)
    require(values, "workers", values["workers"] is None or values["workers"] >= 0, "must not be negative")
    settings = values.build(Settings)
    out, began = Path(values["out"]), time.monotonic()
    with progress("generating", "clips") as told:
        fields = {field.name: getattr(settings, field.name) for field in dataclasses.fields(settings)}
        generate(out, **fields, workers=values["workers"], progress=told)
    count = settings.train + settings.validation + settings.test
    took = duration(time.monotonic() - began)
    say(f"{out}: {count} clips of {settings.seconds:.1f} s, {size(folder_size(out))}, in {took}")
    if values["sheet"] is not None:
        contact_sheet(out, Path(values["sheet"]))
        say(f"{values['sheet']}: the first clips, with their sound")
