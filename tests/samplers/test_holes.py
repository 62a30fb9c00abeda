"""Holes in pictures and their plain fills."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import ndimage

from avssl.samplers.holes import draw_hole, filled_by, filled_from_rim, grown


def test_the_centre_hole_is_a_square_in_the_middle():
    hole = draw_hole("centre", 64, 32, np.random.default_rng(0))
    assert hole.sum() == 32 * 32 and hole[16:48, 16:48].all()


@pytest.mark.parametrize(("kind", "low", "high"), [("blocks", 0.1, 0.25), ("region", 0.2, 0.3)])
def test_random_holes_have_their_share_and_are_anywhere(kind, low, high):
    holes = [draw_hole(kind, 64, 32, np.random.default_rng(seed)) for seed in range(40)]
    assert all(low <= hole.mean() <= high for hole in holes)
    often = np.mean(holes, axis=0)
    # Nowhere always, and at the corners as well as in the middle: nothing to cling to.
    assert often.max() < 0.8 and min(often[:16, :16].max(), often[24:40, 24:40].max(), often[-16:, -16:].max()) > 0.1


def test_a_grown_hole_reaches_so_many_pixels_further():
    hole = draw_hole("centre", 32, 16, np.random.default_rng(0))
    assert grown(hole, 2).sum() == 20 * 20 and grown(hole, 0) is hole


@pytest.mark.parametrize("kind", ["centre", "blocks", "region"])
def test_a_ramp_is_restored_by_the_harmonic_fill(kind):
    # A linear ramp is harmonic: the fill of a hole inside it is the ramp itself.
    y, x = np.mgrid[0:32, 0:32]
    ramp = np.stack([4 * x + 3 * y, 200 - 2 * x, 3 * y + 20]).astype(np.uint8)
    hole = draw_hole(kind, 32, 16, np.random.default_rng(3))
    hole[[0, -1]] = False
    hole[:, [0, -1]] = False
    broken = filled_by(ramp, hole, np.zeros(3))
    assert not np.array_equal(broken, ramp)
    assert np.abs(filled_from_rim(broken, hole).astype(int) - ramp).max() <= 1


def test_each_filled_pixel_is_the_mean_of_its_neighbours_and_the_rest_is_untouched():
    rng = np.random.default_rng(0)
    picture = rng.integers(0, 256, (3, 24, 24), dtype=np.uint8)
    hole = draw_hole("region", 24, 12, rng)
    filled = filled_from_rim(picture, hole)
    assert np.array_equal(filled[:, ~hole], picture[:, ~hole])
    values = filled.astype(float)
    for top, left in np.argwhere(hole):
        near = [(top + 1, left), (top - 1, left), (top, left + 1), (top, left - 1)]
        inside = [values[:, y, x] for y, x in near if 0 <= y < 24 and 0 <= x < 24]
        assert np.abs(values[:, top, left] - np.mean(inside, axis=0)).max() <= 1.0  # rounding to whole levels


def test_a_hole_without_a_rim_is_refused():
    with pytest.raises(ValueError, match="whole picture"):
        filled_from_rim(np.zeros((3, 8, 8), np.uint8), np.ones((8, 8), bool))


def test_blocks_are_squares_of_a_third_of_the_size_until_no_more_fit_into_a_quarter():
    for seed in range(40):
        hole = draw_hole("blocks", 64, 32, np.random.default_rng(seed))
        assert np.array_equal(ndimage.binary_opening(hole, np.ones((10, 10))), hole), "a union of squares of 10 pixels"
        assert 0.25 - 100 / 64**2 < hole.mean() <= 0.25, "another would have been too much"
    small = draw_hole("blocks", 16, 3, np.random.default_rng(0))
    assert np.array_equal(ndimage.binary_opening(small, np.ones((2, 2))), small), "two pixels at least"


def test_blocks_reach_every_rim():
    often = np.mean([draw_hole("blocks", 32, 12, np.random.default_rng(seed)) for seed in range(300)], axis=0)
    for rim in (often[0], often[-1], often[:, 0], often[:, -1]):
        assert rim.max() > 0


def test_a_region_is_no_union_of_squares():
    for seed in range(20):
        hole = draw_hole("region", 64, 32, np.random.default_rng(seed))
        assert not np.array_equal(ndimage.binary_opening(hole, np.ones((10, 10))), hole)


@pytest.mark.parametrize("side", [1, 2, 15, 16])
@pytest.mark.parametrize("size", [1, 4, 7])
def test_a_centre_hole_is_in_the_middle_whatever_the_sides(side, size):
    if size > side:
        return
    rows = np.flatnonzero(draw_hole("centre", side, size, np.random.default_rng(0)).any(1))
    assert len(rows) == size
    assert (side - 1 - rows[-1]) - rows[0] in (0, 1)


def test_black_stays_black_and_white_white():
    hole = draw_hole("centre", 16, 8, np.random.default_rng(0))
    for level in (0, 255):
        picture = np.full((3, 16, 16), level, np.uint8)
        assert np.array_equal(filled_from_rim(picture, hole), picture)
    colours = filled_by(np.full((3, 16, 16), 9, np.uint8), hole, np.array([-3.0, 127.6, 300.0]))
    assert colours[:, 8, 8].tolist() == [0, 128, 255]
    assert (colours[:, ~hole] == 9).all()
    whole = np.full((3, 16, 16), 7, np.uint8)
    assert filled_from_rim(whole, np.zeros((16, 16), bool)) is whole
