"""Pictures made in memory, for tests of tasks on images."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from avssl.media.facts import Facts, Rejected


class ToyPictures:
    """``count`` images, each painted by ``paint(number)``: uint8 (3, h, w)."""

    rejected: Sequence[Rejected] = ()
    fingerprint = "toy-pictures"

    def __init__(self, count: int, paint: Callable[[int], NDArray[np.uint8]]) -> None:
        self.count, self.paint = count, paint

    def __len__(self) -> int:
        return self.count

    def facts(self, i: int) -> Facts:
        height, width = self.paint(i).shape[-2:]
        path = f"toy/{i:03d}.png"
        return Facts(path, "image", 0.0, width, height, 1, 0.0, 0, 0, 0.0, 0.0, source=path)

    def frame_times(self, i: int) -> NDArray[np.float64]:
        return np.zeros(1)

    def frames(self, i: int, times: Sequence[float]) -> NDArray[np.uint8]:
        return np.stack([self.paint(i)] * len(times))

    def annotation(self, i: int) -> dict[str, Any] | None:
        return None


def noise(i: int) -> NDArray[np.uint8]:
    """Coloured noise, another in each picture."""
    return np.random.default_rng(i).integers(0, 256, (3, 40, 40), dtype=np.uint8)


def ramp(i: int) -> NDArray[np.uint8]:
    """A smooth slope of colours, another in each picture."""
    rng = np.random.default_rng(i)
    y, x = np.mgrid[0:32, 0:32] / 31
    slopes, start = rng.uniform(-90, 90, (2, 3, 1, 1)), rng.uniform(100, 156, (3, 1, 1))
    return (start + slopes[0] * (x - 0.5) + slopes[1] * (y - 0.5)).clip(0, 255).astype(np.uint8)
