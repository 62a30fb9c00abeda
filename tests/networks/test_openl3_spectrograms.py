"""OpenL3's two spectrograms, that of its training and that of its release, against their formulas."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from avssl.networks.front_end import FrontEnd, FrontEndConfig

RATE, FFT, HOP = 48_000, 2048, 242


def sounds() -> dict[str, NDArray[np.float32]]:
    """A second each of noise, of chords that leave much of the spectrum empty, and of clicks in silence."""
    rng, t = np.random.default_rng(0), np.arange(RATE) / RATE
    chord = sum(np.sin(2 * np.pi * f * t) / k for k, f in enumerate((220.0, 554.4, 1318.5, 9000.0), start=1))
    clicks = np.zeros(RATE)
    clicks[[5000, 5001, 30_000]] = (0.9, -0.7, 0.2)
    return {
        "noise": rng.normal(0, 0.1, RATE).astype(np.float32),
        "chord": (0.2 * chord * np.linspace(0, 1, RATE)).astype(np.float32),
        "clicks": clicks.astype(np.float32),
    }


def triangles(bands: int, htk: bool) -> NDArray[np.float64]:
    """Triangles of equal area between points evenly spread on the mel scale: (bands, FFT // 2 + 1).

    HTK: 2595·log10(1 + f / 700). Slaney: linear to 1 kHz (3 mel for 200 Hz), above 27 steps for a factor of 6.4.
    """
    if htk:
        points = 700 * (10 ** (np.linspace(0, 2595 * np.log10(1 + RATE / 2 / 700), bands + 2) / 2595) - 1)
    else:
        top = 15 + 27 * np.log(RATE / 2 / 1000) / np.log(6.4)
        mels = np.linspace(0, top, bands + 2)
        points = np.where(mels < 15, mels * 200 / 3, 1000 * np.exp((mels - 15) * np.log(6.4) / 27))
    bins = np.arange(FFT // 2 + 1) * RATE / FFT
    left, centre, right = points[:-2, None], points[1:-1, None], points[2:, None]
    rising, falling = (bins - left) / (centre - left), (right - bins) / (right - centre)
    weights: NDArray[np.float64] = np.maximum(0, np.minimum(rising, falling)) * 2 / (right - left)
    return weights


def expected(sound: NDArray[np.float32], bands: int, of: str) -> NDArray[np.float64]:
    """As kapre 0.1.4 in marl/l3embedding, or kapre ≥ 0.3.5 in marl/openl3, in double precision: (bands, 199)."""
    columns = -(-len(sound) // HOP)
    missing = (columns - 1) * HOP + FFT - len(sound)
    before = missing // 2 if of == "training" else 0
    padded = np.pad(sound.astype(np.float64), (before, missing - before))
    hann = 0.5 - 0.5 * np.cos(2 * np.pi * np.arange(FFT) / FFT)
    spectrum = np.stack([np.abs(np.fft.rfft(padded[k * HOP :][:FFT] * hann)) for k in range(columns)], axis=1)
    weights = triangles(bands, htk=of == "training")
    cells = np.sqrt(weights @ spectrum**2) if of == "training" else weights @ spectrum
    decibel = 10 * np.log10(np.maximum(cells, 1e-10))
    return np.maximum(decibel - decibel.max(), -80)


@pytest.mark.parametrize("bands", [128, 256])
@pytest.mark.parametrize("of", ["training", "release"])
def test_each_of_openl3s_spectrograms_is_its_formula_to_a_thousandth_of_a_decibel(of: str, bands: int) -> None:
    front_end = FrontEnd(FrontEndConfig(f"openl3-{of}-mel{bands}", RATE))  # type: ignore[arg-type]
    for name, sound in sounds().items():
        ours = front_end.raw(torch.from_numpy(sound)[None])[0].numpy()
        truth = expected(sound, bands, of)
        assert ours.shape == truth.shape == (bands, 199)
        assert np.abs(ours - truth).max() < 1e-3, name


def test_the_formulas_own_filters_are_librosas() -> None:
    from librosa.filters import mel

    for bands, htk in ((128, True), (256, True), (128, False), (256, False)):
        theirs = mel(sr=RATE, n_fft=FFT, n_mels=bands, htk=htk, norm="slaney", dtype=np.float64)
        np.testing.assert_allclose(triangles(bands, htk), theirs, atol=1e-9)


def test_the_three_kinds_of_openl3_spectrogram_are_far_apart_and_the_old_one_stays() -> None:
    sound = torch.from_numpy(sounds()["noise"])[None]
    cells = [
        FrontEnd(FrontEndConfig(f"openl3-{kind}mel128", RATE)).raw(sound) for kind in ("training-", "release-", "")
    ]  # type: ignore[arg-type]
    for one, other in ((0, 1), (0, 2), (1, 2)):
        assert (cells[one] - cells[other]).abs().mean() > 0.5
    # As runs of before had it: mel magnitude, HTK, triangles of height 1, half a window of zeros at either end.
    points = 700 * (10 ** (np.linspace(0, 2595 * np.log10(1 + 24_000 / 700), 130) / 2595) - 1)
    weights = triangles(128, htk=True) * (points[2:] - points[:-2])[:, None] / 2
    padded = np.pad(sound[0].numpy().astype(np.float64), FFT // 2)
    hann = 0.5 - 0.5 * np.cos(2 * np.pi * np.arange(FFT) / FFT)
    column = 10 * np.log10(np.maximum(weights @ np.abs(np.fft.rfft(padded[50 * HOP :][:FFT] * hann)), 1e-10))
    ours = cells[2][0, :, 50].numpy()
    assert np.abs((ours - ours.max()) - (column - column.max())).max() < 0.01


def test_the_spectrogram_of_objects_that_sound_has_its_200_columns() -> None:
    sound = torch.randn(1, RATE)
    wide, narrow = (FrontEnd(FrontEndConfig(name, RATE)) for name in ("ave", "l3"))
    assert wide.raw(sound).shape == (1, 257, 200)
    assert narrow.raw(sound).shape == (1, 257, 199)
    padded = torch.nn.functional.pad(sound, (120, 120))
    assert torch.equal(wide.raw(sound), narrow.raw(padded))


def test_a_front_end_says_how_many_columns_it_makes() -> None:
    for name in ("log-mel", "l3", "ave", "openl3-mel128", "openl3-training-mel128", "openl3-release-mel128"):
        front_end = FrontEnd(FrontEndConfig(name, RATE))  # type: ignore[arg-type]
        for samples in (48_000, 30_011, 4096):
            assert front_end.raw(torch.zeros(1, samples)).shape[-1] == front_end.frames(samples), (name, samples)
