"""A table of a million rows, and a folder of many small files: ``python benchmarks/large_table.py``.

The rows are random seconds of the four light videos. Memory is that of a loader's worker, from Linux's smaps: private
(USS), and with its share of what it has in common with others (PSS), less that of a worker of a table of ten rows.
"""

from __future__ import annotations

import argparse
import os
import random
import resource
import tempfile
import time
import wave
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from common.measure import machine, table
from common.options import parse
from common.videos import videos
from torch.utils.data import DataLoader, Dataset

import avssl
from avssl.experiment.data import DataOptions, opened, prepared
from avssl.media.facts import Media
from avssl.media.opening import open_media
from avssl.media.selection import facts_of
from avssl.samplers.keys import Key, permutation
from avssl.system.console import quiet
from avssl.tasks.base import Task
from avssl.trainer.loader import Source

DRAWS = 16


def main() -> None:
    """Measure, and print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--files", type=int, default=20_000)
    asked = parse(parser, rows=20_000, files=500)
    with tempfile.TemporaryDirectory(prefix="avssl-bench-") as scratch:
        # The files first: the most memory that a process has had is known, not the most since then.
        rows = [*of_files(Path(scratch), asked.files), *of_table(Path(scratch), asked.rows)]
    print(machine("av", "numpy"))
    print(table(["what", "figure"], rows))


def of_table(scratch: Path, rows: int) -> list[tuple[str, str]]:
    """What a table of so many rows costs."""
    place, few = written(scratch / "large", rows), written(scratch / "few", 10)
    os.environ["AVSSL_CACHE"] = str(scratch / "cache")
    task = avssl.task("av-correspondence", side=64)
    _, first = cpu(lambda: open_media(place, progress=False))
    media, known = median_cpu(lambda: open_media(place, progress=False))
    _, facts = cpu(lambda: sum(1 for _ in facts_of(media)))
    _, order = median_cpu(lambda: permutation(random.randrange(10**9), 0, rows))
    options = DataOptions(data=str(place), sources="names", prepare=False)
    with quiet():
        parts, division = cpu(lambda: prepared(opened(task, options, 0)))
    found = [
        (f"table of {rows} rows, first opened", f"{first:.1f} s"),
        ("opened when known", f"{known:.2f} s"),
        ("the facts of every row, one after the other", f"{facts:.1f} s"),
        ("from the command to the parts of a training (--sources names)", f"{division:.1f} s"),
        ("an epoch's order", f"{order:.3f} s"),
    ]
    small = open_media(few, progress=False)
    for start in ("fork", "spawn"):
        large = worker_memory(task, parts.train, start)
        least = worker_memory(task, small, start)
        uss, pss = (f"{one - other:.0f} MB" for one, other in zip(large, least, strict=True))
        found.append((f"a worker's copy ({start}): USS, PSS", f"{uss}, {pss}"))
    return found


def of_files(scratch: Path, count: int) -> list[tuple[str, str]]:
    """What a folder of so many small files costs."""
    folder = scratch / "files"
    folder.mkdir()
    noise = np.random.default_rng(0).integers(-(2**14), 2**14, 800, np.int16)
    for number in range(count):
        with wave.open(str(folder / f"{number:07d}.wav"), "wb") as file:
            file.setparams((1, 2, 8000, 800, "NONE", ""))
            file.writeframes(np.roll(noise, number).tobytes())
    before, began = peak_mb(), time.monotonic()
    media, first = cpu(lambda: open_media(folder, index=scratch / "index-of-files", progress=False))
    seconds = time.monotonic() - began
    grown = peak_mb() - before
    _, known = median_cpu(lambda: open_media(folder, index=scratch / "index-of-files", progress=False))
    return [
        (
            f"{len(media)} small files, first looked at",
            _rate(first, seconds, count),
        ),
        ("the memory that this takes beyond what was there", f"{1024 * grown / count:.1f} kB a file"),
        ("opened when known", f"{1e6 * known / count:.0f} s a million"),
    ]


def peak_mb() -> float:
    """The most memory that this process has had."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def _rate(cpu_seconds: float, seconds: float, count: int) -> str:
    return f"{1000 * cpu_seconds / count:.1f} ms a file; {count / seconds:.0f} files a second"


def written(folder: Path, rows: int) -> Path:
    """A table of random seconds."""
    folder.mkdir()
    dice, files = random.Random(0), sorted(videos("light").glob("*.mp4"))
    with (folder / "clips.csv").open("w") as file:
        file.write("path,start,label\n")
        for _ in range(rows):
            file.write(f"{dice.choice(files)},{dice.uniform(0, 35):.3f},{dice.choice('abcdefgh')}\n")
    return folder / "clips.csv"


def cpu(call: Callable[[], Any]) -> tuple[Any, float]:
    """The answer of a call, and its CPU seconds with those of the processes that it starts."""
    began = sum(resource.getrusage(who).ru_utime + resource.getrusage(who).ru_stime for who in WHO)
    answer = call()
    return answer, sum(resource.getrusage(who).ru_utime + resource.getrusage(who).ru_stime for who in WHO) - began


WHO = (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)


def median_cpu(call: Callable[[], Any]) -> tuple[Any, float]:
    """Of five calls."""
    answers, seconds = zip(*(cpu(call) for _ in range(5)), strict=True)
    return answers[0], sorted(seconds)[2]


class Measured(Dataset[tuple[float, float]]):
    """Puzzles; each item is drawn, and what comes back is the worker's memory."""

    def __init__(self, source: Source) -> None:
        self.source = source

    def __getitem__(self, index: int) -> tuple[float, float]:
        self.source.draw(Key(0, 0, index), "raise", [])
        return memory()


def memory() -> tuple[float, float]:
    """(USS, PSS) of this process in MB."""
    lines = dict(line.split(":") for line in Path("/proc/self/smaps_rollup").read_text().splitlines()[1:])
    size = {name: int(value.split()[0]) / 1024 for name, value in lines.items()}
    return size["Private_Clean"] + size["Private_Dirty"], size["Pss"]


def worker_memory(task: Task, media: Media, start: str) -> tuple[float, float]:
    """The most that a worker has held, by the way that it is started."""
    data = Measured(Source(task, media, task.length(media)))
    loader = DataLoader(data, None, sampler=range(DRAWS), num_workers=1, multiprocessing_context=start)
    seen = list(loader)
    return max(uss for uss, _ in seen), max(pss for _, pss in seen)


if __name__ == "__main__":
    main()
