"""A second opinion: decodes a whole file from its start, the plainest way, and shares nothing with the readers."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from typing import Any

import av
import numpy as np
from numpy.typing import NDArray

LENIENT: dict[str, Any] = {} if int(av.__version__.split(".")[0]) >= 19 else {"metadata_errors": "replace"}


@dataclass(frozen=True)
class Film:
    """All shown pictures of a file."""

    seconds: NDArray[np.float64]
    """Container time of each. (n,)"""
    pictures: dict[int, NDArray[np.uint8]]
    """Some of them by number, as stored: not turned, pixels not made square. uint8 RGB (height, width, 3)"""
    rotation: int
    """Degrees counter-clockwise by which they shall be turned."""


@dataclass(frozen=True)
class Tape:
    """All sound of a file, mono."""

    start_seconds: float
    rate: int
    samples: NDArray[np.float32]


def film(path: str, stream: int, keep: Collection[int]) -> Film:
    """Decodes all pictures of a stream and keeps those with these numbers."""
    seconds: list[float] = []
    pictures: dict[int, NDArray[np.uint8]] = {}
    rotation = 0
    with av.open(path, **LENIENT) as container:
        source = container.streams[stream]
        for packet in container.demux(source):
            try:
                frames = packet.decode()
            except av.FFmpegError:
                continue
            for frame in frames:
                if len(seconds) in keep:
                    pictures[len(seconds)] = frame.to_ndarray(format="rgb24")
                seconds.append(np.nan if frame.time is None else frame.time)
                rotation = frame.rotation
        if container.format.name == "avi":
            # AVI has no presentation times; its n-th picture is shown in the n-th place that holds one.
            with av.open(path, **LENIENT) as again:
                places = [p.dts for p in again.demux(again.streams[stream]) if p.size]
            seconds = [float(place * source.time_base) for place in sorted(places)[: len(seconds)]]
    return Film(np.array(seconds), pictures, rotation)


def tape(path: str, stream: int) -> Tape:
    """Decodes all sound of a stream. Frames follow each other; only a jump in time that lasts leaves a gap."""
    frames: list[tuple[float, NDArray[np.float32]]] = []
    rate = 0
    with av.open(path, **LENIENT) as container:
        for packet in container.demux(container.streams[stream]):
            try:
                decoded = packet.decode()
            except av.FFmpegError:
                continue
            frames += [(frame.time, _mono(frame)) for frame in decoded]
            rate = decoded[0].sample_rate if decoded else rate
    start = frames[0][0]
    pieces: list[NDArray[np.float32]] = []
    length = 0
    for number, (_, mono) in enumerate(frames):
        # How far this and the next frame lie behind what has been laid down so far.
        gaps, ahead = [], length
        for time, samples in frames[number : number + 2]:
            gaps.append(round((time - start) * rate) - ahead)
            ahead += len(samples)
        gap = min(gaps, key=abs)
        if abs(gap) > 0.005 * rate:
            assert gap > 0, "sound that goes back in time"
            pieces.append(np.zeros(gap, np.float32))
            length += gap
        pieces.append(mono)
        length += len(mono)
    return Tape(start, rate, np.concatenate(pieces))


def _mono(frame: av.AudioFrame) -> NDArray[np.float32]:
    data = frame.to_ndarray().astype(np.float64)
    channels = len(frame.layout.channels)
    name = frame.format.name
    if not name.endswith("p"):
        data = data.reshape(-1, channels).T
    full = {"u8": 128.0, "s16": 2.0**15, "s32": 2.0**31}.get(name.rstrip("p"), 1.0)
    data = (data - 128 if name.startswith("u8") else data) / full
    heard = [row for row, channel in zip(data, frame.layout.channels, strict=True) if channel.name != "LFE"]
    return np.mean(heard, axis=0).astype(np.float32)
