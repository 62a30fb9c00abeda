"""Sound as other programs leave it: many channels, samples that are not finite, odd headers, joints and junk."""

from __future__ import annotations

import re
import struct
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest
from media.made import TAILS, Recipe, inspected, lateness, make, packet, tone

from avssl.errors import MediaError
from avssl.media.decoding.sound import read_audio
from avssl.media.indexing.inspect import inspect

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
    found = inspected(path)
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
    found = inspected(path)
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
def test_a_sample_that_is_not_finite_is_found_wherever_it_lies(
    kind: str, sample: float, words: str, tmp_path: Path
) -> None:
    samples = tone_of(30.0).astype(kind)  # most of which nobody listens to
    clock = inspected(wav(tmp_path / "good.wav", samples)).clock
    samples[50_000:50_010] = sample
    path = wav(tmp_path / "bad.wav", samples)
    assert inspect(path).reason == words
    # Whoever reads there with what is known of an earlier file of this name is stopped, too.
    assert np.abs(read_audio(path, clock, 2.5, 0.5, 8_000)).max() <= 0.6
    with pytest.raises(MediaError, match=r"at 3\.125 s: (not a number|infinity|a sample of 1e\+30)"):
        read_audio(path, clock, 3.0, 0.5, 8_000)


def test_the_time_of_a_sample_that_is_not_finite_is_on_the_clock_of_the_pictures(tmp_path: Path) -> None:
    start = Fraction(2)
    recipe = Recipe("mkv", sound="pcm_f32le", video_start=start, sound_start=start, channels=(np.nan,))
    assert inspect(make(tmp_path, recipe)).reason == "damaged: not a number at 0.00 s"


def test_floats_on_the_scale_of_integers_are_loud_but_sound(tmp_path: Path) -> None:
    assert inspect(wav(tmp_path / "loud.wav", (tone_of(1.5) * 32_768).astype("<f4"))).reason is None


# --- headers and ends -------------------------------------------------------------------------------------------

PIPES = {"what ffmpeg writes": (2**32 - 1, 2**32 - 1), "two gigabytes": (0x7FFFF024, 0x7FFFF000), "nothing": (0, 0)}


@pytest.mark.parametrize("sizes", PIPES.values(), ids=PIPES)
def test_a_wav_written_into_a_pipe_is_as_long_as_it_is(sizes: tuple[int, int], tmp_path: Path) -> None:
    path = wav(tmp_path / "pipe.wav", np.round(tone_of(3.0) * 32767).astype("<i2"))
    data = bytearray(Path(path).read_bytes())
    data[4:8], data[40:44] = (struct.pack("<I", size) for size in sizes)
    Path(path).write_bytes(data)
    found = inspected(path)
    assert (found.duration_seconds, found.flags) == (3.0, ("unknown length",))
    assert np.abs(read_audio(path, found.clock, 2.5, 0.5, RATE) - tone_of(3.0)[40_000:]).max() < 1e-3


@pytest.mark.parametrize(("suffix", "at", "form"), [("au", 8, ">I"), ("caf", 0, ">q")])
def test_other_containers_of_pipes_are_as_long_as_they_are(suffix: str, at: int, form: str, tmp_path: Path) -> None:
    path = make(tmp_path, Recipe(suffix, video=None, sound="pcm_s16be", sound_seconds=3.0, sound_rate=RATE))
    seconds = inspected(path).duration_seconds
    data = bytearray(Path(path).read_bytes())
    at = at or data.index(b"data") + 4
    if suffix == "caf":  # what FFmpeg puts behind the sound
        del data[at + 8 + struct.unpack_from(form, data, at)[0] :]
    data[at : at + struct.calcsize(form)] = b"\xff" * struct.calcsize(form)
    Path(path).write_bytes(data)
    found = inspected(path)
    assert found.duration_seconds == pytest.approx(seconds, abs=1e-3) and found.flags == ("unknown length",)


@pytest.mark.parametrize("suffix", ["wav", "aiff", "au", "caf"])
def test_a_header_that_says_more_than_there_is_still_means_truncated(suffix: str, tmp_path: Path) -> None:
    codec = "pcm_s16le" if suffix == "wav" else "pcm_s16be"
    path = make(tmp_path, Recipe(suffix, video=None, sound=codec, sound_seconds=3.0, sound_rate=RATE))
    data = Path(path).read_bytes()
    for share in (0.5, 0.97):
        Path(path).write_bytes(data[: int(len(data) * share)])
        assert str(inspect(path).reason).startswith("truncated: ")


