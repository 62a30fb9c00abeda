"""The smallest real clips, and the smallest training there is."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

import av
import numpy as np

FPS, RATE, SIDE = 10, 8000, 48

TINY = (
    *("--width", "4", "--side", "32", "--bands", "16", "--batch-size", "4", "--workers", "0", "--no-prepare"),
    *("--validation-puzzles", "4", "--control-puzzles", "8", "--control-steps", "1", "--checkpoint-every", "1"),
)
"""Flags of the smallest training there is: one step is some hundredths of a second."""


def write_clip(path: Path, number: int = 0, seconds: float = 2.0, sound: bool = True, fps: int = FPS) -> None:
    """A plain picture that changes colour a little, and a tone of its own."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with av.open(str(path), "w") as container:
        video = container.add_stream("mpeg4", rate=fps)
        video.width, video.height, video.pix_fmt = SIDE, SIDE, "yuv420p"
        audio = container.add_stream("aac", rate=RATE, layout="mono") if sound else None
        for k in range(round(seconds * fps)):
            picture = np.full((SIDE, SIDE, 3), (40 * number + 5 * k) % 256, np.uint8)
            picture[k % SIDE :, :, number % 3] = 200
            for packet in video.encode(av.VideoFrame.from_ndarray(picture, format="rgb24")):
                container.mux(packet)
        for packet in video.encode():
            container.mux(packet)
        if audio is not None:
            tone = 0.3 * np.sin(2 * np.pi * (300 + 100 * number) * np.arange(round(seconds * RATE)) / RATE)
            frame = av.AudioFrame.from_ndarray((tone[None] * 32767).astype(np.int16), format="s16", layout="mono")
            frame.sample_rate = RATE
            for packet in [*audio.encode(frame), *audio.encode()]:
                container.mux(packet)


class Result(NamedTuple):
    """How a command ended."""

    status: int
    out: str
    err: str
