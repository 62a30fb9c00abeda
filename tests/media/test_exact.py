"""One case after the other: the frame read is the frame shown."""

from __future__ import annotations

import json
import pickle
import resource
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
from media.made import MILLISECOND, Recipe, assert_in_time, draw, inspected, iter_frames, lateness, make, number_in

import avssl.media.decoding.video as video_module
from avssl.errors import MediaError
from avssl.media.decoding.clock import Clock
from avssl.media.decoding.sound import read_audio
from avssl.media.decoding.video import read_frames
from avssl.media.indexing.inspect import Inspection, inspect


def numbers(path: str, found: Inspection, times: list[float]) -> list[int]:
    return [number_in(picture) for picture in read_frames(path, found.clock, times)]


def every_number(path: str, found: Inspection) -> list[int]:
    """Each frame asked for alone, the last first."""
    return [numbers(path, found, [float(t)])[0] for t in found.frame_times[::-1]][::-1]


# --- pictures: order and time ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "recipe",
    [
        Recipe("mp4", b_frames=3, open_groups=True, sound=None),
        Recipe("mkv", b_frames=3, open_groups=True, sound=None),
        Recipe("ts", b_frames=2, open_groups=True, sound=None),
        Recipe("flv", b_frames=2, open_groups=True, sound=None),
        Recipe("mp4", video="libx265", b_frames=3, open_groups=True, sound=None),
        Recipe("ts", video="mpeg2video", b_frames=2, open_groups=True, sound=None),
        Recipe("mpg", video="mpeg1video", b_frames=2, open_groups=True, sound=None, format="mpeg"),
        Recipe("mpg", video="mpeg2video", b_frames=2, open_groups=True, sound=None),
        Recipe("avi", video="mpeg4", b_frames=2, sound=None),
        Recipe("avi", video="libx264", b_frames=2, sound=None),
    ],
    ids=lambda r: f"{r.suffix}-{r.video}",
)
def test_b_frames_and_open_groups_are_shown_in_their_order(recipe: Recipe, tmp_path: Path) -> None:
    path = make(tmp_path, recipe)
    found = inspected(path)
    assert np.allclose(found.frame_times, recipe.times, atol=MILLISECOND)
    assert every_number(path, found) == list(range(recipe.frames))


def test_a_frame_stays_until_the_next_where_the_rate_varies(tmp_path: Path) -> None:
    milliseconds = [0, 40, 41, 500, 530, 1200, 1201, 2000]
    times = tuple(Fraction(ms, 1000) for ms in milliseconds)
    for suffix in ("mp4", "mkv", "webm"):
        codec = "libvpx-vp9" if suffix == "webm" else "libx264"
        recipe = Recipe(suffix, video=codec, sound=None, frame_seconds=times, tick=Fraction(1, 1000), group=3)
        path = make(tmp_path, recipe, suffix)
        found = inspected(path)
        assert np.allclose(found.frame_times * 1000, milliseconds)
        asked = [0.0, 0.0399, 0.04, 0.0405, 0.041, 0.4, 0.499, 0.5, 1.19, 1.2, 1.2005, 1.9, 2.0, 99.0, -1.0]
        assert numbers(path, found, asked) == [0, 0, 1, 1, 2, 2, 2, 3, 4, 5, 5, 6, 7, 7, 0]


def test_a_microsecond_of_rounding_does_not_show_the_frame_before(tmp_path: Path) -> None:
    path = make(tmp_path, Recipe("mp4", rate=Fraction(30000, 1001), sound=None))
    found = inspected(path)
    printed = [float(f"{t:.6f}") for t in found.frame_times]
    assert numbers(path, found, printed) == list(range(40))


def test_pictures_that_only_serve_as_references_are_not_frames(tmp_path: Path) -> None:
    for codec in ("libvpx", "libvpx-vp9"):
        recipe = Recipe("webm", video=codec, b_frames=1, sound=None, frames=60, group=60)
        path = make(tmp_path, recipe, codec)
        found = inspected(path)
        assert found.frame_count == 60
        assert numbers(path, found, [float(t) for t in found.frame_times]) == list(range(60))


