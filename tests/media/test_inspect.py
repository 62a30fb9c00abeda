"""Every file gets a true word: what is in it, or why it cannot be used. None of them stops the look."""

from __future__ import annotations

import os
from dataclasses import replace
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest
from media.made import Recipe, draw, make

from avssl.errors import MediaError
from avssl.media.decoding.sound import read_audio
from avssl.media.decoding.video import read_frames
from avssl.media.indexing.inspect import Inspection, inspect

LONGER = Recipe("mp4", frames=150, sound_seconds=6.0)


def reason_for(path: Path | str) -> str:
    found = inspect(str(path))
    assert found.reason is not None
    return found.reason


def cut(path: str, share: float) -> str:
    """The first part of a file."""
    data = Path(path).read_bytes()
    short = Path(path).with_name("cut" + Path(path).suffix)
    short.write_bytes(data[: int(len(data) * share)])
    return str(short)


def spoilt(path: str, at: float, length: int) -> str:
    """A file with some of its bytes replaced by noise."""
    data = bytearray(Path(path).read_bytes())
    place = int(len(data) * at)
    data[place : place + length] = np.random.default_rng(3).bytes(length)
    bad = Path(path).with_name("spoilt" + Path(path).suffix)
    bad.write_bytes(bytes(data))
    return str(bad)


# --- what is in it --------------------------------------------------------------------------------------------


def test_the_facts_of_a_good_file_are_found(tmp_path: Path) -> None:
    recipe = Recipe("mp4", frames=45, rate=Fraction(15), sound_seconds=2.5, sound_rate=22_050, layout="stereo")
    found = inspect(make(tmp_path, recipe))
    assert found.reason is None
    assert (found.kind, found.width, found.height, found.frame_count) == ("video", 64, 48, 45)
    assert (found.audio_rate, found.audio_channels) == (22_050, 2)
    assert found.duration_seconds == pytest.approx(3.0)
    assert found.frame_rate == pytest.approx(15.0)
    assert (found.audio_start_seconds, found.audio_end_seconds) == pytest.approx((0.0, 2.5), abs=0.05)
    assert found.flags == ()
    assert np.array_equal(found.frame_times, np.arange(45) / 15)


def test_silence_is_flagged(tmp_path: Path) -> None:
    loud = make(tmp_path, Recipe("mkv", sound="flac"), "loud")
    quiet = make(tmp_path, Recipe("mkv", sound="flac", channels=(0.0,)), "quiet")
    hiss = make(tmp_path, Recipe("mkv", sound="flac", channels=(1e-3,)), "hiss")
    barely = make(tmp_path, Recipe("mkv", sound="flac", channels=(3e-3,)), "barely")
    assert [("silent" in inspect(p).flags) for p in (loud, quiet, hiss, barely)] == [False, True, True, False]


def test_sound_in_one_second_of_many_is_no_silence(tmp_path: Path) -> None:
    path = make(tmp_path, Recipe("mkv", sound="flac", frames=250, sound_seconds=10.0, sound_start=Fraction(0)))
    assert "silent" not in inspect(path).flags


def test_a_video_without_sound_is_usable_and_not_called_silent(tmp_path: Path) -> None:
    found = inspect(make(tmp_path, Recipe("mp4", sound=None)))
    assert (found.reason, found.kind, found.audio_rate, found.flags) == (None, "video", 0, ())


def still(folder: Path, moves_at: int | None) -> str:
    path = str(folder / f"still{moves_at}.mp4")
    with av.open(path, "w") as container:
        stream = container.add_stream("libx264", rate=25, options={"preset": "ultrafast"})
        stream.width, stream.height, stream.pix_fmt = 64, 48, "yuv420p"
        for number in range(50):
            pixels = np.full((48, 64, 3), 90, np.uint8)
            if moves_at is not None and number >= moves_at:
                pixels[10:30, 10:30] = 200
            frame = av.VideoFrame.from_ndarray(pixels, "rgb24")
            frame.pts, frame.time_base = number, Fraction(1, 25)
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    return path


