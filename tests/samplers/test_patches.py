"""Where patches and tiles lie, and which permutations shuffle them."""

from __future__ import annotations

from itertools import permutations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from made_pictures import Textures
from toy_media import ToyVideos

from avssl.errors import UserError
from avssl.samplers.keys import Key
from avssl.samplers.patches import (
    NEIGHBOURS,
    GridRule,
    TileRule,
    coarsened,
    cut_patches,
    cut_tiles,
    lay_grid,
    neighbour_pairs,
    of_each_class,
)
from avssl.samplers.permutations import permutation_set
from avssl.samplers.rotations import boxed, rotated, shifted
from avssl.samplers.stills import draw_still, resized, size_with_pixels


@settings(max_examples=60, deadline=None)
@given(
    seed=st.integers(0, 999),
    patch=st.integers(4, 20),
    gap=st.integers(0, 10),
    jitter=st.integers(0, 5),
    more=st.tuples(st.integers(0, 60), st.integers(0, 60)),
)
def test_patches_lie_inside_and_their_gaps_are_as_asked(seed, patch, gap, jitter, more):
    rule = GridRule(patch, gap, jitter)
    height, width = rule.side(2) + more[0], rule.side(2) + more[1]
    grid = lay_grid(np.random.default_rng(seed), height, width, rule)
    assert grid.rows >= 2 and grid.columns >= 2 and max(grid.rows, grid.columns) <= 3
    assert grid.corners.min() >= 0
    assert (grid.corners + patch <= np.array([height, width])).all()
    for first, second, label in neighbour_pairs(grid.rows, grid.columns):
        apart = grid.corners[second] - grid.corners[first]
        for move, side in zip(apart, NEIGHBOURS[label], strict=True):
            assert abs(move - side * (patch + gap)) <= 2 * jitter


def test_a_grid_of_nine_has_forty_pairs_and_as_many_of_each_class_are_kept():
    pairs = neighbour_pairs(3, 3)
    assert len(pairs) == 40
    assert np.bincount(pairs[:, 2]).tolist() == [4, 6, 4, 6, 6, 4, 6, 4]
    kept = of_each_class(np.random.default_rng(0), pairs)
    assert np.bincount(kept[:, 2]).tolist() == [4] * 8
    assert {tuple(pair) for pair in kept.tolist()} <= {tuple(pair) for pair in pairs.tolist()}


def test_class_k_lies_where_it_says():
    picture = np.arange(3 * 40 * 40).reshape(3, 40, 40).astype(np.uint8)
    patches = cut_patches(picture, np.array([[5, 7]]), 6)
    assert np.array_equal(patches[0], picture[:, 5:11, 7:13])
    first, second, label = neighbour_pairs(1, 2)[0]
    assert (first, second, NEIGHBOURS[label]) == (0, 1, (0, 1))


def test_a_picture_too_small_for_two_patches_is_refused():
    with pytest.raises(ValueError, match="no two patches fit into 10 × 10 pixels; they need 16 a side"):
        lay_grid(np.random.default_rng(0), 10, 10, GridRule(8, 0, 0))


@settings(max_examples=40, deadline=None)
@given(seed=st.integers(0, 999), cell=st.integers(6, 20), slack=st.integers(2, 5), channels=st.integers(0, 2))
def test_tiles_lie_in_their_cells_and_channels_are_moved_no_farther_than_asked(seed, cell, slack, channels):
    rule = TileRule(3, cell, cell - slack, channels)
    rows = np.repeat(np.arange(3 * cell, dtype=np.uint8)[None, :, None], 3 * cell, axis=2)
    square = np.repeat(rows, 3, axis=0)  # each pixel is its row
    tiles, corners = cut_tiles(np.random.default_rng(seed), square, rule)
    assert tiles.shape == (9, 3, cell - slack, cell - slack)
    offsets = corners - cell * np.array([(row, column) for row in range(3) for column in range(3)])
    assert offsets.min() >= 0 and offsets.max() <= slack - channels
    moved = tiles[:, :, 0, 0].astype(int) - corners[:, :1]
    assert moved.min() >= 0 and moved.max() <= channels


def test_channels_are_moved_as_much_in_every_cell():
    rule, rng = TileRule(3, 13, 11, 2), np.random.default_rng(0)
    square = np.repeat(np.arange(39, dtype=np.uint8)[None, :, None], 39, axis=2)[[0, 0, 0]]  # each pixel is its row
    for axis, picture in enumerate((square, square.transpose(0, 2, 1))):  # or its column
        moved = np.zeros((9, 3))
        for _ in range(300):
            tiles, corners = cut_tiles(rng, picture, rule)
            for number, channels in enumerate(tiles[:, :, 0, 0].astype(int) - corners[:, [axis]]):
                moved[number] += np.bincount(channels, minlength=3)
        assert moved / 900 == pytest.approx(1 / 3, abs=0.06)
    with pytest.raises(ValueError, match="tiles of 11 moved by 2 do not fit into cells of 12"):
        cut_tiles(rng, square, TileRule(3, 12, 11, 2))


@pytest.mark.parametrize(("count", "least"), [(9, 9), (24, 7), (100, 6)])
def test_permutations_are_as_far_apart_as_a_greedy_choice_can_make_them(count, least):
    chosen = permutation_set(count, 9, 0)
    assert chosen.shape == (count, 9)
    assert (np.sort(chosen, axis=1) == np.arange(9)).all()
    distances = (chosen[:, None] != chosen[None]).sum(-1)[np.triu_indices(count, 1)]
    assert distances.min() == least
    if count == 100:
        assert distances.mean() == pytest.approx(8.08, abs=0.02)