def hidden_first_pictures(folder: Path, hidden: int) -> str:
    """An MP4 whose edit list begins after some pictures, cut without encoding anew."""
    source = make(folder, Recipe("mp4", b_frames=2, frames=60, sound_seconds=2.4, group=20), "whole")
    path = str(folder / "cut.mp4")
    with av.open(source) as old, av.open(path, "w") as new:
        streams = {s.index: new.add_stream_from_template(s) for s in (*old.streams.video, *old.streams.audio)}
        for packet in old.demux():
            if packet.dts is None or not packet.time_base:
                continue
            shift = round(Fraction(hidden, 25) / packet.time_base)
            packet.pts -= shift
            packet.dts -= shift
            packet.stream = streams[packet.stream_index]
            new.mux(packet)
    return path


@pytest.mark.parametrize("hidden", [7, 20, 23])
def test_pictures_and_sound_before_the_edit_list_are_not_there(hidden: int, tmp_path: Path) -> None:
    path = hidden_first_pictures(tmp_path, hidden)
    found = inspected(path)
    assert found.frame_count == 60 - hidden
    assert found.frame_times[0] == 0.0
    assert every_number(path, found) == list(range(hidden, 60))
    assert -0.05 < found.audio_start_seconds <= 0.001
    for start in (0.02, 0.5, 0.9):
        heard = read_audio(path, found.clock, start, 0.3, 44_100)
        assert abs(lateness(heard, start + hidden / 25, 44_100)) < MILLISECOND


@pytest.mark.parametrize("suffix", ["mp4", "mkv", "ts", "mov", "flv"])
@pytest.mark.parametrize("start", [Fraction(2, 5), Fraction(5)])
def test_the_clock_begins_with_the_first_frame_wherever_the_container_begins(
    suffix: str, start: Fraction, tmp_path: Path
) -> None:
    recipe = Recipe(suffix, video_start=start, sound_start=start, b_frames=2)
    path = make(tmp_path, recipe)
    found = inspected(path)
    assert found.frame_times[0] == 0.0
    assert numbers(path, found, [0.0, 0.79, 1.0]) == [0, 19, 25]
    assert_in_time(path, found, 0.1, 0.4)


def test_a_transport_stream_whose_clock_overflows_has_negative_times_and_is_read_all_the_same(tmp_path: Path) -> None:
    # 33 bits at 90 kHz end at 95,443.7 s; FFmpeg counts a file that begins shortly before from below zero.
    start = Fraction(95_443)
    recipe = Recipe("ts", video_start=start, sound_start=start, frames=60, sound_seconds=2.4)
    path = make(tmp_path, recipe)
    found = inspected(path)
    assert found.clock.origin_seconds < 1
    assert np.allclose(found.frame_times, recipe.times, atol=1e-4)
    assert every_number(path, found) == list(range(60))
    assert_in_time(path, found, 0.1, 0.4)
    assert_in_time(path, found, 1.5, 0.4)


# --- pictures: shape and colour -------------------------------------------------------------------------------


