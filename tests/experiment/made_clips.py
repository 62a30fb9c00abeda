"""Folders of small real clips that leak in a known way, or do not."""

from __future__ import annotations

from pathlib import Path

import av
import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter

SIDE, FPS, RATE = 64, 10, 16_000


def clip(
    path: Path, seed: int, border: tuple[int, int, int] | None, hum_hz: float | None, seconds: float = 2.0
) -> None:
    """A texture that drifts and noise that comes and goes, both from ``seed``; a border and a hum around them."""
    rng = np.random.default_rng(seed)
    wide = gaussian_filter(rng.normal(size=(3, SIDE, 3 * SIDE)), (0, 3, 3))
    wide = (128 + 40 * wide / wide.std()).clip(0, 255).astype(np.uint8)
    speed = rng.integers(1, 5)
    frames = [wide[:, :, k * speed : k * speed + SIDE] for k in range(round(seconds * FPS))]
    write(path, [_framed(frame, border) for frame in frames], _sound(rng, hum_hz, seconds))


def write(path: Path, frames: list[NDArray[np.uint8]], sound: NDArray[np.float64]) -> None:
    """An MP4 of frames (3, h, w) and mono sound."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with av.open(str(path), "w") as out:
        video = out.add_stream("libx264", rate=FPS, options={"crf": "18", "preset": "ultrafast"})
        video.width, video.height, video.pix_fmt = frames[0].shape[2], frames[0].shape[1], "yuv420p"
        audio = out.add_stream("aac", rate=RATE, layout="mono")
        for frame in frames:
            picture = av.VideoFrame.from_ndarray(np.ascontiguousarray(frame.transpose(1, 2, 0)), format="rgb24")
            out.mux(video.encode(picture))
        out.mux(video.encode(None))
        block = av.AudioFrame.from_ndarray(sound.astype(np.float32)[None], format="fltp", layout="mono")
        block.sample_rate = RATE
        out.mux(audio.encode(block))
        out.mux(audio.encode(None))


def hums_and_borders(folder: Path, sources: int = 20, clips: tuple[int, ...] = (0, 1)) -> None:
    """Clips ``0`` and ``1`` of each source: nothing in common but the source's border colour and hum."""
    rng = np.random.default_rng(5)
    levels = (30, 120, 220)
    grid = [(red, green, blue) for red in levels for green in levels for blue in levels]
    # Grey borders and the mains are many people's, not one source's.
    colours = rng.permutation([colour for colour in grid if len(set(colour)) > 1])
    hums = rng.permutation(np.geomspace(67, 590, sources))
    names = rng.permutation(1000)
    for source in range(sources):
        for number in clips:
            # Names say nothing of the source.
            name = f"{names[2 * source + number]:04d}.mp4"
            colour = tuple(int(value) for value in colours[source])
            # A hum counts from 2.3 s on.
            clip(folder / name, 100 + 2 * source + number, colour, float(hums[source]), seconds=2.5)


def unlike(folder: Path, count: int = 24, first: int = 0) -> None:
    """Clips without anything in common."""
    for k in range(first, first + count):
        clip(folder / f"clip{k:03d}.mp4", 1000 + k, None, None)


def _framed(frame: NDArray[np.uint8], border: tuple[int, int, int] | None) -> NDArray[np.uint8]:
    framed = frame.copy()
    if border is not None:
        for plane, level in zip(framed, border, strict=True):
            plane[:6], plane[-6:], plane[:, :6], plane[:, -6:] = level, level, level, level
    return framed


def _sound(rng: np.random.Generator, hum_hz: float | None, seconds: float) -> NDArray[np.float64]:
    t = np.arange(round(seconds * RATE)) / RATE
    loud = np.interp(t, np.linspace(0, seconds, 12), rng.uniform(0.0, 0.2, 12))
    hum = 0.0 if hum_hz is None else 0.05 * np.sin(2 * np.pi * hum_hz * t + rng.uniform(0, 6))
    sound: NDArray[np.float64] = loud * rng.normal(size=len(t)) + hum + 0.001 * rng.normal(size=len(t))
    return sound.clip(-1, 1)
