"""One case after the other: the sound read is right to a millisecond."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest
from media.made import MILLISECOND, Recipe, assert_in_time, inspected, lateness, make, tone

from avssl.media.decoding.sound import read_audio


@pytest.mark.parametrize("rate", [8_000, 11_025, 16_000, 22_050, 32_000, 44_100, 48_000, 96_000])
@pytest.mark.parametrize(("suffix", "codec"), [("mp4", "aac"), ("mkv", "flac")])
def test_sound_of_any_rate_is_read_at_any_rate(rate: int, suffix: str, codec: str, tmp_path: Path) -> None:
    path = make(tmp_path, Recipe(suffix, sound=codec, sound_rate=rate))
    found = inspected(path)
    assert found.audio_rate == rate
    for asked in (8_000, 24_000, 48_000):
        heard = read_audio(path, found.clock, 0.5, 0.4, asked)
        assert heard.shape == (round(0.4 * asked),)
        assert abs(lateness(heard, 0.5, asked)) < MILLISECOND


@pytest.mark.parametrize(
    ("layout", "channels"), [("mono", 1), ("stereo", 2), ("2.1", 3), ("4.0", 4), ("5.0", 5), ("5.1", 6)]
)
def test_mono_is_the_mean_of_all_channels_but_the_low_frequency_one(layout: str, channels: int, tmp_path: Path) -> None:
    for loud in range(channels):
        gains = tuple(float(k == loud) for k in range(channels))
        recipe = Recipe("mkv", video=None, sound="flac", layout=layout, channels=gains, sound_seconds=1.0)
        path = make(tmp_path, recipe, f"{layout}-{loud}")
        found = inspected(path)
        heard = read_audio(path, found.clock, 0.2, 0.5, 44_100)
        low = av.AudioLayout(layout).channels[loud].name == "LFE"
        full = channels - layout.endswith(".1")
        expected = np.zeros(22_050) if low else tone(0.2 + np.arange(22_050) / 44_100) / full
        assert np.abs(heard - expected).max() < 0.01


def test_nothing_clips_when_all_channels_are_loud(tmp_path: Path) -> None:
    path = make(tmp_path, Recipe("mkv", video=None, sound="flac", layout="5.1", channels=(1.9,) * 6))
    found = inspected(path)
    heard = read_audio(path, found.clock, 0.1, 1.0, 44_100)
    assert 0.9 < np.abs(heard).max() <= 1.0


@pytest.mark.parametrize("suffix", ["mp4", "mkv", "ts", "mov"])
@pytest.mark.parametrize("later", [Fraction(7, 10), Fraction(-3, 10)])
def test_sound_that_begins_later_or_earlier_keeps_its_place(suffix: str, later: Fraction, tmp_path: Path) -> None:
    start = Fraction(2, 5)
    path = make(tmp_path, Recipe(suffix, video_start=start, sound_start=start + later, frames=60, sound_seconds=1.5))
    found = inspected(path)
    # Before the first sample an encoder may have put up to two frames of its own.
    assert -0.05 < found.audio_start_seconds - float(later) < 0.003
    assert_in_time(path, found, float(later) + 0.05, 0.5)
    before = read_audio(path, found.clock, found.audio_start_seconds - 0.5, 0.4, 16_000)
    assert before.shape == (6400,) and not before.any()


def test_there_are_zeros_where_the_sound_has_ended(tmp_path: Path) -> None:
    path = make(tmp_path, Recipe("mp4", sound_seconds=0.8))
    found = inspected(path)
    assert found.audio_end_seconds == pytest.approx(0.8, abs=0.03)
    assert found.duration_seconds == pytest.approx(1.6)
    heard = read_audio(path, found.clock, 0.6, 0.8, 44_100)
    assert heard.shape == (round(0.8 * 44_100),)
    assert abs(lateness(heard[: round(0.19 * 44_100)], 0.6, 44_100)) < MILLISECOND
    assert not heard[round(0.25 * 44_100) :].any()
    assert not read_audio(path, found.clock, 30.0, 0.5, 8_000).any()


def test_sound_goes_on_after_the_last_frame(tmp_path: Path) -> None:
    path = make(tmp_path, Recipe("mp4", frames=10, sound_seconds=2.0))
    found = inspected(path)
    assert found.duration_seconds == pytest.approx(0.4)
    assert_in_time(path, found, 1.2, 0.5)


def test_a_gap_in_the_sound_is_silence_of_its_length(tmp_path: Path) -> None:
    whole = make(tmp_path, Recipe("mkv", sound="flac", sound_seconds=3.0, frames=75))
    path = str(tmp_path / "gap.mkv")
    with av.open(whole) as old, av.open(path, "w") as new:
        streams = {s.index: new.add_stream_from_template(s) for s in (*old.streams.video, *old.streams.audio)}
        for packet in old.demux():
            if packet.dts is None:
                continue
            if packet.stream.type == "audio" and 1.0 < packet.pts * packet.time_base < 2.0:
                continue
            packet.stream = streams[packet.stream_index]
            new.mux(packet)
    found = inspected(path)
    assert_in_time(path, found, 0.3, 0.5)
    assert_in_time(path, found, 2.3, 0.5)
    across = read_audio(path, found.clock, 0.5, 2.0, 44_100)
    assert not across[round(0.7 * 44_100) : round(1.4 * 44_100)].any()
    assert abs(lateness(across[round(1.7 * 44_100) :], 2.2, 44_100)) < MILLISECOND


@pytest.mark.parametrize(
    ("suffix", "codec", "within"),
    [
        ("mov", "pcm_s16le", 1e-6),
        ("mkv", "flac", 1e-6),
        ("mp4", "aac", 1e-3),
        ("mkv", "aac", 1e-3),
        ("ts", "mp2", 1e-3),
    ],
)
def test_a_stretch_is_the_same_whether_read_alone_or_out_of_everything(
    suffix: str, codec: str, within: float, tmp_path: Path
) -> None:
    path = make(tmp_path, Recipe(suffix, sound=codec, frames=150, sound_seconds=6.0))
    found = inspected(path)
    rate = found.audio_rate
    everything = read_audio(path, found.clock, 0.0, 6.0, rate)
    for begin in (10_000, 100_001, 200_123):
        alone = read_audio(path, found.clock, begin / rate, 0.5, rate)
        assert np.abs(alone - everything[begin : begin + len(alone)]).max() <= within


@pytest.mark.parametrize("codec", ["pcm_u8", "pcm_s16le", "pcm_s24le", "pcm_s32le", "pcm_f32le", "pcm_f64le"])
def test_every_kind_of_sample_has_full_scale_one(codec: str, tmp_path: Path) -> None:
    path = make(tmp_path, Recipe("mkv", video=None, sound=codec, sound_rate=16_000))
    found = inspected(path)
    assert found.kind == "sound"
    heard = read_audio(path, found.clock, 0.2, 0.5, 16_000)
    assert np.abs(heard - tone(0.2 + np.arange(8_000) / 16_000)).max() < 0.03


@pytest.mark.parametrize(
    ("suffix", "codec", "form"),
    [
        ("wav", "pcm_s16le", "wav"),
        ("flac", "flac", "flac"),
        ("m4a", "aac", "mp4"),
        ("mp3", "libmp3lame", "mp3"),
        ("ogg", "libopus", "ogg"),
    ],
)
def test_a_file_of_sound_alone_begins_with_its_first_sample(suffix: str, codec: str, form: str, tmp_path: Path) -> None:
    rate = 48_000 if codec == "libopus" else 44_100
    path = make(tmp_path, Recipe(suffix, video=None, sound=codec, format=form, sound_rate=rate, sound_seconds=3.0))
    found = inspected(path)
    assert found.kind == "sound"
    assert (found.frame_count, found.width, found.audio_start_seconds) == (0, 0, 0.0)
    assert found.duration_seconds == pytest.approx(3.0, abs=0.06)
    for start in (0.05, 1.0, 2.3):
        assert_in_time(path, found, start, 0.4)


def test_the_number_of_samples_is_the_rounded_product(tmp_path: Path) -> None:
    path = make(tmp_path, Recipe("mp4"))
    found = inspected(path)
    for seconds, rate in ((0.0, 8_000), (1 / 3, 22_050), (0.1, 44_101), (0.0001, 8_000), (1.00006, 16_000)):
        assert read_audio(path, found.clock, 0.1, seconds, rate).shape == (round(seconds * rate),)
