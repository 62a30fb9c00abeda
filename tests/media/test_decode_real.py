"""Real and odd files: what is read by seeking is what a plain decode from the start shows and sounds."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from media import reference
from numpy.lib.stride_tricks import sliding_window_view
from PIL import Image
from scipy.signal import butter, sosfiltfilt

from avssl.errors import MediaError
from avssl.media.containers.demux import Deadline, opened
from avssl.media.decoding.clock import Clock
from avssl.media.decoding.sound import read_audio
from avssl.media.decoding.video import read_frames
from avssl.media.indexing.inspect import Inspection, inspect
from avssl.media.indexing.packet_scan import scan


def compare(path: str, found: Inspection, asked: int = 3) -> None:
    """Frames and stretches of sound at times of our choice, against the plain decode.

    Raises:
        AssertionError: they differ.
    """
    dice = np.random.default_rng(len(path))
    origin = found.clock.origin_seconds
    if found.kind == "video":
        times = found.frame_times
        numbers = sorted({0, len(times) - 1, *dice.integers(0, len(times), asked).tolist()})
        film = reference.film(path, found.clock.video_stream, numbers)
        assert np.allclose(film.seconds - film.seconds[0], times, atol=1e-6)
        for number, picture in zip(numbers, read_frames(path, found.clock, times[numbers]), strict=True):
            assert picture.shape == (3, found.height, found.width)
            turned = Image.fromarray(np.rot90(film.pictures[number], film.rotation // 90))
            truth = np.asarray(turned.resize((found.width, found.height), Image.Resampling.BILINEAR)).transpose(2, 0, 1)
            assert np.abs(picture.astype(int) - truth).mean() < 4
    if found.audio_rate:
        tape = reference.tape(path, found.clock.audio_stream)
        assert abs(tape.start_seconds - origin - found.audio_start_seconds) < 1e-3
        for _ in range(asked):
            longest = found.audio_end_seconds - found.audio_start_seconds
            seconds = min(0.25, longest / 2)
            start = found.audio_start_seconds + dice.uniform(0, longest - seconds)
            heard = read_audio(path, found.clock, start, seconds, tape.rate)
            assert_same_sound(heard, tape, start + origin)


def assert_same_sound(heard: np.ndarray, tape: reference.Tape, start_seconds: float) -> None:
    slack = max(round(1e-3 * tape.rate), 1)
    samples = np.pad(tape.samples, slack)
    at = round((start_seconds - tape.start_seconds) * tape.rate)
    wide = samples[at : at + len(heard) + 2 * slack]
    if np.abs(heard).max() < 1e-3:
        assert np.abs(wide[slack:-slack]).max() < 2e-3
        return
    # AAC and AC-3 decoders fill the upper bands with noise that depends on where they began.
    low = butter(4, min(2_000, 0.4 * tape.rate), fs=tape.rate, output="sos")
    truth, heard = sosfiltfilt(low, wide), sosfiltfilt(low, heard)
    edge = len(heard) // 10
    shifted = sliding_window_view(truth, len(heard))[:, edge:-edge]
    errors = np.linalg.norm(shifted - heard[edge:-edge], axis=1) / np.linalg.norm(heard[edge:-edge])
    assert errors.min() < 0.1


@pytest.mark.slow
@pytest.mark.realdata
def test_odd_files_read_as_a_plain_decode_shows_them(shared_data: Path) -> None:
    compared = 0
    for path in sorted((shared_data / "media").iterdir()):
        found = inspect(str(path))
        if found.reason is not None:
            continue
        try:
            compare(str(path), found)
        except AssertionError as error:
            raise AssertionError(f"{path.name}: {error}") from error
        compared += 1
    assert compared == 39


@pytest.mark.realdata
def test_recordings_read_as_a_plain_decode_shows_them(shared_data: Path) -> None:
    recordings = [
        *sorted((shared_data / "grid").glob("*.mpg"))[:3],
        *sorted((shared_data / "grid").glob("*.mp4"))[:2],
        *sorted((shared_data / "real-av" / "videos" / "test").glob("*.mp4"))[:5],
        *sorted((shared_data / "actions").rglob("*.avi"))[:4],
    ]
    assert len(recordings) >= 10
    for path in recordings:
        found = inspect(str(path))
        assert found.reason is None
        compare(str(path), found)


@pytest.mark.realdata
def test_a_corrupted_file_is_read_up_to_its_damage(shared_data: Path) -> None:
    path = str(shared_data / "media" / "corrupted.mp4")
    assert inspect(path).reason is not None
    with opened(path, Deadline(path)) as container:
        stream = container.streams.video[0]
        track = scan(container, Deadline(path), stream)[stream.index]
        video = {"video_stream": stream.index, "width": stream.width, "height": stream.height}
    first = min(track.times)
    clock = Clock(
        origin_seconds=track.seconds(first),
        **video,
        frame_times=np.array([track.seconds(ticks - first) for ticks in sorted(track.times)]),
        key_times=np.array([track.seconds(ticks - first) for ticks in sorted(track.keys)]),
    )
    assert read_frames(path, clock, [0.0, 1.5]).any()
    with pytest.raises(MediaError, match=r"corrupted\.mp4 at 4\.000 s: damaged: its pictures cannot be decoded"):
        read_frames(path, clock, [4.0])
