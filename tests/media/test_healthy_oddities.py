"""Files that are whole though their streams are odd: strict decoding and a look at seeking must not refuse them."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest
from media.made import Recipe, draw, iter_frames, make, number_in

from avssl.media.decoding.video import read_frames
from avssl.media.indexing.inspect import Inspection, inspect


def assert_shows(path: str, count: int) -> Inspection:
    """Every picture is the right one, read in order and one by one."""
    found = inspect(path)
    assert (found.reason, found.kind, found.frame_count) == (None, "video", count)
    assert [number_in(picture) for _, picture in iter_frames(path, found.clock)] == list(range(count))
    for number in (0, count // 3, 2 * count // 3, count - 1):
        assert number_in(read_frames(path, found.clock, [found.frame_times[number]])[0]) == number
    return found


@pytest.mark.parametrize(("suffix", "codec"), [("mkv", "mpeg2video"), ("ts", "mpeg2video"), ("mkv", "mpeg1video")])
def test_zeros_that_pad_pictures_of_a_constant_bit_rate_are_no_damage(suffix: str, codec: str, tmp_path: Path) -> None:
    whole = make(tmp_path, Recipe("mkv", video=codec, sound=None, frames=30), "whole")
    path = str(tmp_path / f"padded.{suffix}")
    with av.open(whole) as source, av.open(path, "w") as target:
        stream = target.add_stream_from_template(source.streams.video[0])
        for packet in source.demux(source.streams.video[0]):
            if packet.size:
                padded = av.Packet(bytes(packet) + bytes(600))
                padded.pts, padded.dts, padded.time_base = packet.pts, packet.dts, packet.time_base
                padded.is_keyframe, padded.stream, padded.duration = packet.is_keyframe, stream, packet.duration
                target.mux(padded)
    assert_shows(path, 30)


def test_an_open_group_whose_pictures_speak_of_those_before_it_is_read_from_further_back(tmp_path: Path) -> None:
    recipe = Recipe("ts", b_frames=3, open_groups=True, sound=None, frames=60, width=96, height=64)
    keys = "keyint=12:min-keyint=12:scenecut=0:b-adapt=0:open-gop=1:bframes=3:ref=3:b-pyramid=2:threads=1"
    path = str(tmp_path / "open.ts")
    with av.open(path, "w", format="mpegts") as container:
        stream = container.add_stream("libx264", rate=25, options={"preset": "medium", "x264-params": keys})
        stream.width, stream.height, stream.pix_fmt = recipe.width, recipe.height, "yuv420p"
        for number in range(recipe.frames):
            frame = av.VideoFrame.from_ndarray(draw(number, recipe.width, recipe.height), "rgb24")
            frame.pts = number
            container.mux(stream.encode(frame.reformat(format="yuv420p")))
        container.mux(stream.encode(None))
    assert_shows(path, recipe.frames)


def test_a_stream_whose_container_calls_every_picture_a_key_frame_is_read_from_its_start(tmp_path: Path) -> None:
    path = str(tmp_path / "bare.h263")
    made = make(tmp_path, Recipe("avi", video="h263", sound=None, frames=30, width=176, height=144))
    with av.open(made) as source:
        Path(path).write_bytes(b"".join(bytes(p) for p in source.demux(source.streams.video[0]) if p.size))
    assert_shows(path, 30)


def test_a_tag_that_ffmpeg_does_not_know_is_no_damage_of_a_tiff_in_a_film(tmp_path: Path) -> None:
    path = str(tmp_path / "made.mov")
    with av.open(path, "w") as container:
        stream = container.add_stream("tiff", rate=25)
        stream.width, stream.height, stream.pix_fmt = 64, 48, "rgb24"
        for number in range(10):
            frame = av.VideoFrame.from_ndarray(draw(number), "rgb24")
            frame.pts = number
            container.mux(stream.encode(frame))
    assert_shows(path, 10)


def test_three_jpegs_of_one_size_are_a_film_and_a_photograph_with_others_behind_it_is_none(tmp_path: Path) -> None:
    def jpeg(number: int, width: int = 64) -> bytes:
        encoder = av.CodecContext.create("mjpeg", "w")
        encoder.width, encoder.height, encoder.pix_fmt, encoder.time_base = width, 48, "yuvj444p", Fraction(1, 25)
        frame = av.VideoFrame.from_ndarray(draw(number, width), "rgb24").reformat(format="yuvj444p")
        return b"".join(bytes(packet) for packet in [*encoder.encode(frame), *encoder.encode(None)])

    film = tmp_path / "camera.mjpg"
    film.write_bytes(b"".join(jpeg(number) for number in range(6)))
    assert_shows(str(film), 6)
    photograph = tmp_path / "photograph.jpg"
    photograph.write_bytes(b"".join([jpeg(0), jpeg(1, 48), jpeg(2, 32)]))
    assert inspect(str(photograph)).kind == "image"


def test_stamps_that_merely_count_pictures_are_no_times(tmp_path: Path) -> None:
    made = make(tmp_path, Recipe("mkv", sound=None, frames=30))
    path = str(tmp_path / "counted.nut")
    with av.open(made) as source, av.open(path, "w") as target:
        stream = target.add_stream_from_template(source.streams.video[0])
        stream.time_base = Fraction(1, 1_200_000)
        for number, packet in enumerate(p for p in source.demux(source.streams.video[0]) if p.size):
            packet.pts = packet.dts = number
            packet.time_base, packet.stream = stream.time_base, stream
            target.mux(packet)
    reason = inspect(path).reason
    assert reason is not None and reason.startswith("damaged: its timestamps give"), reason
    assert np.isfinite(float(reason.split()[-4]))
