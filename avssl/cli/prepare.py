"""``avssl prepare``: decode once into shards that training reads fast."""

from __future__ import annotations

import math
import time
from collections.abc import Sequence
from pathlib import Path

from avssl.cli.checks import require
from avssl.cli.options import Command, Option, Values
from avssl.media import open_media, prepare
from avssl.report.tables import console, plain_table
from avssl.system.console import duration, folder_size, say, size


def run(argv: Sequence[str]) -> None:
    """Prepare what is named."""
    command = Command(
        "avssl prepare",
        "Decode every file of DATA once, in order and in parallel, into OUT: plain WebDataset tar shards (JPEG\n"
        "frames, PCM sound, a JSON an item) with a memory-mapped index. Wherever data are named, OUT can be named\n"
        "instead, and reads hundreds of pairs a second. Training prepares into the cache by itself; this command is\n"
        "for sets that do not fit there, or that are to be kept. An interrupted run goes on where it was.",
        "avssl prepare videos/ prepared/ --side 144\navssl train av-correspondence --data prepared/",
    )
    command.positional("data", "folder of videos or images, CSV (path[,label,start,split]), tar of images")
    command.positional("out", "folder to write")
    command.add(
        [
            Option(
                "side", int | None, 256, "pixels of the shorter side; larger pictures are scaled down; null keeps all"
            ),
            Option("fps", float | None, None, "frames a second to keep (default: every frame)"),
            Option("rate", int | None, 16_000, "samples a second of the stored sound, mono; null keeps each file's"),
            Option("jpeg_quality", int, 95, "1 to 100"),
            Option("shard_size", int | None, None, "items in a shard (default: shards of 256 MB or less)"),
            Option("workers", int | None, None, "processes (default: as many as cores)"),
        ]
    )
    values = command.parse(argv)
    refuse_nonsense(values)
    began = time.monotonic()
    media = open_media(values["data"], workers=values["workers"])
    settings = {name: values[name] for name in ("side", "fps", "rate", "jpeg_quality", "shard_size", "workers")}
    prepared = prepare(media, values["out"], **settings)
    if prepared.rejected:
        console().print(plain_table(["left out", "reason"], [tuple(each) for each in prepared.rejected]))
    out = Path(values["out"])
    say(f"{out}: {len(prepared)} items, {size(folder_size(out))}, in {duration(time.monotonic() - began)}")


def refuse_nonsense(values: Values) -> None:
    """Refuse what no set can be prepared with, before any file is looked at.

    Raises:
        UserError: names the flag, the value and what it must be.
    """
    for name in ("side", "rate", "shard_size"):
        require(values, name, values[name] is None or values[name] >= 1, "must be at least 1")
    require(values, "fps", values["fps"] is None or 0 < values["fps"] < math.inf, "must be more than 0")
    require(values, "jpeg_quality", 1 <= values["jpeg_quality"] <= 100, "must lie between 1 and 100")
    require(values, "workers", values["workers"] is None or values["workers"] >= 0, "must not be negative")