def elementary(folder: Path, kind: str, seconds: float = 3.0, rate: int = 44_100, layout: str = "mono") -> bytes:
    codec = {"mp3": "libmp3lame", "adts": "aac", "mp2": "mp2", "ac3": "ac3", "flac": "flac", "ogg": "libopus"}[kind]
    rate = 48_000 if kind == "ogg" else rate
    recipe = Recipe(kind, video=None, sound=codec, sound_seconds=seconds, sound_rate=rate, layout=layout)
    return Path(make(folder, recipe, "part")).read_bytes()


@pytest.mark.parametrize("kind", ["mp3", "adts"])
@pytest.mark.parametrize("tail", TAILS.values(), ids=TAILS)
def test_what_follows_the_last_frame_does_no_harm(tail: bytes, kind: str, tmp_path: Path) -> None:
    whole = elementary(tmp_path, kind)
    path = tmp_path / f"sound.{kind}"
    path.write_bytes(whole)
    plain = inspected(str(path))
    assert plain.flags == ()
    path.write_bytes(whole + tail)
    found = inspected(str(path))
    assert found.flags == ("junk",)
    assert found.duration_seconds == pytest.approx(plain.duration_seconds, abs=0.006)
    for start in (0.4, 2.5, plain.duration_seconds - 0.3):
        heard, expected = (read_audio(str(path), each.clock, start, 0.3, 44_100) for each in (found, plain))
        assert np.abs(heard - expected).max() < 1e-3 or kind == "adts"
        assert (
            abs(lateness(heard[:8_000], start - (found.clock.audio_frame_samples == 1024) * 1024 / 44_100, 44_100))
            < 2e-3
        )


def test_the_old_tag_at_the_end_of_an_mp3_is_no_junk(tmp_path: Path) -> None:
    path = tmp_path / "song.mp3"
    path.write_bytes(elementary(tmp_path, "mp3") + b"TAG" + b" " * 125)
    assert inspected(str(path)).flags == ()


@pytest.mark.parametrize("kind", ["mp3", "adts", "ac3"])
@pytest.mark.parametrize("share", [0.5, 0.8, 0.99])
def test_a_stream_that_ends_in_the_middle_of_a_frame_is_truncated(kind: str, share: float, tmp_path: Path) -> None:
    data = elementary(tmp_path, kind)
    path = tmp_path / f"sound.{kind}"
    path.write_bytes(data[: int(len(data) * share)])
    assert str(inspect(str(path)).reason).startswith("truncated: ")


