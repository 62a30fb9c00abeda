"""Sound as other programs leave it: many channels, samples that are no numbers, odd headers, joints and junk."""

from __future__ import annotations

import struct
from pathlib import Path

import av
import numpy as np
import pytest
from media.made import Recipe, looked_at, make, tone

from avssl.errors import MediaError
from avssl.media.decode import read_audio
from avssl.media.inspect import inspect

RATE = 16_000


def tone_of(seconds: float, rate: int = RATE) -> np.ndarray:
    return tone(np.arange(round(seconds * rate)) / rate)


def wav(path: Path, samples: np.ndarray, rate: int = RATE) -> str:
    """A WAV file of these samples, (n,) or (n, channels), in the form that they have."""
    width, channels = samples.dtype.itemsize, 1 if samples.ndim == 1 else samples.shape[1]
    kind = 3 if samples.dtype.kind == "f" else 1
    form = struct.pack("<HHIIHH", kind, channels, rate, rate * channels * width, channels * width, 8 * width)
    data = samples.tobytes()
    head = b"RIFF" + struct.pack("<I", 36 + len(data)) + b"WAVEfmt " + struct.pack("<I", 16) + form
    path.write_bytes(head + b"data" + struct.pack("<I", len(data)) + data)
    return str(path)


# --- channels ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("layout", "codec", "suffix"),
    [
        ("7.1", "aac", "mkv"),
        ("7.1(wide)", "alac", "m4a"),
        ("7.1", "flac", "mkv"),
        ("7.1", "wavpack", "wv"),
        ("22.2", "pcm_f32le", "mkv"),
        ("octagonal", "pcm_s16le_planar", "nut"),
        ("stereo", "pcm_s64le", "nut"),
    ],
)
def test_eight_channels_and_more_are_mixed_as_few_are(layout: str, codec: str, suffix: str, tmp_path: Path) -> None:
    names = [channel.name for channel in av.AudioLayout(layout).channels]
    gains = tuple((k + 1) / len(names) for k in range(len(names)))
    form = {"m4a": "mp4", "mkv": "matroska"}.get(suffix, suffix)
    recipe = Recipe(suffix, video=None, sound=codec, format=form, layout=layout, channels=gains, sound_rate=48_000)
    path = make(tmp_path, recipe)
    found = looked_at(path)
    assert found.audio_channels == len(names)
    heard = read_audio(path, found.clock, 0.5, 0.5, 48_000)
    mean = np.mean([gain for gain, name in zip(gains, names, strict=True) if not name.startswith("LFE")])
    assert np.abs(heard - mean * tone(0.5 + np.arange(24_000) / 48_000)).max() < (0.1 if codec == "aac" else 0.005)


def caf(path: Path, labels: list[int], samples: np.ndarray, rate: int = RATE) -> str:
    """A Core Audio file of int16 (n, channels) whose channels have these labels (kAudioChannelLabel_…)."""
    count = len(labels)
    form = struct.pack(">d4sIIIII", rate, b"lpcm", 0, 2 * count, 1, count, 16)
    order = struct.pack(">III", 0, 0, count) + b"".join(struct.pack(">IIfff", k, 0, 0, 0, 0) for k in labels)
    data = struct.pack(">I", 0) + samples.astype(">i2").tobytes()
    chunks = [(b"desc", form), (b"chan", order), (b"data", data)]
    path.write_bytes(b"caff\0\1\0\0" + b"".join(n + struct.pack(">q", len(c)) + c for n, c in chunks))
    return str(path)


LEFT, RIGHT, CENTRE, LFE = 1, 2, 3, 4


@pytest.mark.parametrize(
    ("labels", "left_out"),
    [([RIGHT, LEFT], ()), ([LEFT, LEFT], ()), ([CENTRE, LFE, LEFT], (1,)), (list(range(10, 0, -1)), (6,))],
    ids=["right-left", "left-left", "low-frequency-second", "ten-backwards"],
)
def test_channels_in_an_order_of_their_own_are_read(
    labels: list[int], left_out: tuple[int, ...], tmp_path: Path
) -> None:
    loud = np.array([(k + 1) / len(labels) for k in range(len(labels))])
    path = caf(tmp_path / "own.caf", labels, np.round(tone_of(1.5)[:, None] * loud * 32767))
    found = looked_at(path)
    assert found.audio_channels == len(labels)
    mean = np.mean([gain for k, gain in enumerate(loud) if k not in left_out])
    for _ in range(3):  # each opening has the layout anew
        heard = read_audio(path, found.clock, 0.25, 1.0, RATE)
        assert np.abs(heard - mean * tone_of(1.25)[RATE // 4 :]).max() < 1e-3


# --- numbers ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["<f4", "<f8"])
@pytest.mark.parametrize(
    ("sample", "words"),
    [
        (np.nan, "damaged: not a number at 3.12 s"),
        (-np.inf, "damaged: infinity at 3.12 s"),
        (1e30, "damaged: a sample of 1e+30 (full scale is 1) at 3.12 s"),
    ],
)
def test_a_sample_that_is_no_number_is_found_wherever_it_lies(
    kind: str, sample: float, words: str, tmp_path: Path
) -> None:
    samples = tone_of(30.0).astype(kind)  # most of which nobody listens to
    clock = looked_at(wav(tmp_path / "good.wav", samples)).clock
    samples[50_000:50_010] = sample
    path = wav(tmp_path / "bad.wav", samples)
    assert inspect(path).reason == inspect(path, decode_check=False).reason == words
    # Whoever reads there with what is known of an earlier file of this name is stopped, too.
    assert np.abs(read_audio(path, clock, 2.5, 0.5, 8_000)).max() <= 0.6
    with pytest.raises(MediaError, match=r"at 3\.125 s: (not a number|infinity|a sample of 1e\+30)"):
        read_audio(path, clock, 3.0, 0.5, 8_000)


def test_the_moment_of_a_sample_that_is_no_number_is_on_the_clock_of_the_pictures(tmp_path: Path) -> None:
    from fractions import Fraction

    start = Fraction(2)
    recipe = Recipe("mkv", sound="pcm_f32le", video_start=start, sound_start=start, channels=(np.nan,))
    assert inspect(make(tmp_path, recipe)).reason == "damaged: not a number at 0.00 s"


def test_floats_on_the_scale_of_integers_are_loud_but_sound(tmp_path: Path) -> None:
    assert inspect(wav(tmp_path / "loud.wav", (tone_of(1.5) * 32_768).astype("<f4"))).reason is None
