"""Each shortcut is there without its countermeasure and gone with it: probes on the cue alone.

The pictures are textures, on which nothing but the cue can tell the answer.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from made_pictures import Textures
from scipy.ndimage import gaussian_filter1d
from toy_media import FPS, RATE, SIDE, ToyVideos

from avssl.evaluate.pretext import cues
from avssl.evaluate.pretext.shortcuts import probe
from avssl.tasks.av_correspondence.puzzle import CorrespondenceOptions
from avssl.tasks.av_correspondence.task import AVCorrespondence
from avssl.tasks.av_sync.puzzle import SyncOptions
from avssl.tasks.av_sync.task import AVSync
from avssl.tasks.jigsaw.puzzle import JigsawOptions
from avssl.tasks.jigsaw.task import Jigsaw
from avssl.tasks.relative_position.puzzle import RelativePositionOptions
from avssl.tasks.relative_position.task import RelativePosition
from avssl.tasks.rotation.puzzle import RotationOptions
from avssl.tasks.rotation.task import Rotation
from avssl.tasks.shuffle_learn.puzzle import ShuffleLearnOptions
from avssl.tasks.shuffle_learn.task import ShuffleLearn


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
    assert probe(rotation(turn="interpolated"), pictures, cues.borders).accuracy > 0.9
    assert not probe(rotation(), pictures, cues.borders).leaks


def test_black_bars_give_away_the_rotation_of_a_picture_that_is_not_cut_square_first():
    pictures = Textures(1000, size=(80, 120))
    found = probe(rotation(square=False), pictures, cues.borders)
    assert 0.4 < found.accuracy < 0.6  # upright or lying; not which of the two
    assert not probe(rotation(), pictures, cues.borders).leaks


def test_edges_continue_from_patch_to_patch_unless_there_is_a_gap():
    pictures = Textures()
    assert probe(relative_position(gap=0, jitter=0), pictures, cues.seams).accuracy > 0.5
    assert not probe(relative_position(), pictures, cues.seams).leaks


class Lines(Textures):
    """Lines from side to side and from top to bottom."""

    def frames(self, i, times):
        rng = np.random.default_rng(i)
        down, right = (gaussian_filter1d(rng.normal(size=length), 0.5) for length in self.size)
        grey = 128 + 30 * (down[:, None] / down.std() + right[None] / right.std())
        return np.broadcast_to(grey.clip(0, 255).astype(np.uint8), (len(times), 3, *self.size)).copy()


def test_long_lines_line_up_unless_patches_are_jittered():
    found = {jitter: probe(relative_position(jitter=jitter), Lines(), cues.lines()) for jitter in (0, 4)}
    assert found[0].accuracy > 0.33  # beside, above or below, or neither
    assert found[4].accuracy < 0.2
    # Jitter moves the lines, no more: who tries all moves finds them.
    assert probe(relative_position(jitter=4), Lines(), cues.lines(reach=8)).accuracy > 0.33


def test_light_from_above_gives_away_the_place_unless_patches_are_normalised():
    pictures = Textures(light=120)
    assert probe(relative_position(normalise=False), pictures, cues.levels).accuracy > 0.25
    assert not probe(relative_position(), pictures, cues.levels).leaks
    assert probe(jigsaw(normalise="off"), pictures, cues.levels).accuracy > 0.25
    assert not probe(jigsaw(), pictures, cues.levels).leaks


def test_strong_gradients_give_away_the_place_unless_patches_have_one_contrast():
    pictures = Textures(contrast_below=0.6)
    assert probe(relative_position(normalise=False), pictures, cues.gradients).accuracy > 0.25
    assert not probe(relative_position(), pictures, cues.gradients).leaks


def test_coding_noise_gives_away_the_place_unless_patches_are_coarsened():
    noisy = Textures(grain=2.5, noise_below=10)
    found = {}
    for share in (0.0, 0.33, 1.0):  # of training puzzles: only these are coarsened
        training = RelativePosition(replace(relative_position().options, coarsen=share))
        found[share] = probe(training, noisy, cues.gradients, puzzles=256)
    assert found[0.0].low > 0.18
    assert found[0.0].accuracy > found[0.33].accuracy > found[1.0].accuracy  # closed in its share
    assert not found[1.0].leaks


@pytest.mark.parametrize("colour", ["project", "drop", "grey"])
def test_a_lens_that_moves_green_gives_away_the_place_unless_colours_are_taken_away(colour):
    pictures = Textures(grain=2.5, aberration=0.04)
    assert probe(relative_position(colour="keep"), pictures, cues.aberration).accuracy > 0.3
    assert not probe(relative_position(colour=colour), pictures, cues.aberration).leaks


def test_tiles_fit_together_unless_they_lie_anywhere_in_their_cells():
    pictures = Textures()
    whole = jigsaw(tile=30, channel_jitter=0)
    assert probe(whole, pictures, cues.tile_seams, puzzles=240).accuracy > 0.9
    assert probe(jigsaw(centred=False, tile=18), pictures, cues.tile_seams, puzzles=240).accuracy < 0.25


def test_channels_out_of_line_give_no_place_away():
    sizes = {"tile": 26, "channel_jitter": 2}
    lens = Textures(grain=2.5, aberration=0.04)  # more out of line towards the corners: that the probe would find
    assert probe(jigsaw(**sizes), lens, cues.misalignment, puzzles=512).accuracy > 0.3
    for one in (sizes, {**sizes, "centred": True}, {"cell": 35, "tile": 28, "channel_jitter": 1}):
        assert not probe(jigsaw(**one), Textures(), cues.misalignment, puzzles=512).leaks


def test_a_lens_gives_away_the_permutation_unless_all_puzzles_are_grey_or_projected():
    lens = Textures(grain=2.5, aberration=0.04)

    def found(**options):
        return probe(jigsaw(**options), lens, cues.tile_aberration, puzzles=512)

    assert found(channel_jitter=0).accuracy > 0.9
    # Moving channels adds noise to the cue and takes nothing away; a share of puzzles closes it in that share.
    assert found(channel_jitter=1).accuracy > 0.9
    assert 0.6 < found(grey=0.3).accuracy < 0.85
    assert not found(grey=1.0).leaks
    assert not found(projection=1.0).leaks


def test_mirroring_after_the_turn_makes_two_answers_the_same():
    from avssl.samplers.rotations import rotated

    square = np.random.default_rng(0).integers(0, 256, (3, 8, 8), dtype=np.uint8)
    assert np.array_equal(rotated(square, 1)[..., ::-1], rotated(square[..., ::-1], 3))


# --- frames in time, and pictures with sound ------------------------------------------------------------


class Drifts(ToyVideos):
    """A texture that moves to the right, as fast in every clip: how much two frames differ tells how far apart."""

    def frames(self, i, times):
        wide = Textures(1, size=(SIDE, 600), grain=6.0).frames(i, [0.0])[0]
        lefts = [round(20 + 40 * time) for time in times]
        return np.stack([wide[:, :, left : left + SIDE] for left in lefts])


class QuietHalf(ToyVideos):
    """Clips that are quiet for their first half, and click at every frame."""

    def audio(self, i, start_seconds, duration_seconds, rate):
        t = start_seconds + np.arange(round(duration_seconds * rate)) / rate
        clicks = np.abs(t * FPS - np.round(t * FPS)) < 0.5 * FPS / rate
        tone = 0.2 * np.sin(2 * np.pi * 700 * t) * np.where(t > self.seconds / 2, 1.0, 0.001)
        return (tone + 0.5 * clicks).astype(np.float32)


class Brightens(ToyVideos):
    """A texture in more and more light."""

    def frames(self, i, times):
        texture = Textures(1, size=(SIDE, SIDE)).frames(i, [0.0])[0]
        return np.stack([texture // 2 + np.uint8(20 * time) for time in times])


class KeyFrames(ToyVideos):
    """A still texture under the finest pattern there is, which fades from one key frame to the next, 12 frames on."""

    def frames(self, i, times):
        texture = Textures(1, size=(SIDE, SIDE), grain=4).frames(i, [0.0])[0].clip(40, 215).astype(int)
        board = np.indices((SIDE, SIDE)).sum(0) % 2 * 2 - 1
        return np.stack([texture + (24 - 2 * (round(time * FPS) % 12)) * board for time in times]).astype(np.uint8)


def shuffle_learn(**options):
    spaced = {"gap_min": 0.16, "tau_max": 0.16, "tau_min": 0.16, "reach": 0.16}
    plain = {"side": SIDE, "motion": False, "look_alike": 0.0, **spaced}
    return ShuffleLearn(ShuffleLearnOptions(**(plain | options))).held_out()


def correspondence(**options):
    wanted = {"side": 16, "rate": RATE, "negatives": "drawn", "gain": 0.0}
    return AVCorrespondence(CorrespondenceOptions(**(wanted | options))).held_out()


def synchronization(**options):
    return AVSync(SyncOptions(**({"side": 16, "steps_a_clip": 2, "rate": RATE, "gain": 0.0} | options))).held_out()


def phase(task, batch):
    """Where in a frame's time the clicks come: the sound folded at the frame rate. (N, 20)"""
    period = round(RATE / FPS)
    sound = batch["waveform"].abs()
    folded = sound[:, : sound.shape[1] // period * period].unflatten(1, (-1, 20, period // 20))
    return folded.amax((1, 3))


def test_outer_frames_give_wrong_orders_away_unless_they_are_the_same_in_right_ones():
    media = Drifts(40, seconds=4.0)
    assert probe(shuffle_learn(ends="shuffled"), media, cues.outer_change, puzzles=400).accuracy > 0.8
    assert not probe(shuffle_learn(ends="fixed"), media, cues.outer_change, puzzles=400).leaks


def test_the_direction_of_time_gives_wrong_orders_away_unless_half_are_turned_round():
    media = Brightens(40, seconds=4.0)
    assert probe(shuffle_learn(reverse=0.0), media, cues.brightening, puzzles=400).accuracy > 0.65
    assert not probe(shuffle_learn(), media, cues.brightening, puzzles=400).leaks


def test_sharpness_that_falls_from_key_frames_gives_away_the_order_unless_frames_are_blurred():
    media = KeyFrames(40, seconds=4.0)
    assert probe(shuffle_learn(), media, cues.sharpness, puzzles=400).accuracy > 0.65
    assert not probe(shuffle_learn(blur=1.0), media, cues.sharpness, puzzles=400).leaks


def test_loudness_gives_negatives_away_that_another_routine_has_drawn():
    media = QuietHalf(40, seconds=6.0)
    careless = correspondence(negative_sounds="anywhere", min_loudness_db=-25.0)
    assert probe(careless, media, cues.loudness, puzzles=400).accuracy > 0.65
    assert not probe(correspondence(min_loudness_db=-25.0), media, cues.loudness, puzzles=400).leaks


def test_sounds_off_the_frame_grid_are_heard_to_be():
    media = QuietHalf(40, seconds=6.0)
    assert probe(correspondence(negative_sounds="anywhere"), media, phase, puzzles=400).accuracy > 0.9
    assert not probe(correspondence(), media, phase, puzzles=400).leaks


def test_a_sound_shifted_by_any_time_against_its_picture_is_heard_to_be():
    media = QuietHalf(40, seconds=2.4)
    assert probe(synchronization(negative_sounds="anywhere"), media, phase, puzzles=400).accuracy > 0.65
    for cue in (phase, cues.loudness):
        assert not probe(synchronization(), media, cue, puzzles=400).leaks
