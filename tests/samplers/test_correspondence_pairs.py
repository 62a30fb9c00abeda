"""Pairs of audio-visual correspondence."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from toy_media import FPS, RATE, ToyVideos

from avssl.media.sources import Sources, with_sources
from avssl.samplers.correspondence import PairRule, draw_pair, grid, is_as_loud, loudness_db, unusable
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


class Sounding(ToyVideos):
    """Sound from and until these times only."""

    def __init__(self, start, end, **more):
        super().__init__(**more)
        self.heard = start, end

    def facts(self, i):
        return replace(super().facts(i), audio_start_seconds=self.heard[0], audio_end_seconds=self.heard[1])


def test_the_frames_of_the_grid_are_those_whose_whole_sound_is_there():
    media = Sounding(0.4, 2.7)
    times = media.frame_times(0)
    inside = [t for t in times if t - 0.5 >= 0.4 - 2e-3 and t + 0.5 <= 2.7 + 2e-3]
    assert grid(media, 0, 1.0).tolist() == inside
    # Just as much sound as is wanted, and no frame in its middle: the nearest to 0.9.
    assert grid(Sounding(0.4, 1.4), 0, 1.0).tolist() == [times[np.abs(times - 0.9).argmin()]]


@pytest.mark.parametrize(
    ("change", "why"),
    [
        ({"kind": "image"}, "image, not a video"),
        ({"audio_rate": 0, "audio_channels": 0}, "no sound"),
        ({"flags": ("silent",)}, "silent"),
        ({"audio_start_seconds": 2.1}, "less than 1 s of picture with sound"),
        ({"audio_end_seconds": 0.9}, "less than 1 s of picture with sound"),
        ({"audio_start_seconds": 1.0, "audio_end_seconds": 2.0}, None),
    ],
)
def test_why_an_item_gives_no_pair(change, why):
    assert unusable(replace(ToyVideos().facts(0), **change), 1.0) == why


def test_each_round_of_an_epoch_has_an_order_of_its_own():
    media = ToyVideos(8)
    orders = {
        (epoch, turn): tuple(draw_pair(media, Key(0, epoch, 8 * turn + k), RULE).frame.item for k in range(8))
        for epoch in range(3)
        for turn in range(3)
    }
    assert all(sorted(order) == list(range(8)) for order in orders.values())
    assert len(set(orders.values())) == 9


def test_the_negative_of_an_item_is_the_sound_of_any_other_source_alike():
    media = ToyVideos(12, sources=6)  # item n is of source n % 6
    found = {item: np.zeros(12, int) for item in range(12)}
    for epoch in range(300):
        for pair in (draw_pair(media, Key(0, epoch, k), RULE) for k in range(12)):
            if not pair.label:
                found[pair.frame.item][pair.sound.item] += 1
    for item, counts in found.items():
        own = [item, (item + 6) % 12]
        assert not counts[own].any()
        others = np.delete(counts, own)
        assert others.min() > 0.3 * others.mean() and others.max() < 2.2 * others.mean()


def test_the_negative_is_of_another_source_even_where_one_source_has_nearly_everything():
    media = ToyVideos(600)
    view = with_sources(media, Sources(("one",) * 599 + ("other",), "content", (), ()))
    negatives = [pair for pair in pairs(view, RULE, count=60) if pair.label == 0]
    assert all(599 in (pair.frame.item, pair.sound.item) for pair in negatives)


def test_with_one_source_the_negative_is_at_least_another_item():
    drawn = [pair for pair in pairs(ToyVideos(3, sources=1), RULE, 300) if not pair.label]
    assert all(pair.frame.item != pair.sound.item for pair in drawn)
    assert {(pair.frame.item, pair.sound.item) for pair in drawn} == {
        (a, b) for a in range(3) for b in range(3) if a != b
    }
    alone = [pair for pair in pairs(ToyVideos(1), RULE, 30) if not pair.label]
    assert alone and all(pair.sound.item == 0 for pair in alone)


def test_positives_only_are_all_positive():
    assert all(pair.label == 1 for pair in pairs(ToyVideos(), PairRule(rate=RATE, positives_only=True), 60))


@pytest.mark.parametrize("share", [0.0, 0.4])
def test_hard_negatives_have_the_share_that_was_asked_for(share):
    negatives = [
        p for p in pairs(ToyVideos(seconds=4.0), PairRule(rate=RATE, hard_negatives=share), 800) if not p.label
    ]
    assert np.mean([p.frame.item == p.sound.item for p in negatives]) == pytest.approx(share, abs=0.08)


def test_careless_negatives_lie_anywhere_in_the_sound_and_name_its_middle():
    rule = PairRule(rate=RATE, negative_sounds="anywhere")
    sounds = [pair.sound for pair in pairs(Sounding(0.5, 2.5), rule, 600) if not pair.label]
    starts = np.array([sound.sound_start_seconds for sound in sounds])
    assert 0.5 <= starts.min() < 0.52 and 1.48 < starts.max() <= 1.5
    assert all(sound.frame_seconds == pytest.approx(sound.sound_start_seconds + 0.5) for sound in sounds)
    off = np.abs((starts + 0.5) * FPS - np.round((starts + 0.5) * FPS))
    assert off.max() > 0.4, "off the frame grid"


def test_with_overlap_the_frame_is_any_within_its_sound():
    drawn = pairs(ToyVideos(), PairRule(rate=RATE, alignment="overlap", positives_only=True), 600)
    within = np.array([pair.frame.frame_seconds - pair.frame.sound_start_seconds for pair in drawn])
    assert within.min() < 0.1 and within.max() > 0.9
    assert within.mean() == pytest.approx(0.5, abs=0.05)


def test_the_sound_of_a_moment_is_that_which_is_there():
    media = ToyVideos()
    for pair in pairs(media, PairRule(seconds=0.5, rate=RATE), 40):
        for moment in (pair.frame, pair.sound):
            assert moment.frame_seconds - moment.sound_start_seconds == pytest.approx(0.25)
            assert np.array_equal(moment.sound, media.audio(moment.item, moment.sound_start_seconds, 0.5, RATE))


@pytest.mark.parametrize(
    ("amplitude", "level"), [(1.0, 0.0), (0.1, -20.0), (0.5, -6.0206), (0.0, -120.0), (1e-9, -120.0)]
)
def test_loudness_is_the_rms_in_decibels_of_full_scale(amplitude, level):
    assert loudness_db(np.array([amplitude, -amplitude] * 50, np.float32)) == pytest.approx(level, abs=1e-3)


def test_the_quick_answer_whether_a_sound_is_loud_enough_is_that_of_its_loudness():
    rng = np.random.default_rng(0)
    for limit in (-120.0, -60.0, -45.0, 0.0):
        for beside in (-50.0, -0.05, -1e-5, 0.0, 1e-5, 0.05, 50.0):
            sound = rng.standard_normal(16_000).astype(np.float32)
            sound *= np.float32(10 ** ((limit + beside - loudness_db(sound)) / 20))
            assert is_as_loud(sound, limit) == (loudness_db(sound) >= limit)
    assert is_as_loud(np.zeros(8, np.float32), -120.0) and not is_as_loud(np.zeros(8, np.float32), -119.9)
