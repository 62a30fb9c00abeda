"""What is done to pictures and spectrograms on the device, pixel by pixel against slow counts."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from avssl.networks.config import MEAN, STD
from avssl.networks.photometry import (
    GREY,
    KEEP,
    LUMA,
    PROJECTION,
    fed_patches,
    jitter_colours,
    keep_channel,
    mask_spectrogram,
    transpose_spectrogram,
)


def test_saturation_is_the_distance_from_grey_and_brightness_is_added_and_both_are_of_the_row():
    frames = torch.rand(3, 3, 2, 4, generator=torch.Generator().manual_seed(0))
    brightness, saturation = torch.tensor([0.3, -0.2, 0.0]), torch.tensor([0.5, 1.5, 0.0])
    found = jitter_colours(frames, brightness, saturation)
    for n in range(3):
        for y in range(2):
            for x in range(4):
                rgb = frames[n, :, y, x].tolist()
                grey = 0.299 * rgb[0] + 0.587 * rgb[1] + 0.114 * rgb[2]
                wanted = [grey + (c - grey) * float(saturation[n]) + float(brightness[n]) for c in rgb]
                assert found[n, :, y, x].tolist() == pytest.approx([min(max(c, 0), 1) for c in wanted], abs=1e-6)
    assert sum(LUMA) == pytest.approx(1), "white stays white"


@pytest.mark.parametrize("seed", range(5))
def test_a_mask_covers_the_cells_whose_middle_lies_in_its_band_or_its_stretch(seed):
    rng = np.random.default_rng(seed)
    masks = np.sort(rng.random((2, 2, 2)), axis=-1).reshape(2, 4)
    spectrogram = torch.ones(2, 1, 7, 9)
    found = mask_spectrogram(spectrogram, torch.from_numpy(masks))
    for n, (low, high, first, last) in enumerate(masks):
        for band in range(7):
            for frame in range(9):
                hidden = low <= (band + 0.5) / 7 < high or first <= (frame + 0.5) / 9 < last
                assert found[n, 0, band, frame] == (0 if hidden else 1)
    assert spectrogram.min() == 1, "a new one"


@pytest.mark.parametrize("share", [0.0, 0.2, -0.2, 0.5, -1.0])
def test_a_shifted_spectrogram_repeats_the_band_at_the_rim(share):
    spectrogram = torch.rand(1, 1, 10, 3)
    found = transpose_spectrogram(spectrogram, torch.tensor([share]))
    for band in range(10):
        source = min(max(band - round(share * 10), 0), 9)
        assert torch.equal(found[0, 0, band], spectrogram[0, 0, source])


def test_the_projection_takes_green_against_magenta_away_and_leaves_grey_alone():
    assert np.array([-1, 2, -1]) @ PROJECTION == pytest.approx(0, abs=1e-6)
    assert np.allclose(PROJECTION @ PROJECTION, PROJECTION, atol=1e-6)
    assert PROJECTION @ np.ones(3) == pytest.approx(np.ones(3))
    assert GREY @ np.array([10.0, 20.0, 30.0]) == pytest.approx([2.99 + 11.74 + 3.42] * 3)
    assert np.array_equal(KEEP, np.eye(3))
    assert keep_channel(1).tolist() == [[0, 0, 0], [0, 1, 0], [0, 0, 0]]


@pytest.mark.parametrize("normalise", ["patch", "channel", "off"])
@pytest.mark.parametrize("noisy", [False, True])
def test_patches_are_fed_as_they_are_or_with_the_mean_and_contrast_of_natural_pictures(normalise, noisy):
    rng = np.random.default_rng(0)
    patches = rng.integers(0, 256, (4, 3, 5, 6), dtype=np.uint8)
    patches[3] = 77  # plain: not scaled up beyond two grey levels
    noise = rng.integers(-127, 128, patches.shape, dtype=np.int8) if noisy else None
    colour = np.stack([KEEP, GREY, PROJECTION, KEEP])
    result = torch.from_numpy(noise) if noisy else None
    found = fed_patches(torch.from_numpy(patches), torch.from_numpy(colour), result, normalise).numpy()
    for n in range(4):
        x = np.einsum("ij,jhw->ihw", colour[n].astype(np.float64), patches[n] / 255)
        grain = noise[n] / 254 / 255 if noisy else 0  # ±127 is half a grey level
        if normalise == "off":
            assert found[n] == pytest.approx(x + grain, abs=1e-5)
            continue
        x = x - x.mean((1, 2), keepdims=True) + grain
        axes = (0, 1, 2) if normalise == "patch" else (1, 2)
        x = x / np.maximum(np.sqrt((x**2).mean(axes, keepdims=True)), 2 / 255)
        natural = np.array(MEAN)[:, None, None] + np.array(STD)[:, None, None] * x
        assert found[n] == pytest.approx(natural, abs=1e-4)
