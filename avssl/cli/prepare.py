"""``avssl prepare``: decode once into shards that training reads fast."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from avssl.cli.command import parsed
from avssl.experiment.part_options import PartOptions
from avssl.media.opening import open_media
from avssl.media.prepared.shard import Settings
from avssl.media.prepared.write import PrepareWork
from avssl.options import argument, option
from avssl.report.tables import console, plain_table
from avssl.system.console import counted, duration, folder_size, log, size
from avssl.system.parts import WHOLE, Part

WHAT = """Decode every file of DATA once, in order and in parallel, into OUT: plain WebDataset tar shards (JPEG
frames, PCM sound, a JSON an item) with a memory-mapped index. OUT can be given wherever data
are named. Training prepares into the cache by itself; this command is for data that do not fit there, or that are to
be kept. Interrupted, the same command continues."""
EXAMPLE = """avssl prepare videos/ prepared/ --side 144
avssl train av-correspondence --data prepared/
avssl prepare videos/ prepared/ --part 3/8        one task of a job array; --merge afterwards"""


@dataclass(frozen=True, kw_only=True)
class PrepareOptions(Settings, PartOptions):
    """What is prepared, how, and where it goes."""

    data: str = argument("folder of videos or images, CSV (path[,label,start,split]), tar of images")
    out: str = argument("folder to write")
    shard_size: int | None = option(None, "items in a shard (default: shards of 256 MB or less)", low=1)
    workers: int | None = option(None, "processes (default: as many as cores)", low=0)


def run(argv: Sequence[str]) -> None:
    """Prepare what is named."""
    options = parsed(argv, PrepareOptions, "avssl prepare", WHAT, EXAMPLE)
    options.check()
    began = time.monotonic()
    # The options are settings, too; the set keeps the settings alone, and is continued only by equal ones.
    settings = Settings(options.side, options.fps, options.rate, options.jpeg_quality)
    work = PrepareWork.of(open_media(options.data, workers=options.workers), options.out, settings, options.shard_size)
    if not options.merge:
        part = WHOLE if options.part is None else Part.parsed(options.part)
        _announce(work, part, options.workers if options.engine == "local" else 1)
    prepared = options.carry_out(work, work.merged, options.workers)
    if prepared is None:
        return
    if prepared.rejected:
        console().print(plain_table(["left out", "reason"], [tuple(each) for each in prepared.rejected]))
    out = Path(options.out)
    log(f"{out}: {counted(len(prepared), 'item')}, {size(folder_size(out))}, in {duration(time.monotonic() - began)}")


def _announce(work: PrepareWork, part: Part, workers: int | None) -> None:
    """Say what will be taken of disk and time, before it is."""
    found = work.estimate(part, workers)
    if found is None:
        return
    count, expected = found
    cores = f" on {counted(expected.processes, 'core')}"
    time_needed = "" if expected.seconds is None else f" and {duration(expected.seconds)}{cores}"
    log(f"{work.folder}: {counted(count, 'item')} to prepare, about {size(expected.bytes)}{time_needed}")