def test_sets_of_permutations_are_named_by_their_seed():
    assert np.array_equal(permutation_set(10, 9, 3), permutation_set(10, 9, 3))
    assert not np.array_equal(permutation_set(10, 9, 3), permutation_set(10, 9, 4))
    assert len({tuple(row) for row in permutation_set(24, 4, 0).tolist()}) == 24
    with pytest.raises(UserError, match="between 1 and 24"):
        permutation_set(25, 4, 0)


def test_turns_compute_no_pixel_and_are_counter_clockwise():
    square = np.random.default_rng(0).integers(0, 256, (3, 8, 8), dtype=np.uint8)
    once = rotated(square, 1)
    assert np.array_equal(once[:, -1, 0], square[:, 0, 0])  # what was above left is below left
    assert np.array_equal(rotated(once, 3), square) and np.array_equal(rotated(square, 4), square)
    assert np.array_equal(shifted(square, 2, -3)[:, 2:, :5], square[:, :6, 3:])
    assert shifted(square, 2, -3)[:, :2].max() == 0
    assert boxed(square[:, :4]).shape == (3, 8, 8) and boxed(square[:, :4])[:, :2].max() == 0


def test_a_still_is_an_image_or_a_frame_of_a_video_at_a_drawn_time():
    pictures, videos = Textures(4), ToyVideos(4)
    assert {draw_still(pictures, Key(0, 0, i)).item for i in range(4)} == {0, 1, 2, 3}
    assert draw_still(pictures, Key(0, 0, 1)).seconds == 0.0
    times = {draw_still(videos, Key(0, epoch, 0)).seconds for epoch in range(12)}
    assert len(times) > 6 and times <= set(videos.frame_times(0).tolist())
    picture = draw_still(pictures, Key(0, 0, 0)).pixels
    assert abs(np.prod(size_with_pixels(96, 120, 5000)) - 5000) < 200
    assert size_with_pixels(96, 120, 100, least_side=40) == (40, 50)
    assert resized(picture, 48, 60).shape == (3, 48, 60)
    assert np.array_equal(resized(picture, 96, 120), picture)


def test_the_eight_places_around_a_patch_are_counted_as_one_reads():
    around = [(down, right) for down in (-1, 0, 1) for right in (-1, 0, 1) if (down, right) != (0, 0)]
    assert list(NEIGHBOURS) == around


def test_neighbours_touch_and_both_orders_are_there():
    pairs = {tuple(pair) for pair in neighbour_pairs(2, 3).tolist()}
    places = [(row, column) for row in range(2) for column in range(3)]
    expected = {
        (a, b, NEIGHBOURS.index((places[b][0] - places[a][0], places[b][1] - places[a][1])))
        for a in range(6)
        for b in range(6)
        if a != b and max(abs(places[b][0] - places[a][0]), abs(places[b][1] - places[a][1])) == 1
    }
    assert pairs == expected
    assert neighbour_pairs(1, 1).shape == (0, 3)


@pytest.mark.parametrize("length", range(20, 80))
def test_as_many_patches_fit_as_take_no_more_than_there_is(length):
    rule = GridRule(10, 5, 2, most=4)
    count = rule.fitting(length)
    assert count == max(k for k in range(5) if k == 0 or rule.side(k) <= length)


def test_a_grid_begins_anywhere_and_each_patch_is_jittered_as_far_either_way():
    rule = GridRule(8, 4, 3, most=2)
    grids = [lay_grid(np.random.default_rng(seed), 34, 40, rule) for seed in range(500)]
    corners = np.stack([grid.corners for grid in grids])
    assert corners[:, 0].min(0).tolist() == [0, 0]
    assert (corners[:, -1].max(0) + 8).tolist() == [34, 40]
    steps = corners[:, 1] - corners[:, 0]  # the second lies right of the first
    assert steps.min(0).tolist() == [-6, 6] and steps.max(0).tolist() == [6, 18]


def test_a_coarsened_patch_keeps_its_mean_and_loses_what_is_fine():
    board = np.indices((32, 32)).sum(0) % 2 * 200
    coarse = coarsened(np.stack([board] * 3).astype(np.uint8), 8)
    assert coarse.shape == (3, 32, 32)
    assert coarse.mean() == pytest.approx(100, abs=2) and coarse.std() < 5
    ramp = np.stack([np.mgrid[0:32, 0:32][1] * 4] * 3).astype(np.uint8)
    assert np.abs(coarsened(ramp, 8).astype(int) - ramp).max() < 10


def test_centred_tiles_lie_in_the_middle_of_their_cells():
    square = np.random.default_rng(0).integers(0, 256, (3, 30, 30), dtype=np.uint8)
    tiles, corners = cut_tiles(np.random.default_rng(0), square, TileRule(3, 10, 6, centred=True))
    assert corners.tolist() == [[10 * row + 2, 10 * column + 2] for row in range(3) for column in range(3)]
    assert np.array_equal(tiles[5], square[:, 12:18, 22:28])


@pytest.mark.parametrize(("count", "tiles"), [(24, 4), (9, 4), (20, 5)])
def test_each_permutation_is_the_farthest_from_those_before_it_and_of_equals_the_farthest_in_the_mean(count, tiles):
    chosen = permutation_set(count, tiles, 0)
    every = np.array(list(permutations(range(tiles))))
    for k in range(1, count):
        apart = (every[:, None] != chosen[None, :k]).sum(-1)
        nearest, mean = apart.min(1), apart.sum(1)
        own = (chosen[k] != chosen[:k]).sum(-1)
        assert own.min() == nearest.max()
        assert own.sum() == mean[nearest == nearest.max()].max()
