"""Small films with known pictures, borders, hums and sounds."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import av
import numpy as np
from numpy.typing import NDArray

RATE = 16000


def scene(seed: int, count: int, size: tuple[int, int] = (64, 96)) -> list[NDArray[np.uint8]]:
    """Pictures of a patch that moves over a patchwork: uint8 (height, width, 3) each."""
    rng = np.random.default_rng(seed)
    height, width = size
    ground = rng.integers(0, 255, (height // 8, width // 8, 3)).repeat(8, 0).repeat(8, 1).astype(np.uint8)
    place, speed = rng.uniform(0, 1, 2), rng.uniform(0.02, 0.06, 2)
    colour, side = rng.integers(0, 255, 3), height // 3
    pictures = []
    for _ in range(count):
        place = (place + speed) % 1
        picture = ground.copy()
        top, left = (place * (height - side, width - side)).astype(int)
        picture[top : top + side, left : left + side] = colour
        pictures.append(picture)
    return pictures


def bordered(
    pictures: list[NDArray[np.uint8]], colour: tuple[int, int, int], width: int = 4
) -> list[NDArray[np.uint8]]:
    """The same pictures within a border."""
    found = []
    for picture in pictures:
        framed = np.full_like(picture, colour)
        framed[width:-width, width:-width] = picture[width:-width, width:-width]
        found.append(framed)
    return found


def noises(seed: int, seconds: float) -> NDArray[np.float32]:
    """Bursts and whistles that no other seed has."""
    rng = np.random.default_rng(seed)
    wave = np.zeros(round(seconds * RATE))
    for _ in range(round(8 * seconds)):
        start, length = int(rng.integers(0, len(wave) - 800)), int(rng.integers(1000, 5000))
        t = np.arange(length)
        whistle = np.sin(2 * np.pi * rng.uniform(200, 3500) / RATE * t * (1 + rng.uniform(-3e-5, 3e-5) * t))
        burst = (0.7 * whistle + 0.3 * rng.standard_normal(length)) * np.exp(-t / rng.uniform(300, 2500))
        wave[start : start + length] += 0.25 * burst[: len(wave) - start]
    return wave.astype(np.float32)


def hum(hertz: float, seconds: float, level: float = 0.05) -> NDArray[np.float32]:
    return (level * np.sin(2 * np.pi * hertz * np.arange(round(seconds * RATE)) / RATE)).astype(np.float32)


def write(
    path: Path,
    pictures: list[NDArray[np.uint8]],
    wave: NDArray[np.float32] | None = None,
    *,
    fps: int = 8,
    crf: int = 23,
    sound_rate: int = 64_000,
) -> Path:
    """A film of these pictures and this sound; the suffix says in which container."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with av.open(str(path), "w") as film:
        video = film.add_stream("libx264", rate=fps)
        video.height, video.width = pictures[0].shape[:2]
        video.pix_fmt, video.options = "yuv420p", {"crf": str(crf), "preset": "veryfast"}
        audio = None
        if wave is not None:
            audio = film.add_stream("aac", rate=RATE)
            audio.layout, audio.bit_rate = "mono", sound_rate
        for number, picture in enumerate(pictures):
            frame = av.VideoFrame.from_ndarray(np.ascontiguousarray(picture), format="rgb24")
            frame.pts, frame.time_base = number, Fraction(1, fps)
            film.mux(video.encode(frame))
        film.mux(video.encode(None))
        if wave is not None and audio is not None:
            for start in range(0, len(wave), 1024):
                piece = av.AudioFrame.from_ndarray(wave[None, start : start + 1024], "fltp", "mono")
                piece.rate, piece.pts, piece.time_base = RATE, start, Fraction(1, RATE)
                film.mux(audio.encode(piece))
            film.mux(audio.encode(None))
    return path
