"""What follows the end of a file, and bare sound that was joined: played, flagged, or refused with the reason."""

from __future__ import annotations

import struct
from dataclasses import replace
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
from media.made import TAILS, Recipe, inspected, make, packet

from avssl.media.decoding.sound import read_audio
from avssl.media.indexing.inspect import inspect

CONTAINERS = {
    "flac": Recipe("flac", video=None, sound="flac"),
    "ogg": Recipe("ogg", video=None, sound="libopus", sound_rate=48_000),
    "m4a": Recipe("m4a", video=None, format="ipod"),
    "tta": Recipe("tta", video=None, sound="tta"),
    "w64": Recipe("w64", video=None, sound="pcm_s16le"),
    "wma": Recipe("wma", video=None, sound="wmav2", format="asf"),
    "mka": Recipe("mka", video=None, format="matroska"),
    "mp4": Recipe("mp4"),
    "mov": Recipe("mov", video="mpeg4", sound="pcm_s16le"),
    "mkv": Recipe("mkv"),
    "webm": Recipe("webm", video="libvpx", sound="libopus", sound_rate=48_000),
    "avi": Recipe("avi", video="mpeg4", sound="pcm_s16le"),
    "flv": Recipe("flv"),
    "wmv": Recipe("wmv", video="wmv2", sound="wmav2", format="asf"),
    "ogv": Recipe("ogv", video="libvpx", sound="libopus", sound_rate=48_000),
    "ts": Recipe("ts", b_frames=2),
    "mpg": Recipe("mpg", video="mpeg2video", sound="mp2"),
    "gif": Recipe("gif", video="gif", sound=None, pixels="rgb8"),
}


@pytest.mark.parametrize("kind", CONTAINERS)
def test_a_file_followed_by_bytes_that_are_no_part_of_it_plays_as_without_them(kind: str, tmp_path: Path) -> None:
    path = Path(make(tmp_path, CONTAINERS[kind]))
    whole, plain = path.read_bytes(), inspected(str(path))
    assert "junk" not in plain.flags
    for tail in (TAILS["line-break"], TAILS["junk"], TAILS["zeros"]):
        path.write_bytes(whole + tail)
        found = inspected(str(path))
        assert found.flags == (*plain.flags, "junk")
        assert (found.frame_count, found.audio_rate) == (plain.frame_count, plain.audio_rate)
        assert found.duration_seconds == pytest.approx(plain.duration_seconds, abs=2e-3)


@pytest.mark.parametrize("kind", ["flac", "ogg", "tta", "m4a"])
def test_the_sound_before_junk_is_what_it_is_without(kind: str, tmp_path: Path) -> None:
    path = Path(make(tmp_path, CONTAINERS[kind]))
    plain = inspected(str(path))
    start = plain.duration_seconds - 0.3
    expected = read_audio(str(path), plain.clock, start, 0.3, plain.audio_rate)
    path.write_bytes(path.read_bytes() + TAILS["junk"])
    heard = read_audio(str(path), inspected(str(path)).clock, start, 0.3, plain.audio_rate)
    assert np.abs(heard - expected).max() < 1e-3


