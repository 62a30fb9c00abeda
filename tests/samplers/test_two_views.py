"""Crops and colours of two views."""

from __future__ import annotations

import numpy as np
import pytest
from PIL import Image

from avssl.networks.recolour import COLUMNS, Recolouring
from avssl.samplers.keys import generator
from avssl.samplers.two_views import Jitter, Rectangle, cut_rectangle, draw_recolouring, random_rectangle

PICTURE = np.random.default_rng(0).integers(0, 256, (3, 60, 90), np.uint8)
STRONG = Jitter((0.8, 0.8, 0.8, 0.2), 0.8, 0.2, 0.5)


def test_rectangles_have_the_areas_and_aspects_that_were_published_and_lie_anywhere():
    found = [random_rectangle(generator("r", n), 100, 140, 0.2, True) for n in range(400)]
    areas = [place.height * place.width / 14000 for place in found]
    aspects = [place.width / place.height for place in found]
    assert 0.19 < min(areas) < 0.25 and max(areas) > 0.85 and 0.42 < np.mean(areas) < 0.62
    assert 0.73 < min(aspects) < 0.8 and 1.27 < max(aspects) < 1.36
    assert all(0 <= place.top <= 100 - place.height and 0 <= place.left <= 140 - place.width for place in found)
    assert 0.4 < np.mean([place.flip for place in found]) < 0.6
    assert not any(random_rectangle(generator("r", n), 9, 9, 0.2, False).flip for n in range(20))


@pytest.mark.parametrize(("height", "width"), [(4, 400), (400, 4), (1, 1)])
def test_pictures_too_long_for_any_crop_are_cut_in_the_middle(height, width):
    place = random_rectangle(generator("long"), height, width, 0.9, False)
    assert 0 < place.height <= height and 0 < place.width <= width
    assert abs(2 * place.left + place.width - width) <= 1 and abs(2 * place.top + place.height - height) <= 1


@pytest.mark.parametrize("place", [Rectangle(0, 0, 60, 90, False), Rectangle(13, 41, 22, 28, True)])
def test_a_rectangle_is_what_pillow_makes_of_the_whole_picture(place):
    box = (place.left, place.top, place.left + place.width, place.top + place.height)
    image = Image.fromarray(PICTURE.transpose(1, 2, 0)).resize((16, 16), Image.Resampling.BILINEAR, box=box)
    expected = np.asarray(image)[:, ::-1] if place.flip else np.asarray(image)
    assert np.abs(cut_rectangle(PICTURE, place, 16).transpose(1, 2, 0).astype(int) - expected).max() <= 1


def test_colours_are_changed_as_strongly_and_as_often_as_published():
    found = Recolouring(*np.stack([draw_recolouring(generator("c", n), STRONG) for n in range(600)], 1))
    changed = found.brightness != 1
    assert 0.75 < changed.mean() < 0.85 and 0.15 < found.grey.mean() < 0.25 and 0.45 < (found.sigma > 0).mean() < 0.55
    assert 0.19 < found.brightness.min() < 0.25 and 1.75 < found.brightness.max() < 1.81
    assert 0.18 < np.abs(found.hue).max() <= 0.2
    orders = {tuple(row) for row in np.stack(found[4:8], 1).astype(int).tolist()}
    assert len(orders) == 24 and all(sorted(order) == [0, 1, 2, 3] for order in orders)


def test_without_strength_nothing_changes_and_a_factor_is_never_negative():
    plain = draw_recolouring(generator("p"), Jitter((0, 0, 0, 0), 1, 0, 0))
    assert len(plain) == COLUMNS
    assert plain[:4].tolist() == [1, 1, 1, 0] and plain[8:].tolist() == [0, 0]
    wild = [draw_recolouring(generator("w", n), Jitter((1.5, 1.5, 1.5, 0.5), 1, 0, 0))[:3] for n in range(100)]
    assert np.min(wild) >= 0 and np.max(wild) <= 2.5
