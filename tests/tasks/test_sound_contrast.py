"""Instance discrimination of sounds."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from toy_media import RATE, ToyVideos

from avssl.errors import UserError
from avssl.evaluate.pretext import cues
from avssl.evaluate.pretext.controls import evaluate_trained
from avssl.evaluate.pretext.predictions import HeldOut
from avssl.evaluate.pretext.shortcuts import known
from avssl.samplers.keys import Key
from avssl.samplers.sound_views import SoundRule, draw_window, mixed
from avssl.tasks.instance_contrast.puzzle import InstanceContrastOptions
from avssl.tasks.instance_contrast.sounds import SoundContrast
from avssl.tasks.instance_contrast.task import InstanceContrast
from avssl.trainer.loop import fit
from avssl.trainer.options import TrainOptions
from avssl.trainer.plan import TaskPlan

SMALL = InstanceContrastOptions(
    of="sounds", rate=RATE, bands=16, seconds=0.5, width=4, convs=1, dimensions=16, norm="group", temperature=0.1
)
PLAIN = replace(SMALL, mixing=0.0, gain=0.0, masking=0.0, transpose=0.0)


class Tones(ToyVideos):
    """Each recording a tone of its own, which only sounds in its second half."""

    def audio(self, i, start_seconds, duration_seconds, rate):
        t = start_seconds + np.arange(round(duration_seconds * rate)) / rate
        sounding = (t >= self.seconds / 2) & (t < self.seconds)
        return (0.3 * np.sin(2 * np.pi * 250 * (i + 1) * t) * sounding).astype(np.float32)


def made(options=SMALL, media=None):  # type: ignore[no-untyped-def]
    task = InstanceContrast(options)
    media = media or Tones(8)
    task.fit_statistics(media, 0)
    return task, media


def batch_of(task, media, count=8):  # type: ignore[no-untyped-def]
    return task.collate([task.draw(media, Key(0, 0, i)) for i in range(count)])


def test_the_option_makes_the_task_of_sounds_and_its_default_that_of_pictures():
    assert type(InstanceContrast(SMALL)) is SoundContrast
    assert type(InstanceContrast(InstanceContrastOptions())) is InstanceContrast
    assert type(InstanceContrast(SMALL).held_out()) is SoundContrast
    with pytest.raises(UserError, match="--of sounds is for --method simclr, not moco"):
        InstanceContrast(replace(SMALL, method="moco"))


def test_it_takes_items_with_sound_and_hears_them_at_its_rate():
    task, media = made()
    sound, picture = replace(media.facts(0), kind="sound"), replace(media.facts(0), audio_channels=0, audio_rate=0)
    assert task.unusable(sound) is None
    assert task.unusable(picture) == "no sound"
    assert (task.sound_rate(), InstanceContrast(InstanceContrastOptions()).sound_rate()) == (RATE, None)


def test_both_views_are_of_one_recording_and_of_the_control_of_two():
    task, media = made(PLAIN)
    for one, same in ((task, True), (task.held_out(), True), (task.controls()["shuffled-labels"].held_out(), False)):
        first, second = one.mean_spectra(batch_of(one, media)).argmax(2).unbind(1)
        assert bool((first == second).all()) is same


def test_windows_are_redrawn_until_something_sounds():
    media = Tones(1)
    rng = np.random.default_rng(0)
    starts = [draw_window(media, 0, SoundRule(0.5, RATE, -30.0), rng)[0] for _ in range(20)]
    assert min(starts) > media.seconds / 2 - 0.5
    assert min(draw_window(media, 0, SoundRule(0.5, RATE, None), rng)[0] for _ in range(20)) < media.seconds / 2 - 0.5


def test_a_mixed_sound_is_as_loud_as_before_and_has_the_share_of_the_other():
    t = np.arange(RATE) / RATE
    one, other = (np.sin(2 * np.pi * f * t).astype(np.float32) * a for f, a in ((440, 0.5), (1000, 0.01)))
    both = mixed(one, other, 0.3)
    power = np.abs(np.fft.rfft(both)) ** 2
    assert power[1000] / (power[440] + power[1000]) == pytest.approx(0.3, abs=1e-3)
    assert np.square(both).mean() == pytest.approx(np.square(one).mean(), rel=1e-3)
    assert mixed(one, np.zeros_like(one), 0.3) is one


def test_a_few_steps_find_the_other_window_and_an_encoder_of_sound_is_kept():
    task, media = made(PLAIN)
    torch.manual_seed(0)
    untrained = task.network(task.encoders()).eval()
    options = TrainOptions(
        steps=25, batch_size=8, workers=0, validation_puzzles=0, log_to=("none",), learning_rate=0.01, precision="fp32"
    )
    network = fit([TaskPlan(task, media)], options, None, progress="none").networks["instance-contrast"].eval()
    assert list(task.saved(network)) == ["audio"]
    batch = batch_of(task.held_out(), media)
    with torch.no_grad():
        before, after = (float(task.loss(one, batch).measures["relative_loss"]) for one in (untrained, network))
    assert after < 0.6 * before, (before, after)


def test_mixing_hides_what_the_mean_spectrum_gives_away():
    without, mixing = (made(replace(PLAIN, mixing=share)) for share in (0.0, 0.9))
    apart = []
    for task, media in (without, mixing):
        first, second = cues.mean_spectrum(task, batch_of(task, media)).unbind(1)
        apart.append(float((first - second).abs().mean()))
    assert apart[1] > 2 * apart[0]
    assert [one.name for one in known(without[0], without[1])] == ["mean spectrum", "loudness"]


def test_rows_of_the_cues_stand_beside_the_network():
    task, media = made()
    network = task.network(task.encoders())
    rows = evaluate_trained(task, {"trained": network}, HeldOut(media, 8))
    assert {"trained", "mean-spectrum", "loudness"} <= {row.name for row in rows}
    assert task.sheet([task.draw(media, Key(0, 0, i)) for i in range(4)]).width > 300
