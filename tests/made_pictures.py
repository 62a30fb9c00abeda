"""Textures without anything on them, for tests of pretext tasks on pictures: only a made cue can tell an answer."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter, zoom

from avssl.media.facts import Facts, Rejected


class Textures:
    """``count`` pictures of smoothed noise.

    Args:
        grain: pixels over which the texture is alike.
        light: how much brighter the top is than the bottom, in grey levels.
        contrast_below: by which share contrast, and with it the gradients, fall from the top to the bottom.
        noise_below: strength of noise at the bottom, in grey levels; there is none at the top.
        aberration: by which share green is larger than red and blue, about the middle, as of a cheap lens.
    """

    rejected: Sequence[Rejected] = ()

    def __init__(
        self,
        count: int = 60,
        size: tuple[int, int] = (96, 120),
        grain: float = 1.5,
        light: float = 0,
        aberration: float = 0,
        contrast_below: float = 0,
        noise_below: float = 0,
    ) -> None:
        self.count, self.size, self.grain, self.light, self.aberration = count, size, grain, light, aberration
        self.contrast_below, self.noise_below = contrast_below, noise_below
        self.fingerprint = f"textures-{count}-{size}-{grain}-{light}-{aberration}-{contrast_below}-{noise_below}"

    def __len__(self) -> int:
        return self.count

    def facts(self, i: int) -> Facts:
        height, width = self.size
        return Facts(f"made/{i:03d}.png", "image", 0.0, width, height, 1, 0.0, 0, 0, 0.0, 0.0, source=f"made{i}")

    def frame_times(self, i: int) -> NDArray[np.float64]:
        return np.zeros(1)

    def frames(self, i: int, times: Sequence[float]) -> NDArray[np.uint8]:
        rng = np.random.default_rng(i)
        grey = gaussian_filter(rng.normal(size=self.size), self.grain)
        planes = [grey, _scaled(grey, 1 + self.aberration) if self.aberration else grey, grey]
        strength = 1 - self.contrast_below * np.linspace(0, 1, self.size[0])[:, None]
        picture = np.stack(planes) * strength * 30 / grey.std() + 128
        picture += self.light * np.linspace(0.5, -0.5, self.size[0])[None, :, None]
        if self.noise_below:
            picture += rng.normal(size=self.size) * np.linspace(0, self.noise_below, self.size[0])[:, None]
        return np.repeat(picture.clip(0, 255).astype(np.uint8)[None], len(times), axis=0)

    def audio(self, i: int, start_seconds: float, duration_seconds: float, rate: int) -> NDArray[np.float32]:
        raise AssertionError("a picture has no sound")

    def annotation(self, i: int) -> dict[str, Any] | None:
        return None


def _scaled(plane: NDArray[np.float64], factor: float) -> NDArray[np.float64]:
    larger = zoom(plane, factor, order=1)
    top, left = (larger.shape[0] - plane.shape[0]) // 2, (larger.shape[1] - plane.shape[1]) // 2
    return larger[top : top + plane.shape[0], left : left + plane.shape[1]]
