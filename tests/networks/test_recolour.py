"""Colour jitter, grey and blur on the device, beside torchvision's of one picture at a time."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torchvision.transforms import functional as reference

from avssl.networks.recolour import COLUMNS, Recolouring, blur, recoloured, turn_hue

PICTURES = torch.from_numpy(np.random.default_rng(0).integers(0, 256, (6, 3, 24, 24), np.uint8))
NOTHING = dict(zip(Recolouring._fields, (1, 1, 1, 0, 0, 1, 2, 3, 0, 0), strict=True))


def numbers(**changes):
    return torch.tensor([list((NOTHING | changes).values())] * len(PICTURES), dtype=torch.float32)


def test_without_changes_pictures_stay_as_they_are():
    assert COLUMNS == 10
    assert (recoloured(PICTURES, numbers()) - PICTURES / 255).abs().max() < 1e-5


@pytest.mark.parametrize(
    ("name", "value", "adjust"),
    [
        ("brightness", 1.6, reference.adjust_brightness),
        ("contrast", 0.3, reference.adjust_contrast),
        ("saturation", 1.7, reference.adjust_saturation),
        ("hue", -0.17, reference.adjust_hue),
    ],
)
def test_each_change_is_torchvisions(name, value, adjust):
    expected = adjust(PICTURES.float() / 255, value)
    assert (recoloured(PICTURES, numbers(**{name: value})) - expected).abs().max() < 2e-3  # its luma has fewer digits


def test_changes_are_made_in_the_order_that_was_drawn():
    x = PICTURES.float() / 255
    expected = reference.adjust_brightness(reference.adjust_contrast(reference.adjust_hue(x, 0.2), 1.8), 0.5)
    drawn = numbers(hue=0.2, hue_at=0, contrast=1.8, contrast_at=1, brightness=0.5, brightness_at=3, saturation_at=2)
    assert (recoloured(PICTURES, drawn) - expected).abs().max() < 3e-3
    other = numbers(hue=0.2, hue_at=3, contrast=1.8, contrast_at=1, brightness=0.5, brightness_at=0, saturation_at=2)
    assert (recoloured(PICTURES, other) - expected).abs().mean() > 0.02


def test_each_picture_is_changed_by_its_own_numbers():
    mixed = numbers()
    mixed[2] = numbers(grey=1)[0]
    mixed[4] = numbers(sigma=1.5)[0]
    found, plain = recoloured(PICTURES, mixed), PICTURES / 255
    changed = [float((a - b).abs().max()) > 0.01 for a, b in zip(found, plain, strict=True)]
    assert changed == [False, False, True, False, True, False]
    assert torch.equal(found[2, 0], found[2, 2])


def test_a_blur_is_a_gaussian_and_darkens_no_border():
    x = PICTURES.float() / 255
    sigma = torch.full((len(x), 1, 1, 1), 0.8)
    expected = reference.gaussian_blur(x, [3, 3], [0.8, 0.8])
    assert (blur(x, sigma)[..., 1:-1, 1:-1] - expected[..., 1:-1, 1:-1]).abs().max() < 1e-5
    white = torch.ones(len(x), 3, 24, 24)
    assert torch.allclose(blur(white, sigma), white)


def test_a_whole_turn_of_the_hue_comes_back():
    x = torch.rand(2, 3, 8, 8, generator=torch.Generator().manual_seed(0))
    third = torch.full((2, 1, 1, 1), 1 / 3)
    assert torch.allclose(turn_hue(turn_hue(turn_hue(x, third), third), third), x, atol=1e-5)
    assert torch.allclose(turn_hue(x, third).amax(1), x.amax(1))
