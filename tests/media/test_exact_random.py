"""Whatever the container, codec, groups of pictures, rates and start times: what is read is what is shown and heard."""

from __future__ import annotations

from dataclasses import dataclass, replace
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
from media import reference
from media.made import Recipe, lateness, make, number_in
from numpy.lib.stride_tricks import sliding_window_view

from avssl.media.decoding.sound import read_audio
from avssl.media.decoding.video import read_frames
from avssl.media.indexing.inspect import inspect

CASES = 220
MILLISECOND = 1e-3

RATES = (8_000, 11_025, 16_000, 22_050, 24_000, 32_000, 44_100, 48_000)
FINE_RATES = (*RATES, 88_200, 96_000)
MPEG_RATES = (32_000, 44_100, 48_000)
MP3_RATES = (16_000, 22_050, 24_000, *MPEG_RATES)


@dataclass(frozen=True)
class Family:
    """What can go into one kind of container."""

    suffix: str
    video: tuple[str, ...]
    sound: tuple[tuple[str, tuple[int, ...]], ...]
    format: str | None = None
    tick_seconds: float = 0.0
    """How coarsely it tells times."""
    keeps_starts: bool = True
    """Whether sound may begin at another time than the pictures."""
    any_rate: bool = True
    """Whether frame rates other than those of MPEG-1 are possible."""


FAMILIES = (
    Family("mp4", ("libx264", "mpeg4", "libx265"), (("aac", RATES), ("libmp3lame", MP3_RATES), ("ac3", MPEG_RATES))),
    Family("mov", ("libx264", "mjpeg", "mpeg4"), (("aac", RATES), ("pcm_s16le", FINE_RATES), ("alac", FINE_RATES))),
    Family(
        "mkv",
        ("libx264", "mpeg2video", "ffv1", "libvpx-vp9", "mpeg4"),
        (("aac", RATES), ("flac", FINE_RATES), ("libopus", (48_000,)), ("pcm_s16le", FINE_RATES), ("mp2", MPEG_RATES)),
        tick_seconds=MILLISECOND,
    ),
    Family("webm", ("libvpx", "libvpx-vp9"), (("libopus", (48_000,)),), tick_seconds=MILLISECOND),
    Family("avi", ("mpeg4", "mjpeg", "libx264"), (("pcm_s16le", FINE_RATES),), keeps_starts=False),
    Family(
        "ts",
        ("libx264", "mpeg2video"),
        (("aac", RATES), ("mp2", MPEG_RATES), ("libmp3lame", MP3_RATES), ("ac3", MPEG_RATES)),
        tick_seconds=1 / 90_000,
    ),
    Family("flv", ("libx264", "flv"), (("aac", RATES), ("libmp3lame", (22_050, 44_100))), tick_seconds=MILLISECOND),
    Family("ogv", ("libvpx",), (("libopus", (48_000,)), ("flac", FINE_RATES)), keeps_starts=False),
    # One time stamp may stand for several small pictures; FFmpeg counts on in whole ticks from there.
    Family("mpg", ("mpeg1video",), (("mp2", MPEG_RATES),), "mpeg", 2e-4, any_rate=False),
    Family("mpg", ("mpeg2video",), (("mp2", MPEG_RATES),), "vob", 2e-4),
)
B_FRAMES = {"libx264", "libx265", "mpeg4", "mpeg1video", "mpeg2video", "libvpx", "libvpx-vp9"}
OPEN_GROUPS = {"libx264", "libx265", "mpeg1video", "mpeg2video", "mpeg4"}
VARIABLE = {"libx264", "libvpx", "libvpx-vp9", "ffv1"}


def drawn(case: int) -> tuple[Recipe, Family]:
    """The recipe with this number: a pure function of it."""
    dice = np.random.default_rng((2026, case))
    family = FAMILIES[case % len(FAMILIES)]
    video = str(dice.choice(family.video))
    sound, rates = family.sound[dice.integers(len(family.sound))]
    frame_rate = Fraction(*((25, 1), (30, 1), (24000, 1001), (30000, 1001))[dice.integers(4)])
    if family.any_rate and video not in ("mpeg2video", "mpeg4") and dice.random() < 0.3:
        frame_rate = Fraction(int(dice.choice([8, 10, 12, 15, 50])))
    # In program streams FFmpeg itself guesses times between stamps, badly for tiny pictures without any prediction.
    group = int(dice.choice([3 if family.suffix == "mpg" else 1, 3, 5, 12, 25, 250]))
    # MPEG encoders that may use B-frames and have no room for them write times that contradict each other.
    may_reorder = video in B_FRAMES and (group > 4 or video.startswith("lib"))
    recipe = Recipe(
        family.suffix,
        video=video,
        sound=sound,
        format=family.format,
        frames=int(dice.integers(12, 60)),
        rate=frame_rate,
        pixels="yuvj420p" if video == "mjpeg" else "yuv420p",
        group=group,
        b_frames=int(dice.integers(1, 4)) if may_reorder and dice.random() < 0.6 else 0,
        open_groups=video in OPEN_GROUPS and bool(dice.random() < 0.4),
        sound_rate=int(dice.choice(rates)),
        layout=str(dice.choice(["mono", "stereo"])),
        sound_seconds=float(dice.uniform(0.5, 2.0)),
    )
    if family.keeps_starts:
        start = int(dice.integers(0, 100)) / frame_rate if dice.random() < 0.5 else Fraction(0)
        later = Fraction(int(dice.integers(-30, 80)), 100) if dice.random() < 0.5 else Fraction(0)
        recipe = replace(recipe, video_start=start, sound_start=max(start + later, Fraction(0)))
        if video in VARIABLE and family.suffix in ("mp4", "mov", "mkv", "webm") and dice.random() < 0.4:
            recipe = _uneven(recipe, dice)
    return recipe, family


