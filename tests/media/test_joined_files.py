"""Files put together byte by byte, and clocks that make no sense: one clock, or a refusal in true words."""

from __future__ import annotations

import re
from dataclasses import replace
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest
from media.made import Recipe, draw, iter_frames, make, number_in

from avssl.errors import MediaError
from avssl.media.decoding.video import read_frames
from avssl.media.indexing.inspect import Inspection, inspect

KINDS = {
    "mp4": Recipe("mp4"),
    "mkv": Recipe("mkv", b_frames=2),
    "webm": Recipe("webm", video="libvpx", sound="libopus", sound_rate=48_000),
    "avi": Recipe("avi", video="mpeg4", sound="pcm_s16le"),
    "flv": Recipe("flv"),
    "ts": Recipe("ts", b_frames=2),
    "mpg": Recipe("mpg", video="mpeg2video", sound="mp2"),
    "ogv": Recipe("ogv", video="libvpx", sound="libopus", sound_rate=48_000),
    "wmv": Recipe("wmv", video="wmv2", sound="wmav2", format="asf"),
}


def joined(folder: Path, first: Recipe, second: Recipe) -> str:
    """Two films, one after the other as cat would put them."""
    parts = [Path(make(folder, recipe, name)).read_bytes() for recipe, name in ((first, "a"), (second, "b"))]
    path = folder / f"ab.{first.suffix}"
    path.write_bytes(b"".join(parts))
    return str(path)


@pytest.mark.parametrize("kind", KINDS)
def test_two_films_in_one_file_are_never_one_film(kind: str, tmp_path: Path) -> None:
    first = replace(KINDS[kind], frames=30, sound_seconds=1.2)
    reason = str(inspect(joined(tmp_path, first, replace(first, frames=45, sound_seconds=1.8))).reason)
    assert reason.startswith("joined: "), reason


def test_two_transport_streams_are_called_joined_in_media_time_and_no_data_missing(tmp_path: Path) -> None:
    first = replace(KINDS["ts"], frames=50, sound_seconds=2.0)
    later = replace(first, video_start=Fraction(10), sound_start=Fraction(10))  # as if it went on, on the same clock
    for second in (first, later):
        reason = str(inspect(joined(tmp_path, first, second)).reason)
        assert reason.startswith("joined: ")
        found = [float(word) for word in reason.split() if word.replace(".", "").isdigit()]
        assert found[0] == pytest.approx(2.0, abs=0.25), reason


def test_lost_packets_of_a_transport_stream_are_missing_data_in_media_time(tmp_path: Path) -> None:
    path = Path(make(tmp_path, replace(KINDS["ts"], frames=100, sound=None, video_start=Fraction(5))))
    data = path.read_bytes()
    at = len(data) // 2 // 188 * 188
    path.write_bytes(data[:at] + data[at + 3 * 188 :])
    reason = str(inspect(str(path)).reason)
    assert reason.startswith("damaged: data is missing at "), reason
    assert float(reason.split()[-2]) == pytest.approx(2.0, abs=0.4)


def test_the_same_table_of_contents_again_in_a_fragmented_mp4_is_no_joint(tmp_path: Path) -> None:
    options = {"movflags": "frag_keyframe+empty_moov+default_base_moof"}
    path = Path(make(tmp_path, Recipe("mp4", frames=50, sound=None, options=options)))
    data = path.read_bytes()
    head, second = data[: data.find(b"moof") - 4], data.find(b"moof", data.find(b"moof") + 4) - 4
    path.write_bytes(data[:second] + head + data[second:])
    found = inspect(str(path))
    assert (found.reason, found.frame_count) == (None, 50)


@pytest.mark.parametrize("kind", ["h264", "m2v", "mjpeg"])
def test_bare_pictures_have_no_clock_of_their_own_and_go_on_counting(kind: str, tmp_path: Path) -> None:
    recipe = {
        "h264": Recipe("h264", sound=None, frames=25),
        "m2v": Recipe("m2v", video="mpeg2video", sound=None, frames=25, format="mpeg2video"),
        "mjpeg": Recipe("mjpeg", video="mjpeg", pixels="yuvj420p", sound=None, frames=25, format="mjpeg"),
    }[kind]
    found = inspect(joined(tmp_path, recipe, recipe))
    assert (found.reason, found.frame_count, found.duration_seconds) == (None, 50, pytest.approx(2.0))
    larger = inspect(joined(tmp_path, recipe, replace(recipe, width=96)))
    assert str(larger.reason).startswith("joined: the size of its pictures changes from 64×48 to 96×48")


@pytest.mark.parametrize(("kind", "codec"), [("h264", "libx264"), ("hevc", "libx265")])
def test_bare_pictures_whose_rate_changes_are_joined(kind: str, codec: str, tmp_path: Path) -> None:
    first = Recipe(kind, video=codec, sound=None, frames=50, b_frames=2)
    reason = str(inspect(joined(tmp_path, first, replace(first, rate=Fraction(50)))).reason)
    assert reason == "joined: the rate of its pictures changes from 25 to 50 a second at 2.00 s"
    again = inspect(joined(tmp_path, first, replace(first, group=25)))
    assert (again.reason, again.frame_count) == (None, 100)