@pytest.mark.parametrize("turn", [0, 90, 180, 270, -90])
@pytest.mark.parametrize("mirror", [False, True])
def test_turned_and_mirrored_pictures_stand_upright(turn: int, mirror: bool, tmp_path: Path) -> None:
    upright = draw(5, 96, 48)
    # The player turns counter-clockwise and then mirrors; so we store what is mirrored and turned the other way.
    stored = np.rot90(upright[:, ::-1] if mirror else upright, -turn // 90)
    path = str(tmp_path / "turned.mp4")
    with av.open(path, "w") as container:
        stream = container.add_stream("libx264", rate=25, options={"preset": "ultrafast"})
        stream.height, stream.width = stored.shape[:2]
        stream.pix_fmt = "yuv420p"
        stream.set_display_rotation(turn, hflip=mirror)
        for number in range(3):
            frame = av.VideoFrame.from_ndarray(np.ascontiguousarray(stored), "rgb24")
            frame.pts, frame.time_base = number, Fraction(1, 25)
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    found = inspected(path)
    assert (found.width, found.height) == (96, 48)
    assert numbers(path, found, [0.0]) == [5]


def test_pixels_that_are_not_square_are_made_so_by_the_width(tmp_path: Path) -> None:
    for suffix, aspect in (("mp4", Fraction(16, 11)), ("mkv", Fraction(1, 2)), ("mov", Fraction(64, 45))):
        path = make(tmp_path, Recipe(suffix, aspect=aspect, sound=None), suffix)
        found = inspected(path)
        assert (found.width, found.height) == (round(64 * aspect), 48)
        pictures = read_frames(path, found.clock, [0.4])
        assert pictures.shape == (1, 3, 48, round(64 * aspect))
        assert number_in(pictures[0]) == 10


@pytest.mark.parametrize(("width", "height"), [(65, 49), (63, 47), (33, 50)])
@pytest.mark.parametrize(
    ("suffix", "codec", "pixels"),
    [
        ("webm", "libvpx-vp9", "yuv420p"),
        ("mkv", "ffv1", "yuv422p"),
        ("mov", "mjpeg", "yuvj420p"),
        ("ogv", "libvpx", "yuv420p"),
    ],
)
def test_odd_sizes_keep_every_column_and_row(
    width: int, height: int, suffix: str, codec: str, pixels: str, tmp_path: Path
) -> None:
    recipe = Recipe(suffix, video=codec, pixels=pixels, sound=None, width=width, height=height, frames=12)
    path = make(tmp_path, recipe)
    found = inspected(path)
    assert (found.width, found.height) == (width, height)
    assert numbers(path, found, [0.0, 0.2]) == [0, 5]


@pytest.mark.parametrize(
    ("codec", "pixels"),
    [
        ("libx264", "yuv420p10le"),
        ("libx265", "yuv420p10le"),
        ("ffv1", "yuv444p10le"),
        ("png", "rgb24"),
        ("libx264", "yuv444p"),
        ("libx264", "yuvj420p"),
    ],
)
def test_any_depth_and_range_gives_the_same_eight_bits(codec: str, pixels: str, tmp_path: Path) -> None:
    suffix = "mov" if codec == "png" else "mkv"
    path = make(tmp_path, Recipe(suffix, video=codec, pixels=pixels, sound=None, frames=10))
    found = inspected(path)
    picture = read_frames(path, found.clock, [0.2])[0]
    assert picture.dtype == np.uint8
    assert number_in(picture) == 5
    # White is white and black is black: range and depth were understood.
    truth = draw(5).transpose(2, 0, 1)
    middle = np.s_[:, 2:46:6, 4::16]
    assert np.abs(picture[middle].astype(int) - truth[middle]).mean() < 12


def test_transparent_pixels_of_a_video_lie_on_white(tmp_path: Path) -> None:
    path = str(tmp_path / "clear.mov")
    with av.open(path, "w") as container:
        stream = container.add_stream("qtrle", rate=25)
        stream.width, stream.height, stream.pix_fmt = 64, 48, "argb"
        pixels = np.zeros((48, 64, 4), np.uint8)
        pixels[:, 32:] = (0, 0, 255, 255)
        frame = av.VideoFrame.from_ndarray(pixels, "rgba").reformat(format="argb")
        frame.pts, frame.time_base = 0, Fraction(1, 25)
        container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    found = inspected(path)
    picture = read_frames(path, found.clock, [0.0])[0]
    assert picture[:, 20, 10].tolist() == [255, 255, 255]
    assert picture[:, 20, 50].tolist() == [0, 0, 255]


# --- the whole --------------------------------------------------------------------------------------------------


def test_frames_come_in_the_order_asked_for_however_often(tmp_path: Path) -> None:
    path = make(tmp_path, Recipe("mp4", b_frames=2, group=5))
    found = inspected(path)
    assert numbers(path, found, [1.2, 0.0, 1.2, 0.4, 0.4, 0.39]) == [30, 0, 30, 10, 10, 9]
    assert read_frames(path, found.clock, []).shape == (0, 3, 48, 64)


def test_all_frames_can_be_had_in_one_pass(tmp_path: Path) -> None:
    path = make(tmp_path, Recipe("mkv", b_frames=2))
    found = inspected(path)
    seen = list(iter_frames(path, found.clock))
    assert [time for time, _ in seen] == found.frame_times.tolist()
    assert [number_in(picture) for _, picture in seen] == list(range(40))


def two_of_each(folder: Path, default: int) -> str:
    """A Matroska file with two picture streams (numbers from 0 and from 100), one of them marked as default."""
    path = str(folder / f"two{default}.mkv")
    with av.open(path, "w") as container:
        streams: list[Any] = []
        for k in range(2):
            stream = container.add_stream("libx264", rate=25, options={"preset": "ultrafast"})
            stream.width, stream.height, stream.pix_fmt = 64, 48, "yuv420p"
            stream.disposition = av.stream.Disposition.default if k == default else av.stream.Disposition(0)
            streams.append(stream)
        for number in range(10):
            for k, stream in enumerate(streams):
                frame = av.VideoFrame.from_ndarray(draw(number + 100 * k), "rgb24")
                frame.pts, frame.time_base = number, Fraction(1, 25)
                container.mux(stream.encode(frame))
        for stream in streams:
            container.mux(stream.encode(None))
    return path


@pytest.mark.parametrize("default", [0, 1])
def test_of_several_streams_the_one_marked_as_default_is_taken(default: int, tmp_path: Path) -> None:
    path = two_of_each(tmp_path, default)
    assert numbers(path, inspected(path), [0.2]) == [5 + 100 * default]


@pytest.mark.parametrize("name", ["http:a", "concat:a|b", "%03d", "-", "пёс", "pipe:0", "a b'c"])
def test_a_name_is_a_name_and_no_address_or_pattern(name: str, tmp_path: Path) -> None:
    path = make(tmp_path, Recipe("mp4"), "plain")
    odd = Path(path).rename(tmp_path / f"{name.replace('/', '')}.mp4")
    found = inspected(str(odd))
    assert numbers(str(odd), found, [0.4]) == [10]


def test_a_clock_survives_storing(tmp_path: Path) -> None:
    path = make(tmp_path, Recipe("mkv", b_frames=2))
    clock = inspected(path).clock
    numbers_only = json.loads(json.dumps(clock.numbers()))
    stored = Clock(**numbers_only, frame_times=clock.frame_times.copy(), key_times=clock.key_times.copy())
    for other in (stored, pickle.loads(pickle.dumps(clock))):
        assert np.array_equal(read_frames(path, other, [0.9]), read_frames(path, clock, [0.9]))
        assert np.array_equal(read_audio(path, other, 0.5, 0.3, 16_000), read_audio(path, clock, 0.5, 0.3, 16_000))


@pytest.mark.parametrize(
    ("suffix", "codec"), [("mp4", "libx264"), ("mkv", "libx264"), ("ts", "libx264"), ("webm", "libvpx")]
)
def test_far_into_a_long_file_only_one_group_of_pictures_is_read(
    suffix: str, codec: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    recipe = Recipe(suffix, video=codec, sound=None, frames=250, group=10, b_frames=0)
    path = make(tmp_path, recipe)
    found = inspected(path)
    read: list[int] = []
    plain = video_module.packets

    def counted(*arguments: Any) -> Any:
        for packet in plain(*arguments):
            read.append(packet.size)
            yield packet

    monkeypatch.setattr(video_module, "packets", counted)
    assert numbers(path, found, [8.0]) == [200]
    # A transport stream has no index: its demuxer finds the place to some frames only.
    assert len(read) <= (100 if suffix == "ts" else 25)


def test_memory_does_not_grow_with_the_length_of_a_file(tmp_path: Path) -> None:
    def peak_growth(seconds: int) -> int:
        recipe = Recipe(
            "mkv", frames=4 * seconds, rate=Fraction(4), sound="pcm_s16le", sound_rate=48_000, sound_seconds=seconds
        )
        path = make(tmp_path, recipe, f"{seconds}")
        found = inspect(path)
        before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        for start in np.linspace(1, seconds - 2, 8):
            read_frames(path, found.clock, [float(start)])
            read_audio(path, found.clock, float(start), 1.0, 16_000)
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before

    peak_growth(10)
    assert peak_growth(120) < 8_000, "kilobytes; the sound alone has 11,520"


def test_asking_for_what_is_not_there_says_so(tmp_path: Path) -> None:
    silent = make(tmp_path, Recipe("mp4", sound=None), "silent")
    found = inspected(silent)
    assert (found.kind, found.audio_rate) == ("video", 0)
    with pytest.raises(MediaError, match=r"silent\.mp4 at 0\.500 s: there is no sound in this file"):
        read_audio(silent, found.clock, 0.5, 1.0, 16_000)
    blind = make(tmp_path, Recipe("m4a", video=None, format="mp4"), "blind")
    with pytest.raises(MediaError, match="there are no pictures in this file"):
        read_frames(blind, inspected(blind).clock, [0.0])
