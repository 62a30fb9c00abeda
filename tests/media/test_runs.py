"""Sound put together from decoded frames: where a run begins, what follows it, what is a gap and what an error."""

from __future__ import annotations

import numpy as np
import pytest

import avssl.media.decoding.sound as sound
from avssl.errors import MediaError
from avssl.media.containers.demux import Deadline
from avssl.media.decoding.clock import Clock
from avssl.media.decoding.open_files import OpenFile
from avssl.media.decoding.sound import Chunk, Run, read_audio

RATE = 1000
CLOCK = Clock(audio_stream=0, audio_rate=RATE, audio_end_seconds=10.0, audio_tick_seconds=1e-3)


def ramp(first: int, count: int) -> np.ndarray:
    """Samples that are their own number."""
    return np.arange(first, first + count, dtype=np.float32)


def chunks(*stamps, length=100):
    """Chunks of ``length`` samples that go on from one another, with these time stamps."""
    return [Chunk(ramp(k * length, length), seconds) for k, seconds in enumerate(stamps)]


def collected(found, clock=CLOCK, start=0.0, end=10.0):
    return sound._collected(iter(found), clock, start, end)


def test_a_run_begins_where_all_of_its_stamps_agree():
    run = Run(RATE)
    run.add(ramp(0, 100), 2.0004, keep=True, tick=1e-3)
    assert run.start_seconds == pytest.approx(2.0004)
    run.add(ramp(100, 100), 2.1, keep=True, tick=1e-3)  # begins at 2.0 ± 0.0005: between 1.9999 and 2.0005
    assert run.start_seconds == pytest.approx((1.9999 + 2.0005) / 2)
    run.add(ramp(200, 100), None, keep=True, tick=1e-3)
    assert run.start_seconds == pytest.approx(2.0002), "no stamp, nothing learned"
    assert run.length == 300 and run.end_seconds == pytest.approx(2.3002)
    run.begins = 2.0
    assert (run.start_seconds, run.end_seconds) == (2.0, 2.3)


def test_what_is_not_kept_is_counted():
    run = Run(RATE)
    run.add(ramp(0, 100), 1.0, keep=False, tick=1e-3)
    run.add(ramp(100, 50), None, keep=True, tick=1e-3)
    assert (run.length, run.skipped, len(run.pieces)) == (150, 100, 1)
    assert run.end_seconds == pytest.approx(1.15)


@pytest.mark.parametrize(
    ("off", "tick", "follows"),
    [
        (0.0009, 1e-5, True),
        (-0.0009, 1e-5, True),
        (0.0012, 1e-5, False),
        (-0.0012, 1e-5, False),
        (0.0149, 0.01, True),
        (0.0151, 0.01, False),
        (-0.0151, 0.01, False),
    ],
)
def test_a_stamp_follows_within_a_millisecond_or_one_and_a_half_ticks(off, tick, follows):
    run = Run(RATE, begins=1.0)
    run.add(ramp(0, 100), 1.0, keep=True, tick=tick)
    assert run.follows(1.1 + off, tick) is follows


def test_a_stamp_is_astray_if_the_next_comes_back_to_the_run():
    run = Run(RATE, begins=0.0)
    run.add(ramp(0, 100), 0.0, keep=True, tick=1e-3)
    lost, back, on = Chunk(ramp(100, 100), 0.15), Chunk(ramp(200, 100), 0.2), Chunk(ramp(200, 100), 0.25)
    assert run.has_wrong_stamp(lost, back, 1e-3)
    assert not run.has_wrong_stamp(lost, on, 1e-3), "both have gone on: a gap"
    assert not run.has_wrong_stamp(Chunk(ramp(100, 100), 0.1), back, 1e-3), "it is where it should be"
    assert not run.has_wrong_stamp(lost, None, 1e-3), "nothing comes after it"
    assert not run.has_wrong_stamp(lost, Chunk(ramp(200, 100), None), 1e-3)
    assert not run.has_wrong_stamp(Chunk(ramp(100, 100), None), back, 1e-3)