# --- joints -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["mp3", "flac", "ogg"])
def test_two_files_joined_are_one_after_the_other_on_one_clock(kind: str, tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    first, second = elementary(tmp_path / "a", kind), elementary(tmp_path, kind, seconds=2.0)
    path = tmp_path / f"joined.{kind}"
    path.write_bytes(first + second)
    found = inspected(str(path))
    assert "joined" in found.flags
    assert found.duration_seconds == pytest.approx(5.0, abs=0.08)
    rate = found.audio_rate
    whole = read_audio(str(path), found.clock, 0.0, found.duration_seconds, rate)
    assert abs(lateness(whole[rate : 2 * rate], 1.0, rate)) < 1e-3
    # The second begins where the first ends, with the silence that its encoder put before it.
    begun = found.duration_seconds - 2.0
    assert abs(lateness(whole[round(4.0 * rate) : round(4.5 * rate)], 4.0 - begun, rate)) < 0.03
    for start in (0.5, 2.9, 4.2):
        heard = read_audio(str(path), found.clock, start, 0.1, rate)
        at = round(start * rate)
        assert np.abs(heard - whole[at : at + len(heard)]).max() < 1e-3


@pytest.mark.parametrize("kind", ["mp3", "adts"])
def test_a_joint_at_which_the_rate_changes_is_refused_and_one_of_channels_is_flagged(kind: str, tmp_path: Path) -> None:
    first, path = elementary(tmp_path, kind), tmp_path / f"joined.{kind}"
    path.write_bytes(first + elementary(tmp_path, kind, rate=22_050))
    assert re.match(
        r"damaged: the sound changes from 44100 to 22050 samples a second at 3\.\d\d s", inspect(str(path)).reason
    )
    path.write_bytes(first + elementary(tmp_path, kind, layout="stereo"))
    found = inspected(str(path))
    assert "joined" in found.flags and found.duration_seconds == pytest.approx(6.0, abs=0.15)
    heard = read_audio(str(path), found.clock, 4.5, 0.2, 44_100)
    assert abs(lateness(heard, 1.5, 44_100, search_seconds=0.15)) < 0.15


def test_a_rate_that_changes_where_no_header_shows_it_is_seen_all_the_same(tmp_path: Path) -> None:
    parts = [
        Path(make(tmp_path, Recipe("flac", video=None, sound="flac", sound_rate=rate), f"{rate}"))
        for rate in (44_100, 22_050)
    ]
    path = tmp_path / "joined.flac"
    path.write_bytes(b"".join(part.read_bytes() for part in parts))
    assert "the sound changes from 44100 to 22050 samples a second" in str(inspect(str(path)).reason)


# --- nothing to hear --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("suffix", ["ts", "mkv", "mp4"])
@pytest.mark.parametrize("video", [None, "libx264"])
def test_sound_of_which_nothing_decodes_is_refused_never_of_a_negative_length(
    video: str | None, suffix: str, tmp_path: Path
) -> None:
    whole = make(tmp_path, Recipe(suffix, video=video, sound="libmp3lame"))
    path = str(tmp_path / f"dumb.{suffix}")
    with av.open(whole) as old, av.open(path, "w", format="mpegts" if suffix == "ts" else None) as new:
        streams = {s.index: new.add_stream_from_template(s) for s in (*old.streams.video, *old.streams.audio)}
        for packet in old.demux():
            if packet.dts is None:
                continue
            if packet.stream.type == "audio":
                dumb = av.Packet(bytes(packet.size))
                dumb.pts, dumb.dts, dumb.time_base, dumb.duration = (
                    packet.pts,
                    packet.dts,
                    packet.time_base,
                    packet.duration,
                )
                dumb.stream = streams[packet.stream_index]
                new.mux(dumb)
            else:
                packet.stream = streams[packet.stream_index]
                new.mux(packet)
    found = inspect(path)
    if found.reason is None:  # the container did not even find a stream of sound in it
        assert video is not None and found.audio_rate == 0 and found.duration_seconds > 0
    else:
        assert re.match("damaged: none of its sound|unreadable: |no video and no sound|damaged: ", found.reason)


def test_a_packet_that_looks_like_a_header_by_chance_changes_nothing(tmp_path: Path) -> None:
    from avssl.media.containers.frame_headers import Frames

    frames = Frames()
    looks_like_one = bytes([0xFF, 0xF1, 0x50, 0x40, 0x05, 0x00, 0x00]) + bytes(33)
    assert all(frames.take("aac", packet(bytes([1]) * 40)) for _ in range(20))
    assert frames.take("aac", packet(looks_like_one)) and frames.take("aac", packet(bytes(40)))
    assert not frames.has_heads and not frames.junk_behind
    begins_with_one = Frames()
    assert begins_with_one.take("aac", packet(looks_like_one)) and not begins_with_one.take("aac", packet(bytes(40)))
    assert begins_with_one.junk_behind


@pytest.mark.parametrize("rate", [3, 100_000_000])
def test_a_rate_that_nothing_records_at_is_damage(rate: int, tmp_path: Path) -> None:
    path = wav(tmp_path / "odd.wav", np.round(tone_of(1.0) * 32767).astype("<i2"), rate)
    assert inspect(path).reason == f"damaged: its sound has an impossible sample rate of {rate} Hz"


@pytest.mark.parametrize("suffix", ["wav", "aiff", "au"])
def test_bytes_behind_bare_samples_are_no_sound(suffix: str, tmp_path: Path) -> None:
    codec = "pcm_s16le" if suffix == "wav" else "pcm_s16be"
    path = make(tmp_path, Recipe(suffix, video=None, sound=codec, sound_seconds=3.0, sound_rate=RATE))
    with Path(path).open("ab") as file:
        file.write(TAILS["junk"])
    found = inspected(path)
    assert (found.duration_seconds, found.audio_end_seconds, found.flags) == (3.0, 3.0, ("junk",))
    assert not read_audio(path, found.clock, 3.0, 0.1, RATE).any()


def test_bare_samples_last_no_longer_than_their_bytes_can(tmp_path: Path) -> None:
    path = Path(caf(tmp_path / "odd.caf", [LEFT, RIGHT], np.round(tone_of(1.5)[:, None] * [1, 1] * 32767)))
    data = bytearray(path.read_bytes())
    at = data.index(b"lpcm")
    data[at + 12 : at + 16] = struct.pack(">I", 500_000_000)  # frames a packet
    path.write_bytes(data)
    found = inspect(str(path))
    assert found.reason is not None or found.duration_seconds < 3.1