def _uneven(recipe: Recipe, dice: np.random.Generator) -> Recipe:
    gaps = dice.integers(10, 120, recipe.frames - 1)
    times = tuple(Fraction(int(ms), 1000) for ms in np.concatenate([[0], np.cumsum(gaps)]))
    start = round(recipe.video_start * 1000)
    return replace(recipe, frame_seconds=times, tick=Fraction(1, 1000), video_start=Fraction(start, 1000))


@pytest.mark.parametrize("case", range(CASES))
def test_what_is_read_is_what_is_shown_and_heard(case: int, tmp_path: Path) -> None:
    recipe, family = drawn(case)
    dice = np.random.default_rng((2027, case))
    path = make(tmp_path, recipe)
    found = inspect(path)
    assert found.reason is None, recipe

    # Every frame has its time, the first is zero.
    times = found.frame_times
    assert len(times) == len(recipe.shown)
    assert times[0] == 0.0
    assert np.abs(times - recipe.times).max() <= family.tick_seconds + 1e-6

    # The frame shown, asked for in any order: as a frame begins, just before the next, between, before and after all.
    chosen = dice.integers(0, len(times), 8)
    inside = [
        float(times[k] + dice.uniform(0, 0.9) * (times[k + 1] - times[k])) for k in chosen[:4] if k + 1 < len(times)
    ]
    asked = [*times[chosen], *(times[chosen[4:]] - 2e-4), *inside, -1.0, times[-1] + 9.0]
    expected = [max(int(np.searchsorted(times, t + 1e-6, side="right")) - 1, 0) for t in asked]
    pictures = read_frames(path, found.clock, asked)
    assert pictures.shape == (len(asked), 3, recipe.height, recipe.width)
    assert [number_in(picture) for picture in pictures] == expected

    # The sound, at the rate it has and at another.
    first, last = found.audio_start_seconds, found.audio_end_seconds
    begin = float(recipe.sound_start - recipe.video_start) if family.keeps_starts else 0.0
    end = begin + recipe.sound_seconds
    assert first <= begin + 0.05 and last >= end - 0.11
    for rate in (recipe.sound_rate, int(dice.choice([16_000, 22_050, 48_000]))):
        seconds = float(dice.uniform(0.15, 0.4))
        start = float(dice.uniform(begin + 0.03, max(end - seconds - 0.12, begin + 0.031)))
        heard = read_audio(path, found.clock, start, seconds, rate)
        assert heard.shape == (round(seconds * rate),)
        assert abs(lateness(heard, start, rate)) < MILLISECOND

    # A full decode from the start, written independently, says the same.
    film = reference.film(path, found.clock.video_stream, set(expected))
    assert np.allclose(film.seconds - film.seconds[0], times, atol=1e-6)
    for picture, number in zip(pictures, expected, strict=True):
        assert np.abs(picture.transpose(1, 2, 0).astype(int) - film.pictures[number]).mean() < 3
    tape = reference.tape(path, found.clock.audio_stream)
    assert abs(tape.start_seconds - film.seconds[0] - first) < MILLISECOND
    stretch = read_audio(path, found.clock, start, seconds, tape.rate)
    at = round((start + film.seconds[0] - tape.start_seconds) * tape.rate)
    slack = max(round(MILLISECOND * tape.rate), 1)
    wide = tape.samples[at - slack : at + len(stretch) + slack]
    # Not sample by sample: AC-3 and AAC decoders fill gaps in the spectrum with noise that depends on where they began.
    shifted = sliding_window_view(wide, len(stretch))
    alike = shifted @ stretch / (np.linalg.norm(shifted, axis=1) * np.linalg.norm(stretch))
    assert alike.max() > 0.99
