"""Whatever was done to the bytes of a file: a picture that is served is one of the video, or the damage is named."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import av
import numpy as np
import pytest
from media.made import Recipe, draw, iter_frames, make
from numpy.typing import NDArray
from PIL import Image

from avssl.errors import MediaError
from avssl.media.decoding.clock import Clock
from avssl.media.decoding.video import read_frames
from avssl.media.indexing.inspect import inspect

LEVELS = 12
"""By so many of 255 levels, on average, a picture may differ from the best fitting one of the undamaged video."""

FILM = Recipe("mp4", sound=None, frames=100, group=25, width=160, height=120)


def packet_at(path: str, number: int) -> tuple[int, bytes]:
    """Where the packet with this number, in the order of the file, lies, and what is in it."""
    with av.open(path) as container:
        packets = [p for p in container.demux(container.streams.video[0]) if p.size]
        data = bytes(packets[number])
    place = Path(path).read_bytes().find(data)
    return place, data


def with_bytes(path: str, place: int, data: bytes, name: str = "bad") -> str:
    """A copy of the file with other bytes at a place."""
    content = bytearray(Path(path).read_bytes())
    content[place : place + len(data)] = data
    copy = Path(path).with_name(name + Path(path).suffix)
    copy.write_bytes(bytes(content))
    return str(copy)


def pictures_of(path: str, clock: Clock) -> NDArray[np.int16]:
    return np.stack([picture for _, picture in iter_frames(path, clock)]).astype(np.int16)


def is_one_of(picture: NDArray[np.uint8], originals: NDArray[np.int16]) -> bool:
    return bool(np.abs(originals - picture).mean(axis=(1, 2, 3)).min() <= LEVELS)


def first_idr(path: str) -> int:
    """Where the length field of the first IDR picture of an MP4 file lies (ISO/IEC 14496-15, 5.3.3)."""
    place, data = packet_at(path, 0)
    at = 0
    while data[at + 4] & 31 != 5:
        at += 4 + int.from_bytes(data[at : at + 4], "big")
    return place + at


@pytest.mark.parametrize("wound", ["zeros", "length"])
def test_after_a_damaged_first_key_frame_nothing_is_served_before_the_next(wound: str, tmp_path: Path) -> None:
    good = make(tmp_path, FILM)
    idr = first_idr(good)
    bad = with_bytes(good, idr + 44, bytes(260)) if wound == "zeros" else with_bytes(good, idr, b"\x7f\xff\xff\xff")
    assert inspect(bad).reason == "damaged: its pictures cannot be decoded at 0.00 s"
    # Whoever reads it all the same, by the clock that it had before:
    clock = inspect(good).clock
    originals = pictures_of(good, clock)
    for number, seconds in enumerate(clock.frame_times):
        if number < 25:
            with pytest.raises(MediaError, match="damaged") as caught:
                read_frames(bad, clock, [seconds])
            assert caught.value.seconds == pytest.approx(seconds)
        else:
            assert np.array_equal(read_frames(bad, clock, [seconds])[0], originals[number])


KINDS = {
    "mp4": Recipe("mp4"),
    "mp4-b": Recipe("mp4", b_frames=2),
    "mkv-open": Recipe("mkv", b_frames=2, open_groups=True),
    "ts": Recipe("ts"),
    "flv": Recipe("flv", b_frames=2),
    "h264": Recipe("h264", sound=None),
    "avi": Recipe("avi", video="mpeg4", b_frames=2),
    "mpg": Recipe("mpg", video="mpeg2video", b_frames=2),
    "3gp": Recipe("3gp", video="h263", width=176, height=144),
}


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("number", [0, 30, 50], ids=["first-key", "later-key", "between"])
def test_no_damaged_packet_becomes_a_picture(kind: str, number: int, tmp_path: Path) -> None:
    size = {} if kind == "3gp" else {"width": 160, "height": 120}
    good = make(tmp_path, replace(KINDS[kind], sound=None, frames=75, group=30, **size))
    found = inspect(good)
    assert found.reason is None
    originals = pictures_of(good, found.clock)
    place, data = packet_at(good, number)
    half = len(data) // 2
    content = Path(good).read_bytes()
    if place < 0:  # cut up in this container
        place, half = len(content) * number // 75 + 400, 0
    bad = with_bytes(good, place + half, bytes(min(260, max(len(data) - half, 60))))
    reason = inspect(bad).reason
    assert reason is None or reason.startswith("damaged: "), reason
    outcomes = set()
    for seconds in found.clock.frame_times[::3]:
        try:
            picture = read_frames(bad, found.clock, [seconds])[0]
        except MediaError as error:
            assert error.reason.startswith("damaged: ")
            assert error.seconds == pytest.approx(seconds)
            outcomes.add("damaged")
        else:
            assert is_one_of(picture, originals), f"at {seconds:.2f} s"
            outcomes.add("whole")
    assert "whole" in outcomes or found.clock.frames_are_counted


@pytest.mark.parametrize("codec", ["libx264", "libx265"])
@pytest.mark.parametrize("wound", [bytes(8), b"\7\0\0\2\7"], ids=["zeros", "forbidden"])
def test_bytes_that_no_encoder_may_write_are_damage_until_the_next_key_frame(
    codec: str, wound: bytes, tmp_path: Path
) -> None:
    good = make(tmp_path, Recipe("mp4", video=codec, sound=None, frames=75, group=30, width=160, height=120))
    clock = inspect(good).clock
    originals = pictures_of(good, clock)
    place, data = packet_at(good, 40)
    bad = with_bytes(good, place + len(data) * 2 // 3, wound)
    with pytest.raises(MediaError, match="damaged"):
        read_frames(bad, clock, [clock.frame_times[50]])
    for number in (*range(30), 60, 74):
        assert np.array_equal(read_frames(bad, clock, [clock.frame_times[number]])[0], originals[number])


def test_a_picture_of_vp8_whose_second_half_is_zero_is_damaged_and_a_black_one_is_not(tmp_path: Path) -> None:
    path = tmp_path / "a.webp"
    noise = np.random.default_rng(0).integers(0, 256, (120, 160, 3), np.uint8)
    for picture in (np.zeros((500, 500, 3), np.uint8), noise):
        Image.fromarray(picture).save(path, quality=75)
        assert inspect(str(path)).reason is None
    data = path.read_bytes()
    path.write_bytes(data[: len(data) // 2] + bytes(len(data) - len(data) // 2))
    assert inspect(str(path)).reason == "damaged: the WebP data cannot be decoded to the end"


@pytest.mark.parametrize("kind", ["ts", "mpg", "ts-hevc", "h264"])
def test_a_file_cut_out_of_a_stream_of_open_groups_begins_with_its_first_whole_picture(
    kind: str, tmp_path: Path
) -> None:
    recipe = {
        "ts": Recipe("ts", b_frames=3, open_groups=True),
        "mpg": Recipe("mpg", video="mpeg2video", b_frames=2, open_groups=True),
        "ts-hevc": Recipe("ts", video="libx265", b_frames=3, open_groups=True),
        "h264": Recipe("h264", b_frames=3, open_groups=True, sound=None),
    }[kind]
    whole = make(tmp_path, replace(recipe, sound=None, frames=75, group=24, width=160, height=120), "whole")
    originals = pictures_of(whole, inspect(whole).clock)
    with av.open(whole) as container:
        keys = [p.pos for p in container.demux(container.streams.video[0]) if p.is_keyframe and p.pos is not None]
    content = Path(whole).read_bytes()
    for start in (keys[1], keys[1] - 7 * 188):
        part = tmp_path / f"part{start}.{recipe.suffix}"
        part.write_bytes(content[start:])
        found = inspect(str(part))
        assert found.reason is None
        assert found.frame_count >= 45
        for picture in pictures_of(str(part), found.clock):
            assert is_one_of(picture, originals)


CHAINS = {
    "ogv": Recipe("ogv", video="libvpx"),
    "avi": Recipe("avi", video="mjpeg", pixels="yuvj420p"),
    "flv": Recipe("flv"),
    "wmv": Recipe("wmv", video="wmv2", format="asf"),
    "webm": Recipe("webm", video="libvpx"),
    "mkv": Recipe("mkv", video="libvpx-vp9"),
}


@pytest.mark.parametrize("kind", CHAINS)
def test_bytes_that_are_lost_between_packets_are_damage_whatever_the_codec(kind: str, tmp_path: Path) -> None:
    path = make(tmp_path, replace(CHAINS[kind], sound=None, frames=100, width=160, height=120))
    assert inspect(path).reason is None
    content = Path(path).read_bytes()
    at = len(content) // 2
    bad = Path(path).with_name(f"bad.{CHAINS[kind].suffix}")
    bad.write_bytes(content[:at] + content[at + 31 :] + bytes(31))
    reason = str(inspect(str(bad)).reason)
    assert reason.startswith("damaged: "), reason
    assert float(reason.split()[-2]) == pytest.approx(2.0, abs=1.2)


def test_a_page_of_ogg_with_a_wrong_checksum_is_damage(tmp_path: Path) -> None:
    path = make(tmp_path, replace(CHAINS["ogv"], sound=None, frames=100))
    content = bytearray(Path(path).read_bytes())
    content[len(content) // 2] ^= 1
    bad = Path(path).with_name("bad.ogv")
    bad.write_bytes(bytes(content))
    assert str(inspect(str(bad)).reason).startswith("damaged: the structure of its container is broken at ")


@pytest.mark.parametrize(("codec", "least"), [("libvpx", 0.25), ("libvpx-vp9", 0.1)])
def test_some_damage_of_vp8_and_vp9_is_found_though_their_decoders_see_none(
    codec: str, least: float, tmp_path: Path
) -> None:
    path = make(tmp_path, Recipe("webm", video=codec, sound=None, frames=40, width=160, height=120))
    assert inspect(path).reason is None
    dice, found = np.random.default_rng(5), 0
    for number in range(1, 21):
        place, data = packet_at(path, number)
        noise = dice.bytes(len(data) // 2)
        bad = with_bytes(path, place + len(data) // 3, noise)
        found += inspect(bad).reason is not None
    assert found / 20 >= least


def noise(number: int, width: int, height: int) -> NDArray[np.uint8]:
    return np.random.default_rng(number).integers(0, 255, (height, width, 3), np.uint8)


def flat(number: int, width: int, height: int) -> NDArray[np.uint8]:
    return np.full((height, width, 3), 20 * number, np.uint8)


def test_key_frames_of_hevc_that_end_before_their_bytes_do_are_mostly_found(tmp_path: Path) -> None:
    path = make(tmp_path, Recipe("mp4", video="libx265", sound=None, frames=6, group=3, picture=noise))
    with av.open(path) as container:
        key = next(p for p in container.demux(container.streams.video[0]) if p.is_keyframe)
    assert key.pos is not None
    found = 0
    for seed in range(8):
        wound = np.random.default_rng(seed).integers(1, 255, 60, np.uint8).tobytes()
        reason = inspect(with_bytes(path, key.pos + key.size // 2, wound)).reason
        found += reason == "damaged: its pictures cannot be decoded at 0.00 s"
    assert found >= 4


@pytest.mark.parametrize("picture", [noise, flat])
@pytest.mark.parametrize("suffix", ["mp4", "ts"])
def test_whole_key_frames_of_hevc_use_all_their_bytes(suffix: str, picture: object, tmp_path: Path) -> None:
    recipe = Recipe(suffix, video="libx265", sound=None, frames=6, group=3, width=320, height=240)
    assert inspect(make(tmp_path, replace(recipe, picture=picture))).reason is None


def open_groups_with_memory_commands(path: str) -> str:
    """H.264 as x264 writes it for broadcasting: groups are open, and pictures say which others may be forgotten."""
    with av.open(path, "w", format="mpegts") as container:
        groups = "open-gop=1:b-pyramid=normal:bframes=3:ref=4:b-adapt=0:keyint=22:min-keyint=22:scenecut=0:threads=1"
        stream = container.add_stream("libx264", rate=25, options={"x264-params": groups})
        stream.width, stream.height, stream.pix_fmt = 160, 120, "yuv420p"
        noise = np.random.default_rng(2)
        for number in range(60):
            picture = draw(number, 160, 120) // 2 + noise.integers(0, 60, (120, 160, 3), np.uint8)
            frame = av.VideoFrame.from_ndarray(picture, "rgb24").reformat(format="yuv420p")
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    return path


def test_what_was_cut_out_of_open_groups_plays_from_its_first_whole_picture(tmp_path: Path) -> None:
    whole = open_groups_with_memory_commands(str(tmp_path / "whole.ts"))
    with av.open(whole) as container:
        keys = [packet.pos for packet in container.demux(video=0) if packet.is_keyframe]
    data, cut = Path(whole).read_bytes(), tmp_path / "cut.ts"
    reported, flags = 0, []
    for place in keys[1:]:
        cut.write_bytes(data[place - 188 * 3 :])
        found = inspect(str(cut))
        assert found.reason is None
        flags += found.flags
        shown = read_frames(str(cut), found.clock, found.frame_times.tolist())
        truth = [picture for _, picture in iter_frames(whole, inspect(whole).clock)]
        assert np.array_equal(shown, truth[60 - len(shown) :])
        assert np.array_equal(shown, np.stack([picture for _, picture in iter_frames(str(cut), found.clock)]))
        reported += errors_of_ffmpeg(str(cut))
    assert reported, "no decoder was asked to forget what it never saw"
    assert "cut" in flags


def errors_of_ffmpeg(path: str) -> int:
    """How many packets, from the first key frame on, FFmpeg's decoder calls invalid."""
    count = 0
    with av.open(path) as container:
        stream = container.streams.video[0]
        stream.codec_context.options, stream.codec_context.thread_count = {"err_detect": "explode"}, 1
        begun = False
        for packet in container.demux(stream):
            begun |= packet.is_keyframe
            try:
                packet.decode() if begun else None
            except av.InvalidDataError:
                count += 1
    return count


