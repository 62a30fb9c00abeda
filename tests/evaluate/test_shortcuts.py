"""Each shortcut is there without its countermeasure and gone with it: probes on the cue alone.

The pictures are textures, on which nothing but the cue can tell the answer.
"""

from __future__ import annotations

import pytest
from made_pictures import Textures

from avssl.evaluate import shortcuts
from avssl.evaluate.shortcuts import probe
from avssl.tasks.jigsaw import Jigsaw, JigsawOptions
from avssl.tasks.relative_position import RelativePosition, RelativePositionOptions
from avssl.tasks.rotation import Rotation, RotationOptions


def rotation(**options):
    return Rotation(RotationOptions(side=32, **options)).held_out()


def relative_position(**options):
    sizes = {"patch": 20, "gap": 10, "jitter": 2, "pixels_low": 11520, "pixels_high": 11520}
    return RelativePosition(RelativePositionOptions(**{**sizes, **options})).held_out()


def jigsaw(**options):
    sizes = {"permutations": 8, "cell": 30, "tile": 22, "grey": 0.0}
    return Jigsaw(JigsawOptions(**{**sizes, **options})).held_out()


def test_a_rotation_by_interpolation_is_read_off_the_borders_and_an_exact_one_is_not():
    pictures = Textures(1000)
    assert probe(rotation(turn="interpolated"), pictures, shortcuts.borders).accuracy > 0.9
    assert not probe(rotation(), pictures, shortcuts.borders).leaks


def test_black_bars_tell_the_rotation_of_a_picture_that_is_not_cut_square_first():
    pictures = Textures(1000, size=(80, 120))
    told = probe(rotation(square=False), pictures, shortcuts.borders)
    assert 0.4 < told.accuracy < 0.6  # upright or lying; not which of the two
    assert not probe(rotation(), pictures, shortcuts.borders).leaks


def test_edges_continue_from_patch_to_patch_unless_there_is_a_gap():
    pictures = Textures()
    assert probe(relative_position(gap=0, jitter=0), pictures, shortcuts.seams).accuracy > 0.5
    assert not probe(relative_position(), pictures, shortcuts.seams).leaks


def test_light_from_above_tells_the_place_unless_patches_are_normalised():
    pictures = Textures(light=120)
    assert probe(relative_position(normalise=False), pictures, shortcuts.levels).accuracy > 0.25
    assert not probe(relative_position(), pictures, shortcuts.levels).leaks
    assert probe(jigsaw(normalise="off"), pictures, shortcuts.levels).accuracy > 0.25
    assert not probe(jigsaw(), pictures, shortcuts.levels).leaks


@pytest.mark.parametrize("colour", ["project", "drop", "grey"])
def test_a_lens_that_moves_green_tells_the_place_unless_colours_are_taken_away(colour):
    pictures = Textures(grain=2.5, aberration=0.04)
    assert probe(relative_position(colour="keep"), pictures, shortcuts.aberration).accuracy > 0.3
    assert not probe(relative_position(colour=colour), pictures, shortcuts.aberration).leaks


def test_tiles_fit_together_unless_they_lie_anywhere_in_their_cells():
    pictures = Textures()
    whole = jigsaw(tile=30, channel_jitter=0)
    assert probe(whole, pictures, shortcuts.tile_seams, puzzles=240).accuracy > 0.9
    assert probe(jigsaw(centred=False, tile=18), pictures, shortcuts.tile_seams, puzzles=240).accuracy < 0.25


def test_mirroring_after_the_turn_makes_two_answers_the_same():
    import numpy as np

    from avssl.samplers.rotations import rotated

    square = np.random.default_rng(0).integers(0, 256, (3, 8, 8), dtype=np.uint8)
    assert np.array_equal(rotated(square, 1)[..., ::-1], rotated(square[..., ::-1], 3))
