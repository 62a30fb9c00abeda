"""Clips: a few frames of a video, equally far apart, drawn where things move."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from test_triplets import MovesLate, Timed
from toy_media import FPS, ToyVideos

from avssl.samplers.clips import ClipRule, draw_clip, unusable
from avssl.samplers.keys import generator

RULE = ClipRule(frames=4, shortest=0.16, longest=0.16, by_motion=False)


def clips(media, rule, count=200):
    return np.stack([draw_clip(media, n % len(media), rule, generator("clip", n)) for n in range(count)])


@pytest.mark.parametrize(("rate", "steps"), [(25, 4), (30, 5), (12.5, 2), (6, 1)])
def test_frames_of_a_clip_are_equally_far_apart_as_near_to_what_is_asked_as_whole_frames_allow(rate, steps):
    found = np.diff(clips(Timed(np.arange(100) / rate), RULE))
    assert found == pytest.approx(steps / rate)


def test_a_distance_is_drawn_between_the_limits():
    rule = replace(RULE, frames=3, shortest=0.08, longest=0.2)
    found = np.diff(clips(Timed(np.arange(100) / 25), rule))
    assert found[:, 0] == pytest.approx(found[:, 1])
    assert set((found[:, 0] * 25).round().astype(int)) == {2, 3, 4, 5}


def test_of_unequal_frames_those_nearest_to_equal_distances_are_taken_each_once():
    times = np.cumsum(np.random.default_rng(0).uniform(0.02, 0.06, 100))
    found = clips(Timed(times), RULE)
    assert np.isin(found, times).all() and (np.diff(found) > 0).all()
    assert np.diff(found).mean() == pytest.approx(0.16, abs=0.02)
    gap = np.concatenate([np.arange(6) / 25, 3 + np.arange(6) / 25])  # nothing is shown for nearly three seconds
    assert (np.diff(clips(Timed(gap), RULE)) > 0).all()


def test_clips_begin_anywhere_that_they_fit_and_where_they_just_fit():
    found = clips(Timed(np.arange(20) / 25), RULE, 400)
    assert set((found[:, 0] * 25).round().astype(int)) == set(range(8))
    assert clips(Timed(np.arange(13) / 25), RULE, 5)[:, 0] == pytest.approx(0)
    assert np.diff(clips(Timed(np.arange(10) / 25), RULE, 5)) == pytest.approx(3 / 25)  # the widest that fits


def test_clips_are_drawn_where_things_move():
    early = {by: (clips(MovesLate(), replace(RULE, by_motion=by))[:, -1] <= 2.0).mean() for by in (False, True)}
    assert early[False] > 0.4 and early[True] == 0


def test_items_without_enough_moving_frames_are_refused_with_the_reason():
    facts = ToyVideos().facts(0)
    assert unusable(facts, RULE) is None
    assert unusable(replace(facts, kind="image"), RULE) == "image, not a video"
    assert unusable(replace(facts, flags=("still",)), RULE) == "nothing moves"
    short = replace(facts, duration_seconds=0.4, frame_count=round(0.4 * FPS))
    assert unusable(short, RULE) == "shorter than the 0.48 s that 4 frames need"
    slow = replace(facts, frame_count=6)
    assert unusable(slow, RULE) == "frames 0.5 s apart, further than the 0.16 s asked for"
