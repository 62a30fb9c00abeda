"""Stamps that stray against the count of samples, and decoders with a memory: every stretch is a piece of the whole."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace
from fractions import Fraction
from functools import lru_cache
from pathlib import Path

import av
import numpy as np
import pytest
from media.made import Recipe, inspected, make, tone
from numpy.typing import NDArray

from avssl.media.decoding.channels import Mixer
from avssl.media.decoding.sound import read_audio
from avssl.media.indexing.inspect import Inspection

READS = 12
SECONDS = 8.0


def restamped(old: str, new: Path, shift: Callable[[float], float]) -> str:
    """A copy whose packets of sound are stamped later by ``shift`` (seconds) of their time."""
    with av.open(old) as source, av.open(str(new), "w") as target:
        stream = target.add_stream_from_template(source.streams.audio[0])
        last = -1
        for packet in source.demux(source.streams.audio[0]):
            if packet.dts is None:
                continue
            seconds = float(packet.pts * packet.time_base)
            last = max(round((seconds + shift(seconds) + 1.0) / packet.time_base), last + 1)
            packet.pts = packet.dts = last
            packet.stream = stream
            target.mux(packet)
    return str(new)


def continuous(path: str) -> NDArray[np.float32]:
    """All sound of a file decoded in one go, mono."""
    with av.open(path) as container:
        stream = container.streams.audio[0]
        mixer = Mixer(stream)
        return np.concatenate([mixer.mono(frame) for frame in container.decode(stream)])


def places(path: str, found: Inspection, case: int, seconds: float = 0.1) -> list[tuple[float, float]]:
    """Of random stretches the time asked for, and where in the continuous decode they lie, seconds.

    Raises:
        AssertionError: one of them lies nowhere, or is cut.
    """
    whole, rate = continuous(path), found.audio_rate
    dice = np.random.default_rng((7, case))
    found_at = []
    for start in dice.uniform(found.audio_start_seconds + 0.05, found.audio_end_seconds - seconds - 0.05, READS):
        heard = read_audio(path, found.clock, float(start), seconds, rate).astype(np.float64)
        size = 1 << (len(whole) + len(heard)).bit_length()
        products = np.fft.irfft(np.fft.rfft(whole, size) * np.conj(np.fft.rfft(heard, size)), size)
        power = np.cumsum(np.concatenate([[0.0], whole.astype(np.float64) ** 2]))
        distance = power[len(heard) :] - power[: -len(heard)] - 2 * products[: len(whole) - len(heard) + 1]
        at = int(distance.argmin())
        assert np.abs(whole[at : at + len(heard)] - heard).max() < 2e-4, f"what is read at {start:.3f} s lies nowhere"
        found_at.append((float(start), at / rate))
    return found_at


@lru_cache(maxsize=8)
def _made(folder: Path, suffix: str, codec: str, rate: int) -> str:
    recipe = Recipe(suffix, video=None, sound=codec, sound_rate=rate, sound_seconds=SECONDS)
    if codec == "vorbis":  # FFmpeg's own encoder knows stereo alone
        recipe = replace(recipe, layout="stereo")
    return make(folder, recipe, f"plain-{codec}")


@pytest.fixture(scope="module")
def plain(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str, str, int], str]:
    folder = tmp_path_factory.mktemp("plain")
    return lambda suffix, codec, rate: _made(folder, suffix, codec, rate)


KINDS = [("webm", "vorbis", 44_100), ("mkv", "libopus", 48_000), ("mp4", "aac", 44_100), ("flv", "libmp3lame", 44_100)]
WAVES: dict[str, Callable[[float], float]] = {
    "slow wave": lambda t: 0.021 * math.sin(2 * math.pi * t / 4),
    "slower wave": lambda t: 0.021 * math.sin(2 * math.pi * t / 15),
    "noise": lambda t: 0.008 * math.sin(1e5 * t * t),
}


@pytest.mark.parametrize("wave", WAVES)
@pytest.mark.parametrize(("suffix", "codec", "rate"), KINDS, ids=[kind[1] for kind in KINDS])
def test_sound_whose_stamps_stray_is_laid_by_counting(
    suffix: str, codec: str, rate: int, wave: str, plain: Callable[[str, str, int], str], tmp_path: Path
) -> None:
    path = restamped(plain(suffix, codec, rate), tmp_path / f"stray.{suffix}", WAVES[wave])
    found = inspected(path)
    assert found.duration_seconds == pytest.approx(SECONDS, abs=0.06)
    found_at = places(path, found, len(wave))
    late = [at - start for start, at in found_at]
    assert np.ptp(late) < 1e-3 and abs(late[0]) < 0.03


@pytest.mark.parametrize("share", [1e-3, -1e-3])
def test_sound_of_a_clock_that_runs_fast_or_slow_follows_the_stamps(
    share: float, plain: Callable[[str, str, int], str], tmp_path: Path
) -> None:
    path = restamped(plain("mkv", "libopus", 48_000), tmp_path / "drift.mkv", lambda t: share * t)
    found = inspected(path)
    for start, at in places(path, found, 3):
        assert start == pytest.approx(at * (1 + share), abs=2e-3)


@pytest.mark.parametrize(("suffix", "codec", "rate"), KINDS, ids=[kind[1] for kind in KINDS])
def test_a_gap_between_stamps_that_stray_is_silence_of_its_length(
    suffix: str, codec: str, rate: int, plain: Callable[[str, str, int], str], tmp_path: Path
) -> None:
    def shift(seconds: float) -> float:
        return (0.4 if seconds > 4 else 0.0) + 0.015 * math.sin(2 * math.pi * seconds / 3)

    path = restamped(plain(suffix, codec, rate), tmp_path / f"gap.{suffix}", shift)
    found = inspected(path)
    assert found.duration_seconds == pytest.approx(SECONDS + 0.4, abs=0.08)
    silent = read_audio(path, found.clock, 3.9, 0.6, rate) == 0
    assert 0.36 < silent.mean() * 0.6 < 0.44
    whole = continuous(path)
    for start, missing in ((1.0, 0.0), (7.0, 0.4)):
        heard = read_audio(path, found.clock, start, 0.1, rate)
        near = whole[round((start - missing - 0.05) * rate) : round((start - missing + 0.15) * rate)]
        windows = np.lib.stride_tricks.sliding_window_view(near, len(heard))
        assert np.abs(windows - heard).max(axis=1).min() < 2e-4


MEMORIES = [
    ("amr", "libopencore_amrnb", 8_000),
    ("3gp", "libopencore_amrnb", 8_000),
    ("wav", "g722", 16_000),
    ("wav", "g726", 8_000),
    ("wav", "adpcm_ima_wav", 22_050),
    ("wav", "adpcm_ms", 22_050),
    ("mov", "adpcm_ima_qt", 11_025),
    ("flv", "adpcm_swf", 22_050),
    ("asf", "wmav2", 44_100),
    ("ac3", "ac3", 48_000),
    ("mkv", "eac3", 48_000),
    ("wav", "dfpwm", 48_000),
    ("ogg", "libopus", 48_000),
]


def _can_encode(codec: str) -> bool:
    try:
        return bool(av.Codec(codec, "w").name)
    except av.codec.codec.UnknownCodecError:
        return False


BIT_RATES = {"libopencore_amrnb": 12_200, "libopus": 12_000, "wmav2": 64_000}


@pytest.mark.parametrize(("suffix", "codec", "rate"), MEMORIES, ids=["-".join(kind[:2]) for kind in MEMORIES])
def test_a_decoder_with_a_memory_is_warm_when_a_stretch_begins(
    suffix: str, codec: str, rate: int, tmp_path: Path
) -> None:
    if not _can_encode(codec):
        pytest.skip(f"this FFmpeg has no encoder {codec}")
    path = str(tmp_path / f"memory.{suffix}")
    with av.open(path, "w") as container:
        stream = container.add_stream(codec, rate=rate, layout="mono")
        if codec in BIT_RATES:
            stream.codec_context.bit_rate = BIT_RATES[codec]
        hiss = np.random.default_rng(1).standard_normal(round(SECONDS * rate)).astype(np.float32) / 20
        samples = tone(np.arange(round(SECONDS * rate)) / rate) + hiss
        for at in range(0, len(samples), 960):
            frame = av.AudioFrame.from_ndarray(samples[None, at : at + 960], "fltp", "mono")
            frame.sample_rate, frame.pts, frame.time_base = rate, at, Fraction(1, rate)
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    found = inspected(path)
    late = [at - start for start, at in places(path, found, 5)]
    assert np.ptp(late) <= 1.5 / rate + 1e-6
