"""Triplets of Shuffle & Learn: five frames in order, outer two shared by right and wrong, drawn where things move."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace

import numpy as np
import pytest
from toy_media import FPS, ToyVideos

from avssl.samplers.keys import generator
from avssl.samplers.triplets import TripletRule, difference, draw_five, draw_triplet, unusable

RULE = TripletRule(by_motion=False)


class MovesLate(ToyVideos):
    """Still for the first two thirds of a clip; then every frame differs much from the one before."""

    def __init__(self, count=6):
        super().__init__(count)
        self.fingerprint += "-moves-late"  # what moves is remembered by it

    def frames(self, i, times):
        shades = [(round(t * FPS) % 2) * 200 if t > 2.0 else 100 for t in times]
        return np.stack([np.full((3, 40, 40), shade, np.uint8) for shade in shades])


def fives(media, rule, count=200):
    return np.stack([draw_five(media, n % len(media), rule, generator("five", n)) for n in range(count)])


def test_five_different_frames_in_order_as_far_apart_as_asked():
    rule = replace(RULE, gap_min=0.16, tau_max=0.24, tau_min=0.08, reach=0.4)
    steps = np.diff(fives(ToyVideos(), rule))
    assert (steps > 0).all()
    period = 1 / FPS  # a frame is shown for so long: distances are right to that
    assert (steps[:, 1:3] > 0.16 - period).all() and (steps[:, 1:3] < 0.24 + period).all()
    assert (steps[:, [0, 3]] < 0.4 + period).all()


class Timed(ToyVideos):
    """Frames at these times."""

    def __init__(self, times):
        super().__init__(1)
        self.times = np.asarray(times)

    def frame_times(self, i):
        return self.times


@pytest.mark.parametrize(
    ("times", "low", "high"),
    [
        (np.arange(100) / 25, 0.10, 0.13),  # 0.12 alone lies within
        (np.arange(15) / 25, 0.12, 0.13),  # little more room than five frames need
        (np.arange(100) / 30, 0.08, 0.12),
        (np.cumsum(np.random.default_rng(0).uniform(0.02, 0.06, 100)), 0.12, 0.18),
    ],
)
def test_limits_are_kept_wherever_a_frame_lies_within_them(times, low, high):
    rule = replace(RULE, gap_min=low, tau_max=high, tau_min=low, reach=high)
    steps = np.diff(fives(Timed(times), rule))
    assert steps.min() >= low - 1e-6 and steps.max() <= high + 1e-6


def test_where_no_frame_lies_within_the_limits_the_nearest_are_taken():
    rule = replace(RULE, gap_min=0.12, tau_max=0.17, tau_min=0.12, reach=0.17)
    assert np.diff(fives(Timed(np.arange(60) / 10), rule)) == pytest.approx(0.1)


def test_limits_of_whole_frames_are_met_from_the_stretch_drawn_at_once():
    media, rule = Timed(np.arange(100) / 25), TripletRule(by_motion=False)
    steps = np.diff(fives(media, rule, 400)) * 25
    assert set(steps.round(6).flatten()) == {2.0, 3.0}
    assert steps.mean() == pytest.approx(2.5, abs=0.05)  # both as often, as of distances drawn evenly


def test_times_are_those_of_frames():
    media = ToyVideos()
    assert np.isin(fives(media, RULE), media.frame_times(0)).all()


def test_triplets_are_drawn_where_things_move(cache):
    media = MovesLate(4)
    moving = fives(media, replace(RULE, by_motion=True))
    anywhere = fives(media, RULE)
    assert (moving[:, 4] > 2.0).mean() > (anywhere[:, 4] > 2.0).mean() + 0.3


def test_outer_frames_are_b_and_d_whatever_the_answer_and_half_are_turned():
    drawn = [draw_triplet(replace(RULE, positives=0.25), generator("order", n)) for n in range(4000)]
    assert np.mean([one.label for one in drawn]) == pytest.approx(0.25, abs=0.03)
    for label, middles in ((1, {2}), (0, {0, 4})):
        these = [one.slots for one in drawn if one.label == label]
        assert {slots[1] for slots in these} == middles
        turned = Counter((slots[0], slots[2]) for slots in these)
        assert set(turned) == {(1, 3), (3, 1)}
        assert turned[3, 1] / len(these) == pytest.approx(0.5, abs=0.05)
    wrong = Counter(one.slots[1] for one in drawn if one.label == 0)
    assert wrong[0] / sum(wrong.values()) == pytest.approx(0.5, abs=0.05)


def test_without_fixed_ends_the_outer_frames_give_the_answer_away():
    drawn = [draw_triplet(replace(RULE, ends="shuffled"), generator("order", n)) for n in range(200)]
    assert all({one.slots[0], one.slots[2]} != {1, 3} for one in drawn if one.label == 0)


def test_differences_do_not_wrap_around():
    dark, light = np.full((3, 4, 4), 5, np.uint8), np.full((3, 4, 4), 250, np.uint8)
    assert difference(dark, light) == difference(light, dark) == 245.0


@pytest.mark.parametrize(
    ("change", "why"),
    [
        ({"tau_max": 2.0, "reach": 2.0}, "shorter than the 8 s"),
        ({"gap_min": 0.04}, "frames 0.0789 s apart"),
    ],
)
def test_clips_that_cannot_give_a_triplet_are_skipped_with_the_reason(change, why):
    message = unusable(ToyVideos().facts(0), replace(RULE, **change))
    assert message is not None and message.startswith(why)
    assert unusable(ToyVideos().facts(0), RULE) is None


@pytest.mark.parametrize("count", [5, 6, 7, 8, 9])
def test_where_frames_run_out_the_five_are_still_different_and_of_the_clip(count):
    times = np.arange(count) / 10
    drawn = fives(Timed(times), TripletRule(0.1, 0.3, 0.1, 0.3, by_motion=False), 100)
    assert (np.diff(drawn) > 0).all()
    assert np.isin(drawn, times).all()


@pytest.mark.parametrize("change", [30, 31])
def test_a_stretch_that_is_chosen_by_motion_holds_both_frames_of_the_change(cache, change):
    class MovesOnce(ToyVideos):
        def frames(self, i, times):
            return np.stack([np.full((3, 40, 40), 200 if t * FPS > change - 0.5 else 50, np.uint8) for t in times])

    media = MovesOnce(1, seconds=6.0)
    media.fingerprint = f"moves-once-{change}"
    rule = replace(RULE, window=0.0, by_motion=True)  # no longer than the five need
    numbers = np.round(fives(media, rule, 80) * FPS).astype(int)
    assert (numbers[:, 0] < change).all()
    assert (numbers[:, 4] >= change - 1).all(), "steps are of whole frames: the five may end one before the stretch"
    assert (numbers[:, 4] >= change).mean() > 0.8
    assert len(set(numbers[:, 0])) > 2, "wherever it is in the stretch"


def test_without_motion_to_go_by_any_stretch_is_as_good_as_another():
    starts = fives(ToyVideos(1, seconds=8.0), replace(RULE, window=1.0), 600)[:, 0]
    latest = 8.0 - 1 / FPS - RULE.span
    assert starts.min() < 0.2 and starts.max() > latest - 0.3
    assert starts.mean() == pytest.approx((8.0 - 1 / FPS - 0.4) / 2, abs=0.3)


def test_the_five_lie_within_the_stretch_that_was_asked_for_wherever_in_it():
    rule = TripletRule(gap_min=0.08, tau_max=0.08, tau_min=0.08, reach=0.08, window=1.6, by_motion=False)
    starts = fives(Timed(np.arange(21) / 12.5), rule, 300)[:, 0] * 12.5  # one stretch: all there is
    assert starts.min() == 0 and starts.max() == 15
    assert starts.mean() == pytest.approx(7.5, abs=0.8)


def test_the_longest_that_five_can_need_is_twice_both_of_the_longest_steps():
    assert TripletRule(tau_max=0.25, reach=0.5).span == 1.5


@pytest.mark.parametrize(
    ("change", "why"),
    [
        ({"kind": "image"}, "image, not a video"),
        ({"flags": ("still",)}, "nothing moves"),
        ({"frame_count": 0}, "frames 3 s apart, further than the 0.08 s asked for"),
        ({"duration_seconds": 0.48, "frame_count": 6}, "shorter than the 0.48 s that five frames may need"),
        ({"duration_seconds": 0.56, "frame_count": 7}, None),  # a period more: the last frame begins at 0.48
    ],
)
def test_the_reason_why_a_clip_gives_no_triplet(change, why):
    assert unusable(replace(ToyVideos().facts(0), **change), RULE) == why
