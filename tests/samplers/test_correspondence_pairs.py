"""Pairs of audio-visual correspondence."""

from __future__ import annotations

import numpy as np
import pytest
from toy_media import FPS, RATE, ToyVideos

from avssl.samplers.correspondence import PairRule, draw_pair, grid, unusable
from avssl.samplers.keys import Key, generator, permutation

RULE = PairRule(rate=RATE)


def pairs(media: ToyVideos, rule: PairRule, count: int = 400, seed: int = 0):  # type: ignore[no-untyped-def]
    return [draw_pair(media, Key(seed, 0, i), rule) for i in range(count)]


def test_a_pair_is_a_pure_function_of_its_key():
    media = ToyVideos()
    first, again = draw_pair(media, Key(3, 1, 5), RULE), draw_pair(ToyVideos(), Key(3, 1, 5), RULE)
    assert (first.label, first.frame.frame_seconds, first.sound.sound_start_seconds) == (
        again.label,
        again.frame.frame_seconds,
        again.sound.sound_start_seconds,
    )
    assert np.array_equal(first.sound.sound, again.sound.sound)
    epochs = [[draw_pair(media, Key(3, epoch, i), RULE).frame.item for i in range(24)] for epoch in (0, 1)]
    assert epochs[0] != epochs[1]
    assert sorted(epochs[0]) == sorted(epochs[1]) == list(range(24))


@pytest.mark.parametrize("alignment", ["centre", "overlap"])
def test_a_positive_sound_overlaps_its_frame_and_a_negative_comes_from_another_source(alignment):
    media = ToyVideos(sources=8)
    for pair in pairs(media, PairRule(rate=RATE, alignment=alignment)):
        if pair.label:
            start = pair.sound.sound_start_seconds
            assert pair.frame.item == pair.sound.item
            assert start - 1e-9 <= pair.frame.frame_seconds <= start + 1 + 1e-9
        else:
            assert media.facts(pair.frame.item).source != media.facts(pair.sound.item).source


def test_sounds_of_both_classes_lie_on_the_frame_grid_of_their_own_video():
    # The published leak: positives centred on frame times, negatives anywhere.
    for pair in pairs(ToyVideos(), RULE):
        middle = pair.sound.sound_start_seconds + 0.5
        assert abs(middle * FPS - round(middle * FPS)) < 1e-6


def test_frames_and_sounds_have_one_distribution_in_both_classes():
    drawn = pairs(ToyVideos(), RULE, 6000)
    for side in ("frame", "sound"):
        starts = {
            label: np.array([getattr(p, side).sound_start_seconds for p in drawn if p.label == label])
            for label in (0, 1)
        }
        error = np.sqrt(starts[0].var() / len(starts[0]) + starts[1].var() / len(starts[1]))
        assert abs(starts[0].mean() - starts[1].mean()) < 4 * error
    assert abs(np.mean([p.label for p in drawn]) - 0.5) < 4 * 0.5 / np.sqrt(6000)


def test_hard_negatives_are_another_moment_of_the_same_video():
    drawn = pairs(ToyVideos(seconds=4.0), PairRule(rate=RATE, hard_negatives=1.0))
    same = [p for p in drawn if not p.label and p.frame.item == p.sound.item]
    assert len(same) > 0.95 * sum(not p.label for p in drawn)
    assert all(abs(p.frame.sound_start_seconds - p.sound.sound_start_seconds) >= 1 for p in same)


def test_quiet_moments_are_drawn_again_for_frames_and_sounds_alike():
    class HalfSilent(ToyVideos):
        def audio(self, i, start_seconds, duration_seconds, rate):
            sound = super().audio(i, start_seconds, duration_seconds, rate)
            t = start_seconds + np.arange(len(sound)) / rate
            return sound * (t > self.seconds / 2)

    media = HalfSilent(seconds=6.0)
    drawn = pairs(media, PairRule(rate=RATE, min_loudness_db=-40))
    for label in (0, 1):
        early = np.mean([p.frame.frame_seconds < 2.5 for p in drawn if p.label == label])
        assert early < 0.05
    assert np.mean([p.frame.frame_seconds < 2.5 for p in pairs(media, RULE)]) > 0.3


def test_an_item_without_a_second_of_picture_with_sound_cannot_be_used():
    assert unusable(ToyVideos(seconds=0.5).facts(0), 1.0) == "less than 1 s of picture with sound"
    assert unusable(ToyVideos().facts(0), 1.0) is None
    assert len(grid(ToyVideos(seconds=1.0), 0, 1.0)) >= 1


def test_keys_hash_so_that_epoch_0_differs_between_seeds():
    assert generator(0, 0, 1).integers(2**62) != generator(1, 0, 1).integers(2**62)
    assert not np.array_equal(permutation(0, 0, 50), permutation(1, 0, 50))
    with pytest.raises(ValueError, match="read-only"):
        permutation(0, 0, 50)[0] = 1
