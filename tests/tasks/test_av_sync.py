"""Synchronization: the puzzle, and what must not give it away."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace

import numpy as np
import pytest
import torch
from scipy.stats import ks_2samp
from toy_media import FPS, RATE, ToyVideos

from avssl.errors import UserError
from avssl.networks.synchronization import moving_pictures
from avssl.samplers.keys import Key
from avssl.samplers.synchronization import ShiftRule, draw_shifted, frame_times
from avssl.tasks.av_sync.puzzle import SyncOptions
from avssl.tasks.av_sync.task import AVSync

SMALL = SyncOptions(side=24, rate=RATE, width=4, audio_width=4, bands=16, features=8, norm="group", steps_a_clip=6)
RULE = ShiftRule(seconds=0.6, rate=RATE, hard=0.4, super_hard=0.4, least_shift=0.16)


def drawn(media, rule=RULE, count=400):
    return [draw_shifted(media, Key(0, 0, index), rule) for index in range(count)]


def shift(one) -> float:
    return abs(one.sound.centre_seconds - one.picture.centre_seconds)


def test_each_kind_of_negative_is_as_far_from_its_clip_as_its_name_says():
    found = drawn(ToyVideos())
    assert all(one.picture == one.sound for one in found if one.label)
    wrong = {kind: [one for one in found if one.kind == kind and not one.label] for kind in ("easy", "hard")}
    assert all(one.picture.item != one.sound.item for one in wrong["easy"])
    assert all(one.picture.item == one.sound.item and shift(one) >= 0.6 - 1e-6 for one in wrong["hard"])
    near = [one for one in found if one.kind == "super-hard" and not one.label]
    assert all(one.picture.item == one.sound.item and 0.16 - 1e-6 <= shift(one) < 0.6 for one in near)
    assert min(len(wrong["easy"]), len(wrong["hard"]), len(near)) > 20


def test_negatives_are_easy_at_first_then_a_quarter_is_hard_and_held_out_each_kind_is_as_frequent():
    task, media = AVSync(replace(SMALL, easy_epochs=2)), ToyVideos()

    def shares(task, epoch):
        kinds = Counter(draw_shifted(media, Key(0, epoch, i), task.rule(epoch)).kind for i in range(600))
        return {kind: count / 600 for kind, count in kinds.items()}

    assert shares(task, 0) == shares(task, 1) == {"easy": 1.0}
    assert shares(task, 2) == pytest.approx({"easy": 0.75, "hard": 0.25}, abs=0.05)
    third = {"easy": 1 / 3, "hard": 1 / 3, "super-hard": 1 / 3}
    assert shares(task.held_out(), 0) == pytest.approx(third, abs=0.05)


@pytest.mark.parametrize("kind", ["hard", "super-hard"])
def test_where_in_a_video_a_clip_or_a_sound_is_from_does_not_tell_the_label(kind):
    """Far apart in a short video means near its ends: were positives drawn anywhere, that would give negatives away."""
    only = replace(RULE, hard=float(kind == "hard"), super_hard=float(kind == "super-hard"))
    found = drawn(ToyVideos(seconds=2.4), only, 3000)
    for of in ("picture", "sound"):
        places = [[getattr(one, of).centre_seconds for one in found if one.label == label] for label in (0, 1)]
        assert ks_2samp(*places).pvalue > 0.01


class LateSound(ToyVideos):
    """Sound from 0.5 s after the first frame until 0.4 s before the last."""

    def facts(self, i):
        return replace(super().facts(i), audio_start_seconds=0.5, audio_end_seconds=self.seconds - 0.4)


def test_no_sound_reaches_beyond_where_there_is_sound():
    found = drawn(LateSound(seconds=4.0), count=300)
    centres = np.array([each.centre_seconds for one in found for each in (one.picture, one.sound)])
    assert centres.min() - 0.3 >= 0.5 - 2e-3 and centres.max() + 0.3 <= 3.6 + 2e-3


def test_clips_and_sounds_are_at_frame_times_of_their_own_video():
    phases = [each.centre_seconds * FPS for one in drawn(ToyVideos()) for each in (one.picture, one.sound)]
    assert np.abs(np.array(phases) - np.round(phases)).max() < 1e-6


def test_the_frames_of_a_clip_are_evenly_spaced_with_one_more_at_either_end():
    times = frame_times(1.0, 0.6, 15)
    assert len(times) == 17
    assert np.diff(times) == pytest.approx(0.04)
    assert times[8] == pytest.approx(1.0, abs=2e-3) and times[8] > 1.0


def test_what_does_not_move_leaves_two_channels_even_and_what_moves_does_not():
    still = torch.full((1, 4, 2, 2), 51, dtype=torch.uint8)
    stack = moving_pictures(still, torch.zeros(1))
    assert stack.shape == (2, 3, 2, 2)
    assert stack[:, (0, 2)] == pytest.approx(0.5) and stack[:, 1] == pytest.approx(0.2)
    still[0, 2] = 102  # brighter for one frame: the second of two
    stack = moving_pictures(still, torch.zeros(1))[:, :, 0, 0]
    assert stack.tolist() == [pytest.approx([0.5, 0.2, 0.9]), pytest.approx([0.9, 0.4, 0.1])]


def test_controls_see_or_hear_alone():
    task, media = AVSync(SMALL), ToyVideos()
    for name, blind_to in (("vision-only", "waveform"), ("audio-only", "frames")):
        control = task.controls()[name].held_out()
        torch.manual_seed(0)
        network = control.network(control.encoders()).eval()
        batch = control.collate([control.draw(media, Key(0, 0, i)) for i in range(4)])
        before = control.answers(network, batch).scores
        batch[blind_to] = torch.zeros_like(batch[blind_to])
        assert torch.equal(control.answers(network, batch).scores, before)


@pytest.mark.parametrize(
    ("options", "what"),
    [({"hard": 0.7, "super_hard": 0.4}, "at most 1"), ({"least_shift": 0.7}, "less than --seconds")],
)
def test_options_that_do_not_go_together_are_refused(options, what):
    with pytest.raises(UserError, match=what):
        AVSync(replace(SMALL, **options))
