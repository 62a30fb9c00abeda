"""The videos that benchmarks read: ``light`` and ``heavy``, made once, in the cache."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter

from avssl.system.files import cache_folder

COUNT = 4
SECONDS, SIDE, FPS, RATE = 40, 256, 25, 44100
KINDS = {"light": (8.0, 0, 26), "heavy": (2.0, 14, 20)}
"""Blur of the picture that the camera moves over, in pixels; amplitude of the noise; x264's rate factor."""


def videos(kind: str, root: Path | None = None) -> Path:
    """The folder of one kind of :data:`KINDS`: as many as are missing are made, which takes some seconds."""
    folder = (root or cache_folder() / "benchmarks") / kind
    folder.mkdir(parents=True, exist_ok=True)
    rng = np.random.default_rng(0)
    for number in range(COUNT):
        path = folder / f"{number}.mp4"
        if not path.exists():
            _make(unfinished := path.with_suffix(".unfinished.mp4"), kind, rng)
            unfinished.rename(path)
    return folder


def copies(folder: Path, into: Path, count: int) -> None:
    """A collection of as many files: the videos of a folder, again and again."""
    into.mkdir()
    paths = sorted(folder.glob("*.mp4"))
    for number in range(count):
        shutil.copyfile(paths[number % len(paths)], into / f"{number:03d}.mp4")


def _make(path: Path, kind: str, rng: np.random.Generator) -> None:
    with av.open(str(path), "w") as container:
        video = container.add_stream("libx264", rate=FPS)
        video.width = video.height = SIDE
        video.pix_fmt = "yuv420p"
        groups = {"g": "250", "keyint_min": "250", "sc_threshold": "0", "bf": "3", "preset": "fast"}
        video.options = {**groups, "crf": str(KINDS[kind][2])}
        sound = container.add_stream("aac", rate=RATE)
        for number, picture in enumerate(_pictures(kind, rng)):
            frame = av.VideoFrame.from_ndarray(picture, "rgb24")
            frame.pts, frame.time_base = number, Fraction(1, FPS)
            container.mux(video.encode(frame))
        container.mux(video.encode())
        for start, samples in _sounds():
            block = av.AudioFrame.from_ndarray(samples[None], "s16", "mono")
            block.rate, block.pts, block.time_base = RATE, start, Fraction(1, RATE)
            container.mux(sound.encode(block))
        container.mux(sound.encode())


def _pictures(kind: str, rng: np.random.Generator) -> Iterator[NDArray[np.uint8]]:
    blur, noise, _ = KINDS[kind]
    scene = gaussian_filter(rng.random((2 * SIDE, 2 * SIDE, 3)), (blur, blur, 0))
    scene = 255 * (scene - scene.min()) / (scene.max() - scene.min())
    for k in range(SECONDS * FPS):
        left, top = int(128 + 100 * np.sin(k / 40)), int(128 + 100 * np.cos(k / 31))
        picture = scene[top : top + SIDE, left : left + SIDE]
        if noise:
            picture = picture + rng.integers(-noise, noise, (SIDE, SIDE, 1))
        yield picture.clip(0, 255).astype(np.uint8)


def _sounds() -> Iterator[tuple[int, NDArray[np.int16]]]:
    seconds = np.arange(SECONDS * RATE) / RATE
    wave = 0.3 * np.sin(2 * np.pi * (200 + 50 * np.floor(seconds)) * seconds)  # another pitch each second
    samples = (wave * 32767).astype(np.int16)
    for start in range(0, len(samples), 1024):
        yield start, samples[start : start + 1024]
