"""What a pair from a prepared set costs: 256-pixel frame, random crop to 224, its second of sound, collated.

In decodes of the same JPEGs by simplejpeg alone, part by part, and against the same pair from the files; and what is
left of it for the loader's process where the device cuts frames, or decodes them, too (``--augment device``).
"""

from __future__ import annotations

import tarfile
import tempfile
from dataclasses import replace
from itertools import count, cycle
from pathlib import Path

import numpy as np
import simplejpeg
import torch
from common.measure import interleaved, machine, table
from common.options import about_videos, parse
from common.videos import copies, videos

import avssl
from avssl.media.facts import Media
from avssl.media.prepared.write import prepare
from avssl.samplers import scaling
from avssl.samplers.keys import Key
from avssl.samplers.pictures import cut, random_crop
from avssl.tasks.av_correspondence.puzzle import CorrespondenceOptions
from avssl.tasks.av_correspondence.task import AVCorrespondence
from avssl.tasks.base import Task

BATCH = 16
HEAD = ("decode", "frame", "second", "crop", "collate", "pair", "pair by default", "cut later", "decoded later")
# Of a pair as the targets mean it: without what training adds by default, noise for one puzzle in eight, mosaics and a
# limit of loudness.
PLAIN = {"silent_rows": 0.0, "mosaic": 0.0, "min_loudness_db": None}


def costs(raw: Media, folder: Path, rounds: int) -> dict[str, float]:
    """CPU seconds of a bare decode, of a pair, of the pair's parts, and of a pair from the files."""
    media = prepare(raw, folder, progress=False)
    default = CorrespondenceOptions(side=224, crop_low=0.75, crop_high=1.0)
    task, as_trained = AVCorrespondence(replace(default, **PLAIN)), AVCorrespondence(default)
    rng, keys, jpegs = np.random.default_rng(0), (Key(0, 0, n) for n in count()), cycle(some_jpegs(folder, 200))
    frame, drawn = media.frames(0, [1.0])[0], [task.draw(media, next(keys)) for _ in range(BATCH)]

    def crop() -> object:
        return cut(frame, random_crop(rng, 256, 256, 0.75, 1.0, True), 224)

    def some(task: Task) -> object:
        return task.collate([task.draw(media, next(keys)) for _ in range(BATCH)])

    for _ in range(scaling.WORTH_COMPILING_AFTER):
        crop()
    calls = {
        "decode": lambda: simplejpeg.decode_jpeg(next(jpegs)),
        "frame": lambda: media.frames(int(rng.integers(len(media))), [rng.uniform(1, 38)]),
        "second": lambda: media.audio(int(rng.integers(len(media))), rng.uniform(1, 38), 1.0, 16_000),
        "crop": crop,
    }
    batches = {name: lambda call=call: [call() for _ in range(BATCH)] for name, call in calls.items()}
    batches |= {
        "collate": lambda: task.collate(drawn),
        "pair": lambda: some(task),
        "pair by default": lambda: some(as_trained),
        "cut later": lambda: some(task.variant(left_to_device="cutting")),
        "decoded later": lambda: some(task.variant(left_to_device="decoding")),
        "raw": lambda: task.draw(raw, next(keys)),
    }
    found = interleaved(batches, rounds, calls=3)  # a batch lies where it is drawn if it is as large as the last
    return {name: seconds / (1 if name == "raw" else BATCH) for name, seconds in found.items()}


def some_jpegs(folder: Path, number: int) -> list[bytes]:
    """As many of the set's JPEGs, from anywhere in it."""
    found = []
    for path in sorted(folder.glob("*.tar")):
        with tarfile.open(path) as tar:
            members = [member for member in tar if member.name.endswith(".jpg")]
            found += [tar.extractfile(member).read() for member in members]  # type: ignore[union-attr]
    return [found[i] for i in np.random.default_rng(0).permutation(len(found))[:number]]


def main() -> None:
    """Print the table."""
    parser = about_videos(__doc__, 20)
    # Of few items every few pairs begin a new order, which in a training hardly ever happens.
    parser.add_argument("--files", type=int, default=16, help="videos that are prepared")
    asked = parse(parser, rounds=1, files=1)
    torch.set_num_threads(1)
    rows = []
    for kind in asked.kind:
        with tempfile.TemporaryDirectory() as folder:
            copies(videos(kind), Path(folder) / "videos", asked.files)
            raw = avssl.open(Path(folder) / "videos", progress=False)
            seconds = costs(raw, Path(folder) / "prepared", asked.rounds)
        parts = [f"{seconds[name] * 1e6:.0f}" for name in HEAD]
        pair = seconds["pair"]
        rows.append([kind, *parts, f"{pair / seconds['decode']:.2f}", f"{seconds['raw'] / pair:.0f}"])
    print(machine("simplejpeg", "numba", "pillow"))
    print(table(["µs", *HEAD, "pair / decode", "from the files / prepared"], rows))


if __name__ == "__main__":
    main()
