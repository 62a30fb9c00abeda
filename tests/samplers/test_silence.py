"""Stretches of noise that training says "no" to."""

from __future__ import annotations

import numpy as np
import torch
from toy_media import ToyVideos

from avssl.samplers.keys import Key, generator
from avssl.samplers.silence import FLATTEST, LOUDEST_DB, QUIETEST_DB, STEEPEST, draw_silence
from avssl.tasks.av_correspondence.puzzle import CorrespondenceOptions
from avssl.tasks.av_correspondence.task import AVCorrespondence

SMALL = {"fusion": "avol", "width": 4, "side": 32, "bands": 16, "rate": 8000}


def test_a_silence_is_quiet_and_depends_on_its_key_alone() -> None:
    waves = [draw_silence(generator(0, k), 8000, 8000) for k in range(60)]
    assert np.array_equal(waves[7], draw_silence(generator(0, 7), 8000, 8000))
    levels = [10 * np.log10(np.mean(np.square(wave)) + 1e-12) for wave in waves]
    assert max(levels) < LOUDEST_DB + 4
    assert np.ptp(levels) > 30, "from nothing to a loud ventilation"
    assert any(not wave.any() for wave in waves)


def test_without_the_option_a_batch_is_what_it_was() -> None:
    plain = AVCorrespondence(CorrespondenceOptions(**SMALL))  # type: ignore[arg-type]
    silent = AVCorrespondence(CorrespondenceOptions(**SMALL, silent_rows=0.5))  # type: ignore[arg-type]
    media, keys = ToyVideos(), [Key(0, 0, i) for i in range(8)]
    one = plain.collate([plain.draw(media, key) for key in keys])
    other = silent.collate([silent.draw(media, key) for key in keys])
    assert "silence" not in one
    assert 0 < len(other["silence"]) < len(keys)
    assert all(torch.equal(one[name], other[name]) for name in one), "the puzzles themselves are the same"
    held_out = silent.held_out()
    assert "silence" not in held_out.collate([held_out.draw(media, key) for key in keys])


def test_training_with_silent_rows_rejects_noise() -> None:
    task = AVCorrespondence(CorrespondenceOptions(**SMALL, silent_rows=0.5))  # type: ignore[arg-type]
    media = ToyVideos()
    torch.manual_seed(0)
    network = task.network(task.encoders())
    optimizer = torch.optim.Adam(network.parameters(), 3e-3)
    first = last = 0.0
    for step in range(12):
        batch = task.collate([task.draw(media, Key(0, step, i)) for i in range(8)])
        losses = task.loss(network, batch)
        optimizer.zero_grad()
        losses.loss.backward()
        optimizer.step()
        value = float(losses.measures["silent_loss"])
        first, last = (value if step == 0 else first), value
    assert last < 0.6 * first


def test_silences_have_all_colours_from_brown_to_white_and_half_of_them_a_soft_top() -> None:
    rate = 24000
    waves = [wave for wave in (draw_silence(generator("s", n), rate, rate) for n in range(240)) if wave.any()]
    assert 180 < len(waves) < 235, "one in eight is digital silence"
    slopes, tops, levels = [], [], []
    for wave in waves:
        amplitude = np.abs(np.fft.rfft(wave))  # a bin a hertz
        low, high, top = (
            np.sqrt(np.mean(amplitude[at : at + width] ** 2)) for at, width in ((300, 200), (900, 200), (11500, 400))
        )
        slopes.append(np.log(high / low) / np.log(1000 / 400))
        tops.append(top / high / (11700 / 1000) ** slopes[-1])
        levels.append(10 * np.log10(np.mean(np.square(wave, dtype=np.float64))))
    assert min(slopes) > STEEPEST - 0.25 and max(slopes) < FLATTEST + 0.25
    assert min(slopes) < STEEPEST + 0.3 and max(slopes) > FLATTEST - 0.3
    assert 0.25 < np.mean(np.array(tops) < 0.25) < 0.6
    assert QUIETEST_DB - 3 < min(levels) < QUIETEST_DB + 6 and LOUDEST_DB - 6 < max(levels) < LOUDEST_DB + 3


def test_the_level_of_a_silence_drifts_by_at_most_six_decibels() -> None:
    drifts = []
    for n in range(60):
        wave = draw_silence(generator("d", n), 16000, 16000).astype(np.float64)
        if wave.any():
            first, last = (np.mean(part**2) for part in (wave[:3000], wave[-3000:]))
            drifts.append(10 * np.log10(last / first))
    assert 2 < max(np.abs(drifts)) < 9
    assert min(drifts) < 0 < max(drifts)