def test_chunks_that_follow_are_one_run_and_a_gap_begins_another():
    (whole,) = collected(chunks(0.0, 0.1, None, 0.3004))
    assert whole.length == 400 and len(whole.pieces) == 4
    one, other = collected(chunks(0.0, 0.1, 0.25, 0.35))
    assert (one.length, other.length) == (200, 200)
    assert other.start_seconds == pytest.approx(0.25, abs=1e-3)
    overlapping = collected(chunks(0.0, 0.1, 0.15, 0.25))
    assert [run.length for run in overlapping] == [200, 200]


def test_one_stamp_astray_does_not_break_a_run():
    (run,) = collected(chunks(0.0, 0.1, 0.26, 0.3, 0.4))
    assert run.length == 500 and run.start_seconds == pytest.approx(0.0, abs=5e-4)


def test_what_comes_before_the_first_stamp_has_no_place():
    found = collected([Chunk(ramp(0, 100), None), *chunks(1.0, 1.1)])
    assert [run.length for run in found] == [200]
    assert collected([Chunk(ramp(0, 100), None)]) == []


def test_a_stretch_is_decoded_no_further_than_it_reaches_and_kept_from_where_it_begins():
    stamps = [0.1 * k for k in range(20)]
    (run,) = collected(chunks(*stamps), start=0.5, end=0.8)
    assert run.end_seconds == pytest.approx(0.9), "a hundredth of a second beyond the end was in reach"
    assert run.skipped == 400 and len(run.pieces) == 5, "from 0.4 on: rounding may have moved its end into the stretch"
    (run,) = collected(chunks(*stamps), start=0.52, end=0.78)
    assert run.end_seconds == pytest.approx(0.8) and run.skipped == 500


def test_packets_on_a_grid_give_the_exact_place_whatever_their_stamps_are_rounded_to():
    clock = Clock(
        audio_stream=0,
        audio_rate=RATE,
        audio_end_seconds=10.0,
        audio_tick_seconds=1e-2,
        audio_frame_samples=96,
        audio_anchor_seconds=0.0123,
    )
    exact = [0.0123 + 0.096 * k for k in range(6)]
    (run,) = collected([Chunk(ramp(96 * k, 96), round(t, 2)) for k, t in enumerate(exact)][2:], clock)
    assert run.start_seconds == pytest.approx(exact[2], abs=1e-9)
    odd = [Chunk(ramp(0, 50), 1.0), Chunk(ramp(50, 50), 1.05)]
    (run,) = collected(odd, clock)
    assert run.begins is None, "packets of another length do not lie on the grid"


def test_runs_are_laid_on_the_nearest_sample_and_what_is_beyond_the_sound_is_silent(monkeypatch):
    first, second = Run(RATE, begins=1.0004), Run(RATE, begins=1.3)
    first.add(ramp(1, 100), None, keep=False, tick=1e-3)
    for piece in (ramp(101, 60), ramp(161, 60)):
        first.add(piece, None, keep=True, tick=1e-3)
    second.add(ramp(1000, 500), None, keep=True, tick=1e-3)
    asked = []
    monkeypatch.setattr(sound, "_runs", lambda file, clock, start, end: asked.append((start, end)) or [first, second])
    clock = Clock(audio_stream=0, audio_rate=RATE, audio_end_seconds=1.45)
    found = sound._stored_samples(OpenFile("x", Deadline("x")), clock, 1.15, 500)
    expected = np.zeros(500, np.float32)
    for n in range(500):
        place = 1150 + n
        if 1100 <= place < 1220:
            expected[n] = place - 1000 + 1
        elif 1300 <= place < 1450:
            expected[n] = place - 1300 + 1000
    assert np.array_equal(found, expected)
    assert asked == [(1.15, 1.65)]


