"""From which logit on something counts as heard in the picture."""

from __future__ import annotations

import numpy as np
import pytest
from toy_media import RATE, ToyVideos

from avssl.evaluate.localization.threshold import (
    fit_threshold,
    fitted_on,
    read_threshold,
    threshold_of_moments,
    write_threshold,
)
from avssl.samplers.correspondence import PairRule, draw_moment
from avssl.samplers.keys import generator

SOUNDING = np.linspace(0.0, 10.0, 101)  # four in a hundred lie below 0.4


def test_the_threshold_lies_halfway_between_silent_and_sounding_where_they_are_apart():
    assert fit_threshold(SOUNDING, [-2.0] * 5) == pytest.approx((-2.0 + 0.4) / 2)
    assert fit_threshold(SOUNDING + 5, np.linspace(0, 1, 101)) == pytest.approx((0.99 + 5.4) / 2)


@pytest.mark.parametrize("silent", [0.4, 3.0, 50.0])
def test_no_more_than_four_in_a_hundred_that_sound_are_called_silent(silent):
    assert fit_threshold(SOUNDING, [silent] * 5) == pytest.approx(0.4)
    assert fit_threshold(SOUNDING, [0.39] * 5) < 0.4


def test_without_silent_clips_it_is_zero_unless_too_many_would_be_missed():
    assert fit_threshold(SOUNDING, []) == 0.0
    assert fit_threshold(SOUNDING - 1, []) == pytest.approx(-0.6)


def test_a_threshold_is_kept_beside_the_run(tmp_path):
    assert (read_threshold(tmp_path), fitted_on(tmp_path)) == (0.0, None)
    write_threshold(tmp_path, -0.25, "clips of a test")
    assert (read_threshold(tmp_path), fitted_on(tmp_path)) == (-0.25, "clips of a test")
    (tmp_path / "localization.json").write_text('{"threshold": "high"}')
    assert read_threshold(tmp_path) == 0.0 and fitted_on(tmp_path) == "clips that are not named"


class Sums:
    """A model whose maps are 5 where the sound is one of those that it knows, else −1."""

    seconds, rate = 1.0, RATE

    def __init__(self, known):
        self.known, self.asked = known, []

    def maps(self, frames, waveforms, picture="whole"):
        self.asked.append((len(frames), len(waveforms)))
        own = [5.0 if sound.tobytes() in self.known else -1.0 for sound in waveforms]
        return np.array(own)[:, None, None] + np.zeros((1, 2, 2))


def test_the_threshold_of_media_without_a_truth_lies_between_their_sounds_and_noise():
    media, rule = ToyVideos(6), PairRule(rate=RATE)
    rngs = {item: generator(0, item, "threshold") for item in range(6)}
    model = Sums({draw_moment(media, item, rule, rng).sound.tobytes() for item, rng in rngs.items() for _ in range(3)})
    assert threshold_of_moments(media, model, rule, moments=18) == pytest.approx(2.0)
    assert model.asked == [(3, 3)] * 12, "three moments of each clip, with their own sound and with noise"
    assert threshold_of_moments(media, Sums(set()), rule, moments=4) == pytest.approx(-1.0)