@pytest.mark.parametrize("kind", ["flac", "ogg", "tta", "m4a", "mp4", "mkv", "avi", "wmv"])
def test_a_file_that_is_cut_is_not_called_whole_for_junk_behind_it(kind: str, tmp_path: Path) -> None:
    path = Path(make(tmp_path, CONTAINERS[kind]))
    whole = path.read_bytes()
    path.write_bytes(whole[: len(whole) * 2 // 3] + TAILS["junk"])
    assert inspect(str(path)).reason is not None


def test_zeros_that_fill_the_last_sector_of_a_disk_are_no_junk(tmp_path: Path) -> None:
    path = Path(make(tmp_path, CONTAINERS["avi"]))
    whole = path.read_bytes()
    path.write_bytes(whole + bytes(-len(whole) % 512))
    assert inspected(str(path)).flags == ()
    path.write_bytes(whole + bytes(-len(whole) % 512 + 512))
    assert inspected(str(path)).flags == ("junk",)


BARE = {
    "adts": Recipe("aac", video=None, sound="aac", format="adts"),
    "latm": Recipe("latm", video=None, sound="aac", format="latm"),
    "mp2": Recipe("mp2", video=None, sound="mp2"),
    "mp3": Recipe("mp3", video=None, sound="libmp3lame", options={"write_xing": "0", "id3v2_version": "0"}),
    "ac3": Recipe("ac3", video=None, sound="ac3"),
    "eac3": Recipe("eac3", video=None, sound="eac3", sound_rate=48_000),
    "sbc": Recipe("sbc", video=None, sound="sbc"),
}


def bare(folder: Path, kind: str, **other: Any) -> bytes:
    return Path(make(folder, replace(BARE[kind], **other), "bare")).read_bytes()


@pytest.mark.parametrize(("kind", "seconds"), [("adts", 1), ("latm", 1), ("mp2", 4), ("mp3", 4), ("ac3", 5)])
def test_a_joint_of_bare_sound_is_seen_where_its_bytes_show_it(kind: str, seconds: float, tmp_path: Path) -> None:
    first, second = bare(tmp_path, kind, sound_seconds=seconds + 0.3), bare(tmp_path, kind, sound_seconds=seconds)
    path = tmp_path / f"joined.{BARE[kind].suffix}"
    path.write_bytes(first)
    assert inspected(str(path)).flags == ()
    path.write_bytes(first + second)
    found = inspected(str(path))
    assert found.flags == ("joined",)
    assert found.duration_seconds == pytest.approx(2 * seconds + 0.3, abs=0.1)


@pytest.mark.parametrize("kind", ["mp2", "ac3", "eac3", "sbc", "latm"])
def test_a_joint_of_bare_sound_at_which_rate_or_channels_change_is_always_seen(kind: str, tmp_path: Path) -> None:
    path = tmp_path / f"joined.{BARE[kind].suffix}"
    rate = 48_000 if BARE[kind].sound_rate == 44_100 else 44_100
    path.write_bytes(bare(tmp_path, kind) + bare(tmp_path, kind, sound_rate=rate))
    assert f"the sound changes from {BARE[kind].sound_rate} to {rate} samples a second at 1." in str(
        inspect(str(path)).reason
    )
    path.write_bytes(bare(tmp_path, kind) + bare(tmp_path, kind, layout="stereo"))
    assert inspected(str(path)).flags == ("joined",)


@pytest.mark.parametrize("kind", ["eac3", "sbc", "latm"])
def test_what_follows_bare_sound_is_junk(kind: str, tmp_path: Path) -> None:
    whole, path = bare(tmp_path, kind), tmp_path / f"junk.{BARE[kind].suffix}"
    for tail in (b"\n", TAILS["junk"]):
        path.write_bytes(whole + tail)
        found = inspected(str(path))
        assert found.flags == ("junk",) and found.duration_seconds == pytest.approx(1.6, abs=0.05)


def test_a_byte_more_now_and_then_is_the_rule_of_a_bit_rate_that_holds() -> None:
    from avssl.media.containers.frame_headers import RULE_HOLDS, Head, _Padding

    def breaks(padded: list[int]) -> int:
        rule = _Padding()
        return sum(rule.breaks(Head(417 + extra, 44_100, 1, (), (extra, 42_300)), False) for extra in padded)

    regular = [(42_300 * (k + 1)) // 44_100 - (42_300 * k) // 44_100 for k in range(1_000)]
    assert breaks(regular) == breaks(regular[:RULE_HOLDS]) == 0
    assert breaks([1] * 1_000) == breaks([0] * 1_000) == 0  # encoders that know no such rule
    assert breaks(regular[:510] + regular[:490]) == 1


def test_the_time_in_the_headers_of_truehd_begins_again_at_a_joint_and_wavers_before_it() -> None:
    from avssl.media.containers.frame_headers import Frames

    def unit(samples: int) -> av.Packet:
        return packet(struct.pack(">HH", 20, samples & 0xFFFF) + bytes(36))

    dice = np.random.default_rng(1)
    times = [40 * k + int(dice.integers(0, 3_000)) for k in range(4_000)]
    frames = Frames()
    assert all(frames.take("truehd", unit(time)) for time in times)
    assert not frames.are_joined
    frames.take("truehd", unit(0))
    assert frames.are_joined


def test_frames_of_dts_end_where_their_headers_say_extensions_included() -> None:
    from avssl.media.containers.frame_headers import head_of

    core = bytes.fromhex("7ffe8001fc3c75b036c00138") + bytes(1_872)
    extension = bytes.fromhex("64582025") + (0x1F << 29 | 99 << 13).to_bytes(6, "big") + bytes(90)
    for data in (core, core + extension):
        head = head_of("dca", memoryview(data + bytes(8)))
        assert head is not None and (head.size, head.rate, head.channels) == (len(data), 48_000, 1)