def test_reading_begins_well_before_and_ever_earlier_and_at_last_at_the_start():
    clock = Clock(audio_stream=0, audio_rate=48_000, audio_frame_samples=960, audio_start_seconds=0.5)
    found = sound._attempts(clock, 20.0)
    assert found[-1] is None and found[:-1] == pytest.approx([19.6, 17.6, 9.6]), "twice ten packets of 20 ms"
    assert sound._attempts(clock, 4.0)[:-1] == pytest.approx([3.6, 1.6])
    assert sound._attempts(clock, 0.9) == [None], "there is nothing before the sound begins"
    jumpy = Clock(audio_stream=0, audio_rate=48_000, audio_seekable=False)
    assert sound._attempts(jumpy, 20.0) == [None]


@pytest.mark.parametrize("start", [-3.0, 10.0, 12.5])
def test_outside_of_the_sound_all_is_silent_and_no_file_is_opened(start):
    found = read_audio("nowhere.wav", CLOCK, start, 0.5, 16_000)
    assert found.shape == (8000,) and found.dtype == np.float32 and not found.any()


def test_what_cannot_be_asked_for():
    for duration, rate in ((-0.1, 8000), (1.0, 0), (1.0, -1)):
        with pytest.raises(ValueError, match="must not be negative"):
            read_audio("nowhere.wav", CLOCK, 0.0, duration, rate)
    assert read_audio("nowhere.wav", CLOCK, 1.0, 0.0, 8000).shape == (0,)
    with pytest.raises(MediaError, match="there is no sound"):
        read_audio("nowhere.wav", Clock(), 0.0, 1.0, 8000)
    with pytest.raises(MediaError, match=r"nowhere\.wav at 1\.000 s"):
        read_audio("nowhere.wav", CLOCK, 1.0, 1.0, 8000)


@pytest.mark.parametrize(("duration", "rate", "count"), [(0.5, 3, 2), (0.1, 8000, 800), (1 / 3, 1000, 333)])
def test_as_many_samples_as_the_rounded_product(duration, rate, count):
    assert len(read_audio("nowhere.wav", CLOCK, -5.0, duration, rate)) == count


def test_a_sample_that_is_not_finite_is_reported_with_its_time(monkeypatch):
    stored = np.zeros(1512, np.float32)
    stored[700] = np.nan
    monkeypatch.setattr(sound, "_stored_samples", lambda *_: stored.copy())
    with pytest.raises(MediaError, match=r"x\.wav at 2\.444 s"):
        read_audio("x.wav", CLOCK, 2.0, 1.0, RATE)  # 256 samples of margin before it


@pytest.mark.parametrize(("rate", "margin", "native"), [(1000, 256, 1512), (500, 256, 2024), (1333, 342, 1513)])
def test_a_stretch_is_widened_by_whole_samples_on_both_sides_for_the_resampler(rate, margin, native, monkeypatch):
    asked = []

    def stored(file, clock, first_seconds, count):
        asked.append((first_seconds, count))
        times = first_seconds + np.arange(count) / RATE
        return np.sin(2 * np.pi * 40 * times).astype(np.float32)

    monkeypatch.setattr(sound, "_stored_samples", stored)
    found = read_audio("x.wav", CLOCK, 2.0, 1.0, rate)
    ((first, count),) = asked
    assert first == pytest.approx(2.0 - margin / rate) and count == native
    expected = np.sin(2 * np.pi * 40 * (2.0 + np.arange(rate) / rate))
    assert np.abs(found - expected).max() < 0.01, "the sound at its time, whatever the rate"


def test_what_a_container_cannot_give_is_reported_with_the_start_of_the_stretch(monkeypatch):
    def fails(*_):
        raise OSError(5, "gone")

    monkeypatch.setattr(sound, "_stored_samples", fails)
    with pytest.raises(MediaError, match=r"x\.wav at 2\.000 s"):
        read_audio("x.wav", CLOCK, 2.0, 1.0, RATE)