@pytest.mark.parametrize("codec", ["mpeg1video", "mpeg2video"])
def test_bare_mpeg_video_whose_rate_changes_is_on_one_clock(codec: str, tmp_path: Path) -> None:
    first = Recipe("m2v", video=codec, sound=None, frames=50, format=codec)
    path = joined(tmp_path, first, replace(first, rate=Fraction(50)))
    found = inspect(path)
    assert (found.reason, found.frame_count, found.duration_seconds) == (None, 100, pytest.approx(3.0, abs=0.05))
    step = np.diff(found.frame_times)
    assert (np.median(step[:48]), np.median(step[51:])) == (pytest.approx(0.04), pytest.approx(0.02))
    shown = read_frames(path, found.clock, [1.5, 2.5])
    assert [number_in(picture) for picture in shown] == [pytest.approx(37, abs=2), pytest.approx(25, abs=2)]


def test_a_change_of_size_that_was_not_looked_at_is_met_when_it_is_read(tmp_path: Path) -> None:
    path = make(tmp_path, Recipe("mkv", sound=None, frames=50))
    found = inspect(path)
    other = make(tmp_path, Recipe("mkv", sound=None, frames=50, width=96), "other")
    with pytest.raises(MediaError, match="the size of its pictures changes from 64×48 to 96×48"):
        read_frames(other, found.clock, [1.0])
    with pytest.raises(MediaError, match="the size of its pictures changes from 64×48 to 96×48"):
        list(iter_frames(other, found.clock))


def timed(folder: Path, times: list[int], durations: list[int] | None = None, suffix: str = "mkv") -> Inspection:
    """A film whose frames are shown at these milliseconds."""
    path = str(folder / f"timed.{suffix}")
    with av.open(path, "w") as container:
        codec, pixels = ("flv", "yuv420p") if suffix == "flv" else ("mjpeg", "yuvj420p")
        stream = container.add_stream(codec, rate=25)
        stream.width, stream.height, stream.pix_fmt = 64, 48, pixels
        packets = []
        for number in range(len(times)):
            frame = av.VideoFrame.from_ndarray(draw(number), "rgb24").reformat(format=pixels)
            packets += stream.encode(frame)
        packets += stream.encode(None)
        for number, (packet, time) in enumerate(zip(packets, times, strict=True)):
            packet.pts = packet.dts = time
            packet.duration = durations[number] if durations else 40
            packet.time_base = Fraction(1, 1000)
            container.mux(packet)
    return inspect(path)


def test_a_clock_that_jumps_hours_ahead_is_refused_and_a_picture_shown_for_an_hour_is_not(tmp_path: Path) -> None:
    hour = 3_600_000
    even = [40 * n for n in range(30)]
    jump = timed(tmp_path, [*even[:15], *(t + hour for t in even[15:])], suffix="flv")
    assert str(jump.reason) == "joined: its clock jumps from 0.56 s to 3600.60 s"  # FLV knows no durations
    slides = [hour * n for n in range(5)]
    shown = timed(tmp_path, slides, [hour] * 5, suffix="mp4")
    assert (shown.reason, shown.duration_seconds) == (None, pytest.approx(5 * 3600, rel=0.01))


def test_no_usable_item_has_a_duration_that_is_none(tmp_path: Path) -> None:
    for found in (
        inspect(make(tmp_path, Recipe("ts", video=None, sound="mp2", sound_seconds=0.5))),
        inspect(make(tmp_path, Recipe("mkv", frames=1, sound=None))),
        timed(tmp_path, [0, 1, 2], suffix="mp4"),
    ):
        assert found.reason is None
        assert 0 < found.duration_seconds < 10


def test_a_transport_stream_whose_only_sound_cannot_be_decoded_is_refused(tmp_path: Path) -> None:
    path = Path(make(tmp_path, Recipe("ts", video=None, sound="ac3", sound_rate=48_000, sound_seconds=0.1)))
    data, noise = bytearray(path.read_bytes()), np.random.default_rng(4)
    for at in range(0, len(data), 188):
        if (data[at + 1] & 31) << 8 | data[at + 2] == 256:
            start = at + 188 - 120
            data[start : at + 188] = noise.bytes(120)
    path.write_bytes(bytes(data))
    found = inspect(str(path))
    assert found.reason is not None


@pytest.mark.parametrize("step", [188, 192])
def test_a_transport_stream_that_goes_on_under_other_numbers_is_joined(step: int, tmp_path: Path) -> None:
    def padded(path: str) -> bytes:
        data = Path(path).read_bytes()
        return b"".join(bytes(step - 188) + data[at : at + 188] for at in range(0, len(data), 188))

    one = make(tmp_path, Recipe("ts"), "one")
    two = make(tmp_path, Recipe("ts", options={"mpegts_start_pid": "0x300", "mpegts_pmt_start_pid": "0x1100"}), "two")
    both = tmp_path / "both.ts"
    both.write_bytes(padded(one) + padded(two))
    reason = inspect(str(both)).reason
    assert reason is not None and re.fullmatch(r"joined: another stream begins in it at 1\.60 s", reason), reason
    for part in (one, two):
        Path(part).write_bytes(padded(part))
        assert inspect(part).reason is None


def test_the_same_mp4_twice_is_joined(tmp_path: Path) -> None:
    path = make(tmp_path, Recipe("mp4", video=None))
    both = tmp_path / "both.mp4"
    both.write_bytes(2 * Path(path).read_bytes())
    assert str(inspect(str(both)).reason).startswith("joined: ")


def test_a_flac_without_its_last_frame_is_truncated(tmp_path: Path) -> None:
    path = make(tmp_path, Recipe("flac", video=None, sound="flac"))
    assert inspect(path).reason is None
    content = Path(path).read_bytes()
    cut = tmp_path / "cut.flac"
    cut.write_bytes(content[: content.rfind(b"\xff\xf8")])
    assert str(inspect(str(cut)).reason).startswith("truncated: it ends at ")