def test_damage_at_the_beginning_of_what_was_cut_is_damage(tmp_path: Path) -> None:
    whole = open_groups_with_memory_commands(str(tmp_path / "whole.ts"))
    with av.open(whole) as container:
        found = [packet for packet in container.demux(video=0) if packet.size]
        key = [packet for packet in found if packet.is_keyframe][-1]
        after = next(packet.pos for packet in found if packet.pts > key.pts)  # which asks to forget what was cut away
        start = key.pos
    data, cut = bytearray(Path(whole).read_bytes()), tmp_path / "cut.ts"
    data[after + 200 : after + 260] = np.random.default_rng(3).bytes(60)
    cut.write_bytes(data[start - 188 * 3 :])
    assert str(inspect(str(cut)).reason).startswith("damaged: its pictures cannot be decoded")


def test_bytes_of_another_picture_in_a_moving_gif_or_a_webp_are_damage(tmp_path: Path) -> None:
    film = Path(make(tmp_path, Recipe("gif", video="gif", sound=None, pixels="rgb8", width=160, height=120)))
    noise = np.random.default_rng(4)
    data = bytearray(film.read_bytes())
    assert inspect(str(film)).reason is None
    at = len(data) // 2
    data[at : at + 30] = noise.bytes(30)
    film.write_bytes(data)
    assert str(inspect(str(film)).reason).startswith("damaged: its pictures cannot be decoded at ")

    found = []
    picture = noise.integers(0, 255, (12, 16, 3), np.uint8).repeat(10, 0).repeat(10, 1)
    for quality in (40, 60, 80, 95):
        path = tmp_path / f"{quality}.webp"
        Image.fromarray(picture).save(path, quality=quality)
        assert inspect(str(path)).reason is None
        data = bytearray(path.read_bytes())
        at = len(data) // 2
        data[at : at + 30] = noise.bytes(30)
        path.write_bytes(data)
        found.append(inspect(str(path)).reason)
    assert "damaged: the WebP data cannot be decoded to the end" in found


def test_two_gifs_joined_are_never_one_film(tmp_path: Path) -> None:
    films = [make(tmp_path, Recipe("gif", video="gif", sound=None, pixels="rgb8", frames=9), name) for name in "ab"]
    both = tmp_path / "both.gif"
    both.write_bytes(b"".join(Path(film).read_bytes() for film in films))
    assert str(inspect(str(both)).reason).startswith("joined: another file begins in it")
