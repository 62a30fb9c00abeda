"""Crops, turns and moves of whole pictures, against slow counts."""

from __future__ import annotations

import numpy as np
import pytest
from made_pictures import Textures
from toy_media import ToyVideos

from avssl.samplers.keys import Key, generator
from avssl.samplers.pictures import Crop, Cropping, centre_crop, cut, random_crop
from avssl.samplers.rotations import boxed, rotated, rotated_by_interpolation, shifted
from avssl.samplers.stills import resized, size_with_pixels
from avssl.samplers.whole_pictures import (
    any_moves,
    draw_picture,
    enough_for_statistics,
    item_of,
    other_item,
    unusable,
)


@pytest.mark.parametrize(("height", "width"), [(40, 90), (90, 40)])
def test_a_crop_has_a_share_of_the_shorter_side_and_lies_anywhere_inside(height, width):
    crops = [random_crop(generator("crop", n), height, width, 0.5, 0.75, True) for n in range(600)]
    sizes = np.array([crop.size for crop in crops])
    assert 20 <= sizes.min() < 20.2 and 29.8 < sizes.max() <= 30
    assert sizes.mean() == pytest.approx(25, abs=0.5)
    for start, length in (("left", width), ("top", height)):
        share = np.array([getattr(crop, start) / (length - crop.size) for crop in crops])
        assert 0 <= share.min() < 0.02 and 0.98 < share.max() <= 1
        assert share.mean() == pytest.approx(0.5, abs=0.05)
    assert np.mean([crop.flip for crop in crops]) == pytest.approx(0.5, abs=0.08)
    assert not any(random_crop(generator("crop", n), height, width, 0.5, 0.75, False).flip for n in range(50))


def test_a_central_crop_leaves_as_much_on_either_side():
    assert centre_crop(40, 90, 0.5) == Crop(left=35, top=10, size=20, flip=False)
    assert centre_crop(90, 40, 1.0) == Crop(left=0, top=25, size=40, flip=False)


def test_a_crop_of_whole_pixels_at_its_own_size_is_those_pixels():
    frame = np.random.default_rng(0).integers(0, 256, (3, 20, 30), dtype=np.uint8)
    there = frame[:, 4:12, 7:15]
    assert np.array_equal(cut(frame, Crop(7, 4, 8, False), 8), there)
    assert np.array_equal(cut(frame, Crop(7, 4, 8, True), 8), there[:, :, ::-1])
    halved = cut(frame, Crop(7, 4, 8, False), 4)
    assert halved.shape == (3, 4, 4)
    assert halved.mean() == pytest.approx(there.mean(), abs=4)


@pytest.mark.parametrize("down", range(-5, 6))
@pytest.mark.parametrize("right", [-5, -2, 0, 3, 5])
def test_a_moved_square_holds_each_pixel_where_it_has_moved_to_and_black_elsewhere(down, right):
    square = np.random.default_rng(0).integers(1, 256, (3, 5, 5), dtype=np.uint8)
    moved = shifted(square, down, right)
    for y in range(5):
        for x in range(5):
            inside = 0 <= y - down < 5 and 0 <= x - right < 5
            expected = square[:, y - down, x - right] if inside else np.zeros(3)
            assert np.array_equal(moved[:, y, x], expected)


@pytest.mark.parametrize(("height", "width"), [(3, 8), (8, 3), (5, 5), (4, 7)])
def test_a_boxed_picture_lies_in_the_middle_of_black(height, width):
    picture = np.random.default_rng(0).integers(1, 256, (3, height, width), dtype=np.uint8)
    square = boxed(picture)
    rows, columns = np.flatnonzero(square[0].any(1)), np.flatnonzero(square[0].any(0))
    assert (len(rows), len(columns)) == (height, width)
    assert np.array_equal(square[:, rows][:, :, columns], picture)
    for places in (rows, columns):
        before, after = places[0], square.shape[-1] - 1 - places[-1]
        assert after - before in (0, 1)


