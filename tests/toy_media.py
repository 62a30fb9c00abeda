"""Media made in memory, for tests of what stands above the media room."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from avssl.media.facts import Facts, Rejected

SIDE, FPS, RATE = 40, 12.5, 8000


class ToyVideos:
    """``count`` videos; video n is a plain colour and a tone, both determined by ``n % kinds``, with noise on top."""

    rejected: Sequence[Rejected] = ()

    def __init__(self, count: int = 24, kinds: int = 2, seconds: float = 3.0, sources: int | None = None) -> None:
        self.count, self.kinds, self.seconds = count, kinds, seconds
        self.sources = sources or count
        self.fingerprint = f"toy-{count}-{kinds}-{seconds}-{sources}"

    def __len__(self) -> int:
        return self.count

    def facts(self, i: int) -> Facts:
        return Facts(
            path=f"toy/{i:03d}.mp4",
            kind="video",
            duration_seconds=self.seconds,
            width=SIDE,
            height=SIDE,
            frame_count=len(self.frame_times(i)),
            frame_rate=FPS,
            audio_rate=RATE,
            audio_channels=1,
            audio_start_seconds=0.0,
            audio_end_seconds=self.seconds,
            label=f"kind{i % self.kinds}",
            source=f"source{i % self.sources}",
        )

    def frame_times(self, i: int) -> NDArray[np.float64]:
        return np.arange(round(self.seconds * FPS)) / FPS

    def frames(self, i: int, times: Sequence[float]) -> NDArray[np.uint8]:
        colour = np.array([40, 200, 90]) if i % self.kinds else np.array([200, 60, 160])
        rng = np.random.default_rng(i)
        noise = rng.integers(-30, 30, (len(times), 3, SIDE, SIDE))
        return (colour[None, :, None, None] + noise).clip(0, 255).astype(np.uint8)

    def audio(self, i: int, start_seconds: float, duration_seconds: float, rate: int) -> NDArray[np.float32]:
        t = start_seconds + np.arange(round(duration_seconds * rate)) / rate
        tone = 0.3 * np.sin(2 * np.pi * (440 + 800 * (i % self.kinds)) * t)
        inside = (t >= 0) & (t < self.seconds)
        return (tone * inside).astype(np.float32)

    def annotation(self, i: int) -> dict[str, Any] | None:
        return None


class Gliding(ToyVideos):
    """A textured square that glides evenly over a textured ground: two pixels a frame, in a direction of its own."""

    def frames(self, i: int, times: Sequence[float]) -> NDArray[np.uint8]:
        rng = np.random.default_rng(i)
        ground, square = (_smooth(rng, 2 * SIDE), _smooth(rng, 12))
        right, down = ((1, 0), (-1, 0), (0, 1), (0, -1))[i % 4]
        found = []
        for time in times:
            step = round(time * FPS) - round(self.seconds * FPS) // 2
            picture = ground[:, :SIDE, :SIDE].copy()
            left, top = ((SIDE - 12) // 2 + 2 * step * way for way in (right, down))
            # It leaves on one side and comes in on the other.
            rows, columns = (np.arange(12) + top) % SIDE, (np.arange(12) + left) % SIDE
            picture[:, rows[:, None], columns] = 255 - square
            found.append(picture)
        return np.stack(found)


def _smooth(rng: np.random.Generator, side: int) -> NDArray[np.uint8]:
    """A texture (3, side, side): levels that vary over about four pixels, dark ones."""
    coarse = rng.integers(20, 120, (3, side // 4 + 1, side // 4 + 1))
    fine = coarse.repeat(4, 1).repeat(4, 2)[:, : side + 2, : side + 2].astype(float)
    blurred = sum(fine[:, down : down + side, right : right + side] for down in range(3) for right in range(3)) / 9
    return np.asarray(blurred, np.uint8)
