"""A frame with its second of sound, and the five frames of a Shuffle & Learn draw, from video files, beside peers.

    .venv/bin/python benchmarks/raw_reading.py [--kind light] [--rounds 15] [--checked 24] [--videos FOLDER]

All readers read the same draws, interleaved, on one core; a measurement is a block of draws. Before, each reads some
draws that are compared: this package's frames with those of a full decode, to the bit; those of its peers may differ
as converters to RGB round. One that fails is named with its error.
"""

from __future__ import annotations

import random
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import replace
from itertools import cycle
from pathlib import Path

import av
import numpy as np
import torch
from common.measure import interleaved, machine, table
from common.options import about_videos, parse
from common.readers import Draw, Reader, readers
from common.videos import SECONDS, copies, videos
from numpy.typing import NDArray

import avssl
from avssl.media.containers.demux import Deadline
from avssl.media.decoding.pictures import Painter
from avssl.media.decoding.video import FrameReader
from avssl.media.indexing.inspect import inspect
from avssl.samplers.triplets import TripletRule, draw_five

BLOCK_DRAWS = 6
DIFFERENT_LEVELS = 4.0
"""A peer's frame is another one if it differs by more, of 255 levels in the mean."""


def pairs(folder: Path, count: int, seed: int) -> list[Draw]:
    """A frame anywhere and the second of sound around it."""
    dice, paths = random.Random(seed), sorted(map(str, folder.glob("*.mp4")))
    return [Draw(dice.choice(paths), (dice.uniform(1, SECONDS - 2),), with_sound=True) for _ in range(count)]


def fives(folder: Path, count: int, seed: int) -> list[Draw]:
    """Five frames as the task draws them; anywhere, not where most moves."""
    media, rng = avssl.open(folder, progress=False), np.random.default_rng(seed)
    rule, found = replace(TripletRule(), by_motion=False), []
    for item in rng.integers(len(media), size=count).tolist():
        times = draw_five(media, item, rule, rng)
        found.append(Draw(media.facts(item).path, tuple(times.tolist()), with_sound=False))
    return found


def truth(draws: Sequence[Draw]) -> list[NDArray[np.uint8]]:
    """The frames of each draw as decoding all frames of the file from its start shows them."""
    found: list[NDArray[np.uint8] | None] = [None] * len(draws)
    for path in {draw.path for draw in draws}:
        clock = inspect(path).clock
        mine = [k for k, draw in enumerate(draws) if draw.path == path]
        numbers = {k: [clock.shown(time) for time in draws[k].times] for k in mine}
        wanted, shown = set().union(*numbers.values()), {}
        painter = Painter(clock.width, clock.height, path)
        with FrameReader(path, clock, Deadline(path, 3600)) as reader:
            for number, frame in reader.all_frames():
                if number in wanted:
                    shown[number] = painter.paint(frame)
        for k in mine:
            found[k] = np.stack([shown[number] for number in numbers[k]])
    return [frames for frames in found if frames is not None]


def wrong_frames(name: str, read: Reader, draws: Sequence[Draw], expected: Sequence[NDArray[np.uint8]]) -> int:
    """How many frames of these draws are not the right ones."""
    wrong = 0
    for draw, right in zip(draws, expected, strict=True):
        frames = read(draw)
        for one, other in zip(frames, right, strict=True):
            if name.startswith("avssl"):
                wrong += not np.array_equal(one, other)
            else:
                wrong += one.shape != other.shape or bool(np.abs(one.astype(int) - other).mean() > DIFFERENT_LEVELS)
    return wrong


def block(read: Reader, draws: Sequence[Draw]) -> Callable[[], None]:
    """Reads the next few of these draws with each call."""
    endless = cycle(draws)

    def call() -> None:
        for _ in range(BLOCK_DRAWS):
            read(next(endless))

    return call


def compare(folder: Path, what: str, rounds: int, checks: int) -> list[tuple[object, ...]]:
    """The rows of one kind of draw from one folder."""
    make = pairs if what == "pair" else fives
    checked = make(folder, checks, 1)
    expected, wrong = truth(checked), {}
    found, failed = readers(folder)
    for name, read in list(found.items()):
        try:
            wrong[name] = wrong_frames(name, read, checked, expected)
        except Exception as error:  # whatever a peer raises is its row
            if name.startswith("avssl"):
                raise
            failed[name] = f"{type(error).__name__}: {str(error).strip().splitlines()[0]}"
            del found[name]
    draws = make(folder, BLOCK_DRAWS * (rounds + 1), 2)
    if not checks:
        for name in ("avssl", "torchcodec, kept open"):  # each file was read before, as in any epoch but the first
            for path in map(str, sorted(folder.glob("*.mp4"))):
                if name in found:
                    found[name](Draw(path, (1.0,), with_sound=False))
    seconds = interleaved({name: block(read, draws) for name, read in found.items()}, rounds)
    own = seconds["avssl"]
    rows: list[tuple[object, ...]] = []
    for name, each in sorted(seconds.items(), key=lambda pair: pair[1]):
        figures = f"{1e3 * each / BLOCK_DRAWS:.1f}", f"{BLOCK_DRAWS / each:.1f}", f"{each / own:.2f}", wrong[name]
        rows.append((folder.name, what, name, *figures))
    rows += [(folder.name, what, name, reason, "", "", "") for name, reason in failed.items()]
    return rows


def main() -> None:
    """Print the table."""
    parser = about_videos(__doc__, 15)
    parser.add_argument("--checked", type=int, default=24, help="draws of each that are compared before")
    parser.add_argument("--videos", type=Path, help="folder with light/ and heavy/; by default made in the cache")
    parser.add_argument("--many", type=int, default=100, help="files of the collection of many")
    options = parse(parser, rounds=1, checked=1, many=4)
    torch.set_num_threads(1)
    av.logging.set_level(av.logging.PANIC)
    rows = []
    for kind in options.kind:
        folder = videos(kind, options.videos)
        for what in ("pair", "five frames"):
            rows += compare(folder, what, options.rounds, options.checked)
        with tempfile.TemporaryDirectory() as many:
            copies(folder, Path(many) / f"{kind}, {options.many} files", options.many)
            rows += compare(Path(many) / f"{kind}, {options.many} files", "five frames", options.rounds, 0)
    print(machine("av"))
    print(table(["files", "draw", "reader", "ms a draw", "draws a second", "time to avssl's", "wrong frames"], rows))


if __name__ == "__main__":
    main()
