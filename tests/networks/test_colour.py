"""Colours between RGB and Lab."""

from __future__ import annotations

import pytest
import torch

from avssl.networks.colour import lab_to_rgb, rgb_to_lab

# L, a, b of sRGB under D65 (2°), from the formulas of IEC 61966-2-1 and CIE 1976 as tables of them print.
KNOWN = {
    (255, 255, 255): (100.0, 0.0, 0.0),
    (0, 0, 0): (0.0, 0.0, 0.0),
    (255, 0, 0): (53.24, 80.09, 67.20),
    (0, 255, 0): (87.73, -86.18, 83.18),
    (0, 0, 255): (32.30, 79.19, -107.86),
    (119, 119, 119): (50.03, 0.0, 0.0),
}


@pytest.mark.parametrize(("rgb", "lab"), KNOWN.items())
def test_known_colours_have_their_known_lab(rgb, lab):
    frames = torch.tensor(rgb, dtype=torch.uint8).view(1, 3, 1, 1)
    assert rgb_to_lab(frames).flatten().tolist() == pytest.approx(lab, abs=0.03)


def test_every_colour_comes_back_from_lab():
    frames = torch.randint(0, 256, (2, 3, 32, 32), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))
    back = (lab_to_rgb(rgb_to_lab(frames)) * 255).round().to(torch.uint8)
    assert torch.equal(back, frames)


def test_uint8_and_fractions_are_the_same_colour_under_autocast_too():
    frames = torch.randint(0, 256, (1, 3, 8, 8), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))
    plain = rgb_to_lab(frames.float() / 255)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        assert torch.equal(rgb_to_lab(frames), plain)


def test_colours_that_no_screen_shows_are_cut_off():
    rgb = lab_to_rgb(torch.tensor([50.0, 120.0, -120.0]).view(1, 3, 1, 1))
    assert float(rgb.min()) >= 0 and float(rgb.max()) <= 1