def test_stillness_is_flagged(tmp_path: Path) -> None:
    assert "still" in inspect(still(tmp_path, None)).flags
    assert "still" not in inspect(still(tmp_path, 25)).flags


def test_shorter_than_a_second_is_flagged(tmp_path: Path) -> None:
    assert "short" in inspect(make(tmp_path, Recipe("mp4", frames=24), "a")).flags
    assert "short" not in inspect(make(tmp_path, Recipe("mp4", frames=25), "b")).flags
    assert "short" not in inspect(make(tmp_path, Recipe("mkv", frames=25), "c")).flags


def test_a_cover_picture_makes_no_video_of_a_song(tmp_path: Path) -> None:
    path = str(tmp_path / "song.m4a")
    song = make(tmp_path, Recipe("m4a", video=None, format="mp4"), "plain")
    with av.open(song) as old, av.open(path, "w", format="mp4") as new:
        stream = new.add_stream_from_template(old.streams.audio[0])
        cover = new.add_stream("mjpeg", rate=1)
        cover.width, cover.height, cover.pix_fmt = 64, 48, "yuvj420p"
        cover.disposition = av.stream.Disposition.attached_pic
        frame = av.VideoFrame(64, 48, "yuvj420p")
        frame.pts, frame.time_base = 0, Fraction(1)
        for packet in (*cover.encode(frame), *cover.encode(None)):
            new.mux(packet)
        for packet in old.demux():
            if packet.dts is not None:
                packet.stream = stream
                new.mux(packet)
    assert inspect(path).kind == "sound"


# --- why it cannot be used ------------------------------------------------------------------------------------


def test_what_is_no_file_at_all_is_reported(tmp_path: Path) -> None:
    (tmp_path / "empty.mp4").touch()
    (tmp_path / "folder.mp4").mkdir()
    os.mkfifo(tmp_path / "pipe.mp4")
    (tmp_path / "text.mp4").write_text("Once upon a time there was a film.\n" * 50)
    (tmp_path / "noise.mp4").write_bytes(np.random.default_rng(0).bytes(50_000))
    (tmp_path / "list.m3u8").write_text("#EXTM3U\n#EXTINF:1,\nhttp://127.0.0.1/a.ts\n#EXT-X-ENDLIST\n")
    assert reason_for(tmp_path / "absent.mp4") == "no such file"
    assert reason_for(tmp_path / "empty.mp4") == "empty file"
    assert reason_for(tmp_path / "folder.mp4") == "not a file"
    assert reason_for(tmp_path / "pipe.mp4") == "not a file"
    assert reason_for(tmp_path / "text.mp4") == "not media"
    assert reason_for(tmp_path / "noise.mp4") == "not media"
    assert reason_for(tmp_path / "list.m3u8") == "not media"


def test_subtitles_alone_are_neither_video_nor_sound(tmp_path: Path) -> None:
    (tmp_path / "words.srt").write_text("1\n00:00:00,000 --> 00:00:01,000\nHello\n\n")
    assert reason_for(tmp_path / "words.srt") == "no video and no sound"


@pytest.mark.parametrize("share", [0.05, 0.4, 0.6, 0.95])
@pytest.mark.parametrize(
    ("suffix", "options"),
    [
        ("mp4", {}),
        ("mp4", {"movflags": "faststart"}),
        ("mkv", {}),
        ("avi", {}),
        ("ogv", {}),
    ],
    ids=["mp4", "mp4-index-first", "mkv", "avi", "ogv"],
)
def test_a_file_that_was_cut_off_is_called_truncated(
    share: float, suffix: str, options: dict[str, str], tmp_path: Path
) -> None:
    video = {"avi": "mpeg4", "ogv": "libvpx"}.get(suffix, "libx264")
    sound = {"avi": "pcm_s16le", "ogv": "flac"}.get(suffix, "aac")
    path = make(tmp_path, replace(LONGER, suffix=suffix, video=video, sound=sound, options=options))
    assert reason_for(cut(path, share)).startswith("truncated: ")


def test_an_flv_that_was_cut_off_is_called_truncated(tmp_path: Path) -> None:
    path = make(tmp_path, replace(LONGER, suffix="flv"))
    assert reason_for(cut(path, 0.5)).startswith("truncated: ")