def test_turns_by_interpolation_are_the_same_turns_blurred_with_black_on_sides_that_give_it_away():
    y, x = np.mgrid[0:40, 0:40]
    smooth = np.stack([60 + 4 * x, 60 + 4 * y, 90 + x + y]).astype(np.uint8)
    assert np.array_equal(rotated_by_interpolation(smooth, 0), smooth)
    assert np.array_equal(rotated_by_interpolation(smooth, 4), smooth)
    inner = (slice(None), slice(5, -5), slice(5, -5))
    for quarters in (1, 2, 3):
        turned = rotated_by_interpolation(smooth, quarters).astype(int)
        off = [np.abs(turned[inner] - rotated(smooth, k)[inner].astype(int)).mean() for k in range(4)]
        assert np.argmin(off) == quarters and off[quarters] < 6
    # A white square moves by a pixel or two; the sides that it has left are black.
    white, black = np.full((3, 40, 40), 255, np.uint8), {}
    for quarters in (1, 2, 3):
        turned = rotated_by_interpolation(white, quarters)[0]
        rims = {"top": turned[0], "bottom": turned[-1], "left": turned[:, 0], "right": turned[:, -1]}
        black[quarters] = {name for name, rim in rims.items() if np.median(rim) == 0}
    assert black == {1: {"top"}, 2: {"top", "left"}, 3: {"left"}}


def test_items_come_once_a_round_and_each_round_and_epoch_in_an_order_of_its_own():
    media = Textures(12)
    rounds = {
        (epoch, turn): tuple(item_of(media, Key(0, epoch, 12 * turn + k)) for k in range(12))
        for epoch in range(3)
        for turn in range(3)
    }
    assert all(sorted(order) == list(range(12)) for order in rounds.values())
    assert len(set(rounds.values())) == 9, "no order comes twice, in another epoch or round"


def test_another_item_is_any_other_one():
    media = Textures(6)
    for item in range(6):
        drawn = [other_item(media, item, generator("other", item, n), Key(0, 0, n)) for n in range(600)]
        counts = np.bincount(drawn, minlength=6)
        assert counts[item] == 0
        assert np.delete(counts, item) == pytest.approx(120, abs=50)
    assert other_item(Textures(1), 0, generator("other"), Key(0, 0, 0)) == 0


def test_what_is_measured_before_training_looks_at_each_image_once_and_at_some_frames_of_few_videos():
    assert not any_moves(Textures(3)) and any_moves(ToyVideos(3))
    assert enough_for_statistics(Textures(300)) == 300
    assert enough_for_statistics(Textures(3)) == 3
    assert enough_for_statistics(ToyVideos(3)) == 256
    assert enough_for_statistics(ToyVideos(3), most=100) == 100
    assert enough_for_statistics(ToyVideos(2000)) == 1024
    assert unusable(ToyVideos(1).facts(0)) is None


def test_a_picture_not_augmented_is_the_middle_of_the_frame():
    media = Textures(3)
    frame = media.frames(1, [0.0])[0]
    height, width = frame.shape[-2:]
    squares = Cropping(24, 0.3, 0.8, flip=True)
    plain = draw_picture(media, 1, squares, generator("p"), augment=False)
    assert (plain.item, plain.seconds) == (1, 0.0)
    assert np.array_equal(plain.pixels, cut(frame, centre_crop(height, width, 0.8), 24))
    crop = random_crop(generator("p"), height, width, 0.3, 0.8, True)
    changed = draw_picture(media, 1, squares, generator("p"), augment=True)
    assert np.array_equal(changed.pixels, cut(frame, crop, 24))


def test_scaled_pictures_keep_their_aspect():
    picture = np.random.default_rng(0).integers(0, 256, (3, 30, 90), dtype=np.uint8)
    assert resized(picture, *size_with_pixels(30, 90, 300)).shape == (3, 10, 30)
    assert size_with_pixels(30, 90, 1) == (1, 3)
    assert size_with_pixels(30, 90, 30, least_side=5) == (5, 15)
    # What is wide stays wide: a ramp along the columns is one afterwards.
    ramp = np.broadcast_to(np.arange(90, dtype=np.uint8), (3, 30, 90))
    assert np.all(np.diff(resized(ramp, 10, 30)[0].astype(int), axis=1) > 0)
