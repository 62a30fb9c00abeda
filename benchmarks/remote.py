"""Items a second from a prepared set on this disk, and from a server that gives a multiple of what training eats.

The loader is the trainer's own; the step is a wait that takes no CPU, as a step on a GPU. Each round trains an epoch on
the set on this disk, then one on the same set from the server, with an empty cache, both by shards; seconds count from
the first batch to the last. What training eats is what the local epoch used: bytes of shards a second.
"""

from __future__ import annotations

import argparse
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

import numpy as np
from common.measure import machine, table
from common.options import parse
from PIL import Image

import avssl
from avssl.media.prepared.read import Prepared
from avssl.media.prepared.write import prepare
from avssl.samplers.order import ByShards
from avssl.trainer.loader import Source, Steps, batches
from avssl.trainer.plan import Turns

SIDE, IN_SHARD, BATCH = 128, 64, 16


def make_set(folder: Path, shards: int) -> Prepared:
    """Pictures of smooth noise, about 10 kB each."""
    rng = np.random.default_rng(0)
    (folder / "raw").mkdir()
    for number in range(shards * IN_SHARD):
        coarse = Image.fromarray(rng.integers(0, 256, (40, 40, 3), dtype=np.uint8))
        coarse.resize((SIDE, SIDE), Image.Resampling.BICUBIC).save(folder / "raw" / f"{number:06d}.jpg", quality=95)
    media = avssl.open(folder / "raw", progress=False)
    return prepare(media, folder / "served" / "set", side=None, shard_size=IN_SHARD, progress=False)


@contextmanager
def served(folder: Path, bytes_a_second: float) -> Iterator[str]:
    """The URL of a server of a folder, in a process of its own."""
    script = Path(__file__).parent / "common" / "range_server.py"
    command = [sys.executable, str(script), str(folder), str(bytes_a_second)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None and process.stdin is not None
        yield process.stdout.readline().strip()
        process.stdin.close()


class Epoch(NamedTuple):
    """Seconds from the first batch to the end, those until the first batch, and those spent waiting for the others."""

    seconds: float
    first: float
    waited: float


def train_epoch(data: str, step_seconds: float, window: int, workers: int) -> Epoch:
    """One epoch in the order of shards."""
    began = time.monotonic()
    task = avssl.task("rotation", side=96)
    media = ByShards(avssl.open(data), window)
    steps = Steps([Source(task, media, len(media))], Turns([1]), 0, BATCH)
    stream = batches(steps, 0, len(media) // BATCH, workers=workers, pin=False)
    next(stream)
    first, waited = time.monotonic(), 0.0
    while True:
        time.sleep(step_seconds)
        asked = time.monotonic()
        if next(stream, None) is None:
            return Epoch(asked - first, first - began, waited)
        waited += time.monotonic() - asked


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--shards", type=int, default=48)
    parser.add_argument("--window", type=int, default=4)
    parser.add_argument("--workers", type=int, default=1)
    parser.add_argument("--step", type=float, default=0.08, help="seconds of a step of 16 items")
    parser.add_argument("--multiple", type=float, default=2.0, help="what the server gives, of what training eats")
    options = parse(parser, rounds=1, shards=12, window=2)
    found: list[tuple[float, ...]] = []
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        here = make_set(folder, options.shards)
        size = sum(length for _, length, _ in here.shards)
        how = options.step, options.window, options.workers
        for _ in range(options.rounds):
            near = train_epoch(str(here.folder), *how)
            os.environ["AVSSL_CACHE"] = str(folder / "cache")
            with served(here.folder.parent, options.multiple * size / near.seconds) as url:
                far = train_epoch(f"{url}/set", *how)
            shutil.rmtree(folder / "cache")
            rates = len(here) / near.seconds, len(here) / far.seconds
            found.append((*rates, rates[1] / rates[0], near.waited, far.waited, near.first, far.first))
        rows = [[k + 1, *(f"{value:.3g}" for value in row)] for k, row in enumerate(found)]
        rows.append(["median", *(f"{statistics.median(column):.3g}" for column in zip(*found, strict=True))])
        print(machine("fsspec", "aiohttp"))
        each = f"{size / len(here) / 1000:.1f} kB"
        print(f"{len(here)} items of {each}, {options.shards} shards, {options.window} a window")
        head = ["items/s here", "from the server", "share", "s waited here", "from the server"]
        print(table(["round", *head, "s to the first batch here", "from the server"], rows))


if __name__ == "__main__":
    main()
