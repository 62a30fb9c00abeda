"""What ``avssl prepare`` costs beside the decoding and the encoding that it cannot do without.

Decoding is PyAV alone: every frame to RGB, all of the sound to mono at 16 kHz. Encoding is Pillow alone.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from pathlib import Path

import av
import numpy as np
import torch
from common.measure import interleaved, machine, table
from common.options import about_videos, parse
from common.videos import SECONDS, videos
from numpy.typing import NDArray

import avssl
from avssl.media.decoding.jpeg import encode_jpeg
from avssl.media.prepared.write import prepare

QUALITY = 95


def decode(path: Path) -> list[NDArray[np.uint8]]:
    """All frames of a file; its sound is decoded, too."""
    with av.open(str(path)) as container:
        container.streams.video[0].thread_type = "NONE"
        frames = [frame.to_ndarray(format="rgb24") for frame in container.decode(video=0)]
    with av.open(str(path)) as container:
        resampler = av.AudioResampler("flt", "mono", 16_000)
        for block in container.decode(audio=0):
            for part in resampler.resample(block):
                part.to_ndarray()
    return frames


def encode(frames: list[NDArray[np.uint8]]) -> int:
    """Bytes of the JPEGs of all frames."""
    return sum(len(encode_jpeg(frame, QUALITY, full_colour=False)) for frame in frames)


def preparation(path: Path) -> Callable[[], object]:
    """Prepares one file, in this process."""
    media = avssl.open(path, progress=False, workers=0)

    def work() -> None:
        with tempfile.TemporaryDirectory() as folder:
            prepare(media, Path(folder) / "set", workers=0, progress=False, jpeg_quality=QUALITY)

    return work


def main() -> None:
    """Print the table."""
    asked = parse(about_videos(__doc__, 5), rounds=1)
    torch.set_num_threads(1)
    rows = []
    for kind in asked.kind:
        path = videos(kind) / "0.mp4"
        frames = decode(path)
        calls = {"decode": lambda path=path: decode(path), "encode": lambda frames=frames: encode(frames)}
        found = interleaved(calls | {"prepare": preparation(path)}, asked.rounds)
        both = found["decode"] + found["encode"]
        parts = [f"{found[name] / SECONDS * 1e3:.1f}" for name in ("decode", "encode", "prepare")]
        rows.append([kind, *parts, f"{both / found['prepare']:.0%}"])
    print(machine("av", "pillow"))
    print(table(["CPU ms a second of video", "decode", "encode", "prepare", "(decode + encode) / prepare"], rows))


if __name__ == "__main__":
    main()
