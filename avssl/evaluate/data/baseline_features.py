"""Baseline features beside those of encoders: a small picture, or statistics of a sound's MFCCs."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from avssl.evaluate.data.features import even_times, views_of
from avssl.media.facts import Media
from avssl.samplers.pictures import centre_crop, cut_all
from avssl.system.console import Progress

# Pixels of the small picture: the size of CIFAR-10's
SIDE = 32

# librosa's defaults
RATE = 22050
COEFFICIENTS = 20


@dataclass(frozen=True)
class BaselineFeatures:
    """Features of one stage: (items, views, features)."""

    name: str
    array: NDArray[np.float32]

    @property
    def stages(self) -> tuple[str, ...]:
        return (self.name,)

    def stage(self, name: str) -> NDArray[np.float32]:
        return self.array


def pixels(media: Media, views: int = 1, on_progress: Progress | None = None) -> BaselineFeatures:
    """The centre square of each frame at 32×32 pixels, 0..1: 3072 features."""
    views = views_of(media, views)
    found = np.zeros((len(media), views, 3 * SIDE * SIDE), np.float32)
    for i in range(len(media)):
        frames = media.frames(i, even_times(media.facts(i), views))
        crop = centre_crop(frames.shape[2], frames.shape[3], 1.0)
        found[i] = cut_all(frames, crop, SIDE).reshape(len(frames), -1)
        if on_progress is not None:
            on_progress(i + 1, len(media))
    return BaselineFeatures("pixels", found / np.float32(255))


def mfcc(media: Media, on_progress: Progress | None = None) -> BaselineFeatures:
    """Seven statistics over time of 20 MFCCs and of their differences, of the whole sound: 280 features.

    Minimum, maximum, median, mean, variance, skewness and kurtosis, the summary statistics of OpenL3's evaluation.
    """
    rows: list[NDArray[np.float32]] = []
    for i in range(len(media)):
        facts = media.facts(i)
        seconds = facts.audio_end_seconds - facts.audio_start_seconds
        rows.append(mfcc_statistics(media.audio(i, facts.audio_start_seconds, seconds, RATE), RATE))
        if on_progress is not None:
            on_progress(i + 1, len(media))
    return BaselineFeatures("mfcc", np.stack(rows)[:, None])


def mfcc_statistics(waveform: NDArray[np.float32], rate: int) -> NDArray[np.float32]:
    """See :func:`mfcc`: (280,)."""
    import librosa  # heavy
    from scipy.stats import kurtosis, skew

    coefficients = librosa.feature.mfcc(y=waveform, sr=rate, n_mfcc=COEFFICIENTS)
    both = np.concatenate([coefficients, np.gradient(coefficients, axis=1)])
    # Of a constant row (digital silence) skewness and kurtosis do not exist.
    tails = [np.nan_to_num(of(both, axis=1)) for of in (skew, kurtosis)]
    parts = [both.min(1), both.max(1), np.median(both, axis=1), both.mean(1), both.var(1), *tails]
    return np.concatenate(parts).astype(np.float32)