@pytest.mark.parametrize("suffix", ["mp4", "mkv", "ts"])
def test_damaged_pictures_are_found_and_the_moment_named(suffix: str, tmp_path: Path) -> None:
    path = make(tmp_path, replace(LONGER, suffix=suffix, sound=None, frames=60, group=60))
    bad = spoilt(path, 0.5, 600)
    assert reason_for(bad).startswith("damaged: ")
    assert " s" in reason_for(bad)


def test_a_file_that_takes_too_long_is_given_up(tmp_path: Path) -> None:
    path = make(tmp_path, LONGER)
    assert "took longer than 0 s" in str(inspect(path, timeout_seconds=0.0).reason)
    clock = inspect(path).clock
    with pytest.raises(MediaError, match="took longer"):
        read_frames(path, clock, [1.0], timeout_seconds=0.0)
    with pytest.raises(MediaError, match="took longer"):
        read_audio(path, clock, 1.0, 1.0, 16_000, timeout_seconds=0.0)


# --- after the look -------------------------------------------------------------------------------------------


def test_a_file_that_vanished_or_broke_since_raises_with_path_and_time(tmp_path: Path) -> None:
    path = make(tmp_path, LONGER)
    clock = inspect(path).clock
    short = cut(path, 0.4)
    for gone in (str(tmp_path / "gone.mp4"), short):
        with pytest.raises(MediaError) as caught:
            read_frames(gone, clock, [5.0])
        assert caught.value.path == gone and caught.value.seconds == pytest.approx(5.0)
        with pytest.raises(MediaError) as caught:
            read_audio(gone, clock, 5.0, 0.5, 16_000)
        assert caught.value.path == gone and caught.value.seconds == pytest.approx(5.0)


def test_a_damaged_picture_raises_and_its_neighbours_in_other_groups_are_read(tmp_path: Path) -> None:
    path = make(tmp_path, Recipe("mkv", sound=None, frames=250, group=25))
    clock = inspect(path).clock
    bad = spoilt(path, 0.5, 300)
    outcomes = []
    for second in np.arange(0.5, 10.0, 1.0):
        try:
            good = np.array_equal(read_frames(bad, clock, [second]), read_frames(path, clock, [second]))
            outcomes.append("same" if good else "other")
        except MediaError as error:
            assert error.seconds == pytest.approx(second)
            outcomes.append("raised")
    assert outcomes.count("same") >= 8
    assert "other" not in outcomes


@pytest.mark.parametrize("case", range(48))
def test_no_broken_byte_breaks_more_than_its_file(case: int, tmp_path: Path) -> None:
    dice = np.random.default_rng((11, case))
    suffix = ["mp4", "mkv", "ts", "avi", "flv", "ogv", "mpg", "webm"][case % 8]
    video = {"avi": "mpeg4", "ogv": "libvpx", "mpg": "mpeg2video", "webm": "libvpx-vp9"}.get(suffix, "libx264")
    sound = {"avi": "pcm_s16le", "ogv": "libopus", "mpg": "mp2", "webm": "libopus"}.get(suffix, "aac")
    rate = 48_000 if sound == "libopus" else 44_100
    path = make(tmp_path, Recipe(suffix, video=video, sound=sound, sound_rate=rate, b_frames=2 * (suffix != "ogv")))
    clock = inspect(path).clock
    data = bytearray(Path(path).read_bytes())
    for _ in range(int(dice.integers(1, 30))):
        at = int(dice.integers(0, min(len(data), 3_000) if dice.random() < 0.5 else len(data)))
        data[at] = int(dice.integers(0, 256))
    Path(path).write_bytes(bytes(data[: int(len(data) * dice.uniform(0.3, 1.0))] if dice.random() < 0.3 else data))
    found = inspect(path, timeout_seconds=20.0)
    assert isinstance(found, Inspection)
    for known in [clock, found.clock] if found.reason is None else [clock]:
        for second in (0.0, 0.7, 1.3):
            try:
                read_frames(path, known, [second], timeout_seconds=20.0)
                read_audio(path, known, second, 0.3, 16_000, timeout_seconds=20.0)
            except MediaError as error:
                assert error.path == path


