"""The first pass through a scene: a map several times a second, and whether anything in the picture is heard."""

from __future__ import annotations

import itertools
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from avssl.localization.localizer import Localizer, is_silent
from avssl.localization.regions import peak_of, spread
from avssl.localization.scenes import Film
from avssl.system.console import Progress

BATCH = 16
# Pixels of the longer side of pictures that are decoded for the network; it scales them down itself
LARGEST = 512


@dataclass(frozen=True)
class Analysis:
    """The maps over time."""

    seconds: NDArray[np.float64]  # their times, ascending, (n,)
    maps: NDArray[np.float16]  # logits, float16 (n, h, w)
    scores: NDArray[np.float64]  # the largest logit of each, (n,)
    levels_db: NDArray[np.float64]  # loudness of the sound around each time, RMS in dB of full scale, (n,)
    heard: NDArray[np.bool_]  # whether something in the picture is heard, (n,)
    threshold: float  # of the scores

    def at(self, seconds: float) -> tuple[NDArray[np.float32], float, bool]:
        """Region, score and verdict at a time: linear between the two maps around it, the verdict of the nearer.

        Regions are mixed, not logits: of a thing that has moved in between, both places are likely, while the mean of
        its logits is low at either.
        """
        after = int(np.searchsorted(self.seconds, seconds))
        low, high = max(after - 1, 0), min(after, len(self.seconds) - 1)
        span = self.seconds[high] - self.seconds[low]
        share = 0.0 if span <= 0 else float(np.clip((seconds - self.seconds[low]) / span, 0, 1))
        before, behind = spread(self.maps[[low, high]])
        mixed = (1 - share) * before + share * behind
        score = (1 - share) * self.scores[low] + share * self.scores[high]
        return mixed, float(score), bool(self.heard[high if share >= 0.5 else low])

    def peak(self, number: int) -> tuple[float, float]:
        """Where the region of a map is likeliest: (x, y) in shares of the picture."""
        return peak_of(self.region(number))

    def region(self, number: int) -> NDArray[np.float32]:
        """Probability that the sound comes from near each place, (4 h, 4 w), 0..1."""
        region: NDArray[np.float32] = spread(self.maps[number][None])[0]
        return region

    def probabilities(self) -> NDArray[np.float64]:
        """Confidence of each map, 0 to 1, one half at the threshold."""
        return np.asarray(1 / (1 + np.exp(-np.clip(self.scores - self.threshold, -60, 60))))


def analyse(scene: Film, localizer: Localizer, per_second: float, on_progress: Progress) -> Analysis:
    """One pass through the scene, at most so many maps a second, in constant memory but for the maps, about 20 MB an
    hour."""
    numbers = _chosen(scene.times, per_second)
    scale = min(1.0, LARGEST / max(scene.width, scene.height))
    size = max(round(scene.width * scale), 1), max(round(scene.height * scale), 1)
    # Two bytes a cell: a film of two hours has 57,600 maps at eight a second
    maps: list[NDArray[np.float16]] = []
    levels: list[float] = []
    # An iterator: memory does not grow with the length of the film.
    frames = scene.frames(numbers, size)
    while some := list(itertools.islice(frames, BATCH)):
        found, loudness = _analyse_some(scene, localizer, some)
        maps += list(found)
        levels += loudness
        on_progress(len(maps), len(numbers))
    together = np.stack(maps)
    scores = together.reshape(len(together), -1).max(1).astype(np.float64)
    loud = np.asarray(levels)
    # In digital silence nothing is heard, whatever the network predicts
    heard = (scores >= localizer.threshold) & np.isfinite(loud)
    return Analysis(scene.times[numbers[: len(maps)]], together, scores, loud, heard, localizer.threshold)


def _analyse_some(
    scene: Film, localizer: Localizer, some: list[tuple[int, NDArray[np.uint8]]]
) -> tuple[NDArray[np.float16], list[float]]:
    """The maps of some frames, and how loud the sound around each is."""
    rate, length = localizer.rate, round(localizer.seconds * localizer.rate)
    waves = []
    for number, _ in some:
        start = float(scene.times[number]) - localizer.seconds / 2
        waves.append(scene.sound(start, localizer.seconds, rate)[:length])
    frames = np.stack([picture.transpose(2, 0, 1) for _, picture in some])
    found = localizer.heat(localizer.seen(frames), localizer.heard(np.stack(waves))[:, 0])
    levels = [-np.inf if is_silent(wave) else 10 * float(np.log10(np.mean(np.square(wave)))) for wave in waves]
    return found.astype(np.float16), levels


def _chosen(times: NDArray[np.float64], per_second: float) -> list[int]:
    """Indices of frames, no two nearer than 1 / per_second (but for rounding), the first and the last among them."""
    chosen = [0]
    for number in range(1, len(times)):
        if times[number] - times[chosen[-1]] >= 1 / per_second - 1e-3:
            chosen.append(number)
    if chosen[-1] != len(times) - 1:
        chosen.append(len(times) - 1)
    return chosen
