"""The offset found, and its error."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from PIL import Image
from torch import nn
from toy_media import FPS, RATE, ToyVideos

from avssl.evaluate.core.result_charts import draw_shifts
from avssl.evaluate.core.rows import Context
from avssl.evaluate.pretext.offsets import Moment, Moments, event_times, find_moments, offset_rows, score_shifts
from avssl.tasks.av_sync.puzzle import SyncOptions
from avssl.tasks.av_sync.task import AVSync

CONTEXT = Context("synchronization", draws=50)
REACH = 3


def moments(shifts) -> Moments:
    centres = np.arange(4 * REACH + 1) * 0.04 + 1.0
    found = [Moment(i, centres, shift, f"source{i}") for i, shift in enumerate(shifts)]
    return Moments(found, listed=len(found) + 3, silent=2, short=1, events="onsets")


def figures(scores, found: Moments):
    rows = offset_rows({"trained": scores}, found, CONTEXT)
    return {(row.name, row.metric): row for row in rows}


def test_scores_that_are_largest_in_step_find_every_shift():
    found = moments([-3, -1, 0, 2, 3])
    true = 1.5 - np.abs(np.arange(-2 * REACH, 2 * REACH + 1, dtype=float))
    rows = figures([true] * 5, found)
    assert rows["trained", "offset-error"].value == 0
    assert rows["trained", "within-one-frame"].value == 1
    assert rows["trained", "accuracy-0.08s"].value == 1
    # At a shift of one frame the score is still above 0: half of these pairs are wrong.
    assert rows["trained", "accuracy-0.04s"].value == 0.5


def test_scores_that_lag_by_two_frames_miss_by_two_frames():
    late = -np.abs(np.arange(-2 * REACH, 2 * REACH + 1, dtype=float) - 2)
    rows = figures([late] * 3, moments([-1, 0, 1]))
    assert rows["trained", "offset-error"].value == pytest.approx(2 * 0.04)
    assert rows["trained", "within-one-frame"].value == 0


def test_blind_answers_err_by_the_shifts_themselves():
    rows = figures([np.zeros(4 * REACH + 1)] * 4, moments([-3, 2, 2, 1]))
    assert rows["blind/always-0", "offset-error"].value == pytest.approx((3 + 2 + 2 + 1) / 4 * 0.04)
    assert rows["blind/most-frequent", "offset-error"].value == pytest.approx((5 + 0 + 0 + 1) / 4 * 0.04)
    assert rows["blind/most-frequent", "within-one-frame"].value == 0.75
    # Of 7 shifts 3 are within a frame of one in the middle, 2 of one at an end.
    assert rows["trained", "within-one-frame"].chance == pytest.approx((2 + 3 + 3 + 3) / 4 / 7)


def test_the_accuracy_by_shift_is_drawn(tmp_path):
    rows = offset_rows({"trained": [np.zeros(4 * REACH + 1)] * 3}, moments([0, 1, 2]), CONTEXT)
    assert draw_shifts(rows, tmp_path / "shifts.png", "by shift")
    assert Image.open(tmp_path / "shifts.png").size[0] > 300
    assert not draw_shifts([row for row in rows if not row.metric.startswith("accuracy")], tmp_path / "none.png")


def test_what_is_left_out_is_counted():
    row = figures([np.zeros(4 * REACH + 1)] * 2, moments([0, 1]))["trained", "offset-error"]
    assert (row.n_listed, row.n_used) == (5, 2)
    assert "2 without an event" in row.note and "1 in clips too short" in row.note


CLICKS = (1.0, 1.72, 2.6)


class Clicks(ToyVideos):
    """Silence with three clicks; every other clip is silent throughout. Frames and samples are as bright as late."""

    def audio(self, i, start_seconds, duration_seconds, rate):
        sound = np.zeros(round(duration_seconds * rate), np.float32)
        for click in CLICKS if i % 2 == 0 else ():
            at = round((click - start_seconds) * rate)
            if 0 <= at < len(sound) - 200:
                sound[at : at + 200] = 0.5 * np.hanning(400)[200:] * np.sin(np.arange(200))
        return sound


def test_events_are_onsets_where_there_is_no_ground_truth():
    times, how = event_times(Clicks(seconds=4.0), 0, RATE)
    assert how == "onsets"
    assert times == pytest.approx(CLICKS, abs=0.03)
    assert len(event_times(Clicks(seconds=4.0), 1, RATE)[0]) == 0


class Known(ToyVideos):
    """With ground truth: an event that is heard, one that is not, and one out of the picture."""

    def annotation(self, i):
        events = [(1.5, 0, True), (2.0, 0, False), (2.5, 1, True)]
        keys = ("time_seconds", "object", "heard")
        return {"objects": [{}], "events": [dict(zip(keys, event, strict=True)) for event in events]}


def test_events_of_the_ground_truth_are_those_that_are_seen_and_heard():
    assert event_times(Known(), 0, RATE) == (pytest.approx([1.5]), "ground truth")


def task() -> AVSync:
    return AVSync(SyncOptions(side=16, rate=RATE, steps_a_clip=2))


def test_moments_are_around_events_and_silent_clips_are_left_out():
    found = find_moments(Clicks(8, seconds=4.0), task(), 0.16, 2, 0)
    assert (found.listed, found.silent, found.short) == (16, 8, 0)
    assert {moment.item % 2 for moment in found.found} == {0}
    for moment in found.found:
        middle = moment.centres[len(moment.centres) // 2]
        assert np.abs(np.array(CLICKS) - middle).min() <= 0.3 - 0.08 + 1e-9
        assert -2 <= moment.shift <= 2 and len(moment.centres) == 9
    assert find_moments(Clicks(2, seconds=1.0), task(), 0.16, 2, 0).short == 4


class Dated(ToyVideos):
    """Frames as bright as they are late, and sound as loud."""

    def frames(self, i, times):
        shown = np.floor(np.array(times) * FPS + 1e-6) / FPS
        return np.broadcast_to((50 * shown[:, None, None, None]).astype(np.uint8), (len(times), 3, 20, 20)).copy()

    def audio(self, i, start_seconds, duration_seconds, rate):
        return (start_seconds + np.arange(round(duration_seconds * rate)) / rate).astype(np.float32)

    def annotation(self, i):
        return {"objects": [{}], "events": [{"time_seconds": 2.0, "object": 0, "heard": True}]}


class ReadsDates(nn.Module):
    """A network that knows when a frame and a sound are from."""

    def see(self, frames, brightness):
        return frames.float().mean((1, 2, 3)) / 50

    def hear(self, waveform):
        return waveform.mean(1)

    def logits(self, picture, sound):
        return 0.05 - (picture - sound).abs()


def test_the_shift_that_is_found_is_that_by_which_the_sound_was_moved():
    media, evaluated = Dated(4, seconds=4.0), task()
    found = find_moments(media, evaluated, 0.4, 2, 0)
    assert len({moment.shift for moment in found.found}) > 2
    scores = score_shifts(media, evaluated, {"trained": ReadsDates()}, found.found)
    rows = offset_rows(scores, found, CONTEXT)
    within = next(row for row in rows if (row.name, row.metric) == ("trained", "within-one-frame"))
    assert within.value == 1
    assert torch.is_grad_enabled()