# --- real files -----------------------------------------------------------------------------------------------

TRUE_WORDS = {
    "corrupted.mp4": "damaged: ",
    "made_empty.mp4": "empty file",
    "made_not_a_video.mp4": "not media",
    "made_truncated.mkv": "truncated: ",
    "made_truncated_no_index.mp4": "truncated: the index",
    "vp9_broken.webm": "damaged: none of its pictures can be decoded",
}


@pytest.mark.parametrize(("told_ms", "seconds"), [(1, 1.0), (16, 1.0), (20, 29 / 30 + 0.02), (50, 29 / 30 + 0.05)])
def test_a_last_frame_that_is_declared_over_at_once_lasts_like_the_others(
    told_ms: int, seconds: float, tmp_path: Path
) -> None:
    path, tick = str(tmp_path / "last.mp4"), Fraction(1, 3000)
    with av.open(path, "w") as container:
        stream = container.add_stream("mpeg4", rate=30)
        stream.width, stream.height, stream.pix_fmt = 64, 48, "yuv420p"
        pictures = [av.VideoFrame.from_ndarray(draw(number), format="rgb24") for number in range(30)]
        packets = [packet for picture in [*pictures, None] for packet in stream.encode(picture)]
        for number, packet in enumerate(packets):
            packet.pts = packet.dts = 100 * number
            packet.duration, packet.time_base = 100 if number < 29 else 3 * told_ms, tick
            container.mux(packet)
    found = inspect(path)
    assert (found.reason, found.frame_count) == (None, 30)
    assert found.duration_seconds == pytest.approx(seconds, abs=2e-3)
    assert ("short" in found.flags) == (seconds < 0.999)


@pytest.mark.realdata
def test_every_odd_file_gets_a_true_word(shared_data: Path) -> None:
    verdicts = {p.name: inspect(str(p)) for p in sorted((shared_data / "media").iterdir()) if p.suffix != ".md"}
    assert len(verdicts) == 45
    for name, found in verdicts.items():
        if name in TRUE_WORDS:
            assert str(found.reason).startswith(TRUE_WORDS[name]), f"{name}: {found.reason}"
        else:
            assert found.reason is None, f"{name}: {found.reason}"
            assert (found.audio_rate == 0) == ("no_sound" in name), name
            assert (found.kind == "sound") == ("sound_only" in name), name

    def facts(name: str) -> tuple[int, int, int, int]:
        found = verdicts[name]
        return (found.width, found.height, found.frame_count, found.audio_channels)

    assert facts("made_rotated90.mp4") == (180, 320, 105, 2)
    assert facts("hevc10_rotated.mp4") == (1080, 1920, 9, 2)
    assert facts("hevc10_tiny_rotated.mov") == (720, 1280, 4, 2)
    assert facts("made_editlist.mp4") == (320, 180, 66, 2)
    assert facts("two_videos_two_sounds_subtitles.mp4") == (320, 180, 152, 2)
    assert facts("vp9_161x121_no_sound.webm") == (161, 121, 30, 0)
    assert facts("made_opengop_bframes_5.1_48k.mkv") == (240, 136, 135, 6)
    assert verdicts["h264_fragmented_wrong_duration.mp4"].duration_seconds == pytest.approx(1.001, abs=0.01)
    for name in ("h264_aac.flv", "h264_ac3.mkv", "h264_vorbis.mkv"):
        assert verdicts[name].duration_seconds == pytest.approx(1.0, abs=1e-3), name
        assert verdicts[name].frame_rate == pytest.approx(30, abs=0.05), name
        assert "short" not in verdicts[name].flags, name
    assert verdicts["made_sound_starts_late.mkv"].audio_start_seconds == pytest.approx(0.677, abs=0.002)
    assert verdicts["phone_h263_aac8k.3gp"].audio_start_seconds == pytest.approx(-0.128, abs=0.002)
    assert verdicts["made_sound_shorter.mp4"].audio_end_seconds == pytest.approx(1.207, abs=0.002)
    assert "short" in verdicts["hevc10_rotated.mp4"].flags
