"""Times by hand: which frame is shown, what a stretch of a file holds, where packets of one length lie."""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction
from types import SimpleNamespace

import av
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from avssl.media.decoding.clock import Clock
from avssl.media.facts import Facts
from avssl.media.indexing import packet_scan as scan
from avssl.media.indexing.packet_scan import Track, even_grid
from avssl.media.segment import Segment, segment_facts, segment_of

TIMES = np.array([0.0, 0.04, 0.5, 0.52, 1.2])


@pytest.mark.parametrize(
    ("seconds", "number"),
    [
        (-5.0, 0),
        (0.0, 0),
        (0.0399, 0),
        (0.04 - 0.9e-6, 1),  # times printed as decimals find their frame
        (0.04 - 1.1e-6, 0),
        (0.04, 1),
        (0.51, 2),
        (1.19, 3),
        (1.2, 4),
        (99.0, 4),
    ],
)
def test_the_frame_shown_is_the_last_that_has_begun(seconds, number):
    assert Clock(frame_times=TIMES).shown(seconds) == number


def test_a_clock_has_what_it_has_a_stream_of():
    assert (Clock().has_video, Clock().has_sound) == (False, False)
    assert (Clock(video_stream=0).has_video, Clock(audio_stream=0).has_sound) == (True, True)
    numbers = Clock(origin_seconds=1.5, audio_rate=8000).numbers()
    assert "frame_times" not in numbers and "key_times" not in numbers
    assert Clock(**numbers, frame_times=TIMES).numbers() == numbers
    assert Clock().video_seekable and Clock().audio_seekable and not Clock().frames_are_counted
    assert len(Clock().frame_times) == len(Clock().key_times) == 0


@given(
    start=st.none() | st.floats(-0.5, 2.0),
    duration=st.none() | st.floats(0.001, 2.0),
)
@settings(max_examples=200)
def test_a_window_holds_the_frame_shown_at_its_start_and_all_that_begin_before_its_end(start, duration):
    window = segment_of(TIMES, start, duration)
    if start is None and duration is None:
        assert window == Segment() and window.is_whole
        return
    begin = start or 0.0
    shown = Clock(frame_times=TIMES).shown(begin)
    assert window.first == shown and window.zero_seconds == TIMES[shown]
    if duration is None:
        assert window.end_seconds is None and window.stop == 5
        return
    assert window.end_seconds == begin + duration
    inside = [k for k, t in enumerate(TIMES) if k > shown and t < window.end_seconds - 1e-6]
    assert list(range(window.first, window.stop)) == [shown, *inside], "one frame at least"
    assert not window.is_whole


def test_a_frame_that_begins_where_a_window_ends_is_not_in_it():
    assert segment_of(TIMES, 0.0, 0.5).stop == 2
    assert segment_of(TIMES, 0.0, 0.5 + 0.5e-6).stop == 2, "nor one that begins within a microsecond of it"
    assert segment_of(TIMES, 0.0, 0.5 + 2e-6).stop == 3
    assert Segment() == Segment(0.0, None, 0, None)
    assert segment_of(TIMES, 0.04, 0.001) == Segment(0.04, 0.041, 1, 2)
    assert segment_of(np.zeros(0), 2.0, 3.0) == Segment(2.0, 5.0)
    assert segment_of(np.zeros(0), 2.0, None) == Segment(2.0, None)
    assert segment_of(np.zeros(0), None, 3.0) == Segment(0.0, 3.0)


WHOLE = Facts("a.mp4", "video", 10.0, 64, 48, 250, 25.0, 8000, 2, -0.5, 9.0, "cat", "train", "a", ("still", "short"))


def test_facts_of_a_stretch_are_counted_from_its_own_zero():
    part = segment_facts(WHOLE, Segment(2.0, 5.0, 50, 125), 75)
    assert (part.duration_seconds, part.frame_count, part.frame_rate) == (3.0, 75, 25.0)
    assert (part.audio_start_seconds, part.audio_end_seconds) == (0.0, 3.0)
    assert part.flags == ("still",), "three seconds are not short"
    assert (part.path, part.label, part.source, part.audio_rate) == ("a.mp4", "cat", "a", 8000)
    assert segment_facts(WHOLE, Segment(), 250) is WHOLE


def test_a_stretch_ends_with_its_file_and_has_no_sound_where_the_file_has_none():
    last = segment_facts(WHOLE, Segment(8.0, 15.0, 200, 250), 50)
    assert (last.duration_seconds, last.audio_start_seconds, last.audio_end_seconds) == (2.0, 0.0, 1.0)
    open_end = segment_facts(WHOLE, Segment(8.0, None, 200, 250), 50)
    assert (open_end.duration_seconds, open_end.audio_end_seconds) == (2.0, 1.0)
    mute = segment_facts(WHOLE, Segment(9.2, 9.9, 230, 247), 17)
    assert (mute.audio_rate, mute.audio_channels, mute.audio_start_seconds, mute.audio_end_seconds) == (0, 0, 0.0, 0.0)
    late = replace(WHOLE, audio_start_seconds=3.0)
    assert segment_facts(late, Segment(2.0, 5.0, 50, 125), 75).audio_start_seconds == 1.0
    assert not segment_facts(late, Segment(2.0, 3.0, 50, 75), 25).has_sound
    assert segment_facts(replace(WHOLE, audio_rate=0), Segment(2.0, 5.0, 50, 125), 75).audio_end_seconds == 0.0


@pytest.mark.parametrize(("end", "short"), [(2.9, True), (2.9995, False), (3.0, False), (3.5, False)])
def test_a_stretch_of_less_than_a_second_is_short(end, short):
    assert ("short" in segment_facts(WHOLE, Segment(2.0, end, 50, 70), 20).flags) is short
    assert segment_facts(WHOLE, Segment(2.0, 2.04, 50, 51), 1).frame_rate == 25.0, "of one frame there is no other rate"


# --- packets ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("tick", [1e-3, 1 / 90_000, 0.01])
@pytest.mark.parametrize("offset", [0.0, 0.123456, -0.0214])
def test_packets_of_one_length_are_placed_finer_than_their_rounded_stamps(tick, offset):
    step = 1024 / 44_100
    exact = offset + np.arange(400) * step
    stamps = np.round(exact / tick) * tick
    found = even_grid(stamps, step, tick)
    assert found is not None
    off = (found - offset) / step
    assert abs(off - round(off)) * step <= tick / 2 + 1e-9
    if tick == 1e-3:
        assert abs(off - round(off)) * step < tick / 4, "many stamps narrow it down"


def test_a_first_stamp_that_may_be_exact_is_taken_as_it_is():
    step = 1024 / 48_000
    stamps = np.round(np.arange(50) * step, 3)
    assert even_grid(stamps, step, 1e-3) == 0.0
    assert even_grid(stamps + 7, step, 1e-3) == pytest.approx(7.0, abs=1e-9)


def test_stamps_with_a_gap_or_with_jitter_are_no_grid():
    step, stamps = 0.02, np.arange(30) * 0.02
    assert even_grid(np.zeros(0), step, 1e-3) is None
    assert even_grid(stamps, step, 1e-3) == 0.0
    gap = stamps.copy()
    gap[15:] += 0.005
    assert even_grid(gap, step, 1e-3) is None
    assert even_grid(gap, step, 6e-3) is not None, "coarser stamps cannot tell"
    jitter = stamps + np.random.default_rng(0).uniform(-2e-3, 2e-3, 30)
    assert even_grid(jitter, step, 1e-3) is None
    assert even_grid(stamps, step * 1.01, 1e-3) is None, "packets of another length"


class Packet:
    """What a track looks at."""

    def __init__(self, pts, dts=None, *, data=b"\x00\x00\x00", key=False, duration=1, discard=False, corrupt=False):
        self.pts, self.dts, self.duration = pts, pts if dts is None else dts, duration
        self.is_keyframe, self.is_discard, self.is_corrupt = key, discard, corrupt
        self.data, self.size, self.pos = data, len(data), None


class Bytes(bytes):
    """A packet as a buffer (Python lends buffers of its own classes from 3.12 on only)."""

    def __new__(cls, packet):
        made = super().__new__(cls, packet.data)
        made.__dict__.update(packet.__dict__)
        return made


def track_of(*packets, codec="h264", tick=Fraction(1, 10)):
    track = Track(tick, codec)
    for packet in packets:
        track.take(Bytes(packet))
    return track


def test_a_track_knows_when_packets_are_shown_and_at_which_decoding_can_begin():
    track = track_of(
        Packet(0, key=True), Packet(3, 1), Packet(1, 2), Packet(2, 3, discard=True), Packet(4, key=True, duration=None)
    )
    assert (track.times, track.keys, track.durations) == ([0, 3, 1, 4], [0, 4], [1, 1, 1, 0])
    assert track.decoding_times == [0, 1, 2, 3, 4]
    assert (track.packets, track.untimed) == (5, 0)
    assert track.is_delayed and track.has_keys and track.broken_seconds is None
    assert track.end_ticks == 4 and track.seconds(4) == 0.4
    assert track_of().end_ticks == 0 and not track_of(Packet(0), Packet(1)).is_delayed
    assert not track_of(Packet(0), Packet(1)).has_keys
    hidden_key = track_of(Packet(0, discard=True, key=True), Packet(1))
    assert hidden_key.has_keys and hidden_key.keys == []


def test_packets_without_a_time_and_broken_ones_are_counted():
    untimed = Packet(5)
    untimed.pts = None
    track = track_of(Packet(0), untimed, Packet(7, 6, corrupt=True), Packet(9, corrupt=True), Packet(10))
    assert track.untimed == 1 and track.times == [0, 7, 9, 10]
    assert track.broken_seconds == pytest.approx(0.6), "the first of them, when it is decoded"
    assert not track.ends_broken
    assert track_of(Packet(0), Packet(1, corrupt=True)).ends_broken


@pytest.mark.parametrize(
    ("codec", "data", "hidden"),
    [
        ("vp8", b"\x10\x00\x00", False),  # RFC 6386, 9.1: bit 4 of the first byte is show_frame
        ("vp8", b"\x00\x00\x00", True),
        ("libvpx", b"\xef\x00\x00", True),
        ("libvpx", b"\xff\x00\x00", False),
        # VP9, 6.2: 10, profile low and high, show_existing_frame, frame_type, show_frame, error_resilient
        ("vp9", b"\x82\x00\x00", False),
        ("vp9", b"\x80\x00\x00", True),
        ("vp9", b"\x88\x00\x00", False),  # an existing frame is shown
        ("libvpx-vp9", b"\x84\x00\x00", True),
        ("vp9", b"\x80\x00\xc0", False),  # a superframe
        ("vp9", b"\x80\x00\xe0", True),
        ("vp9", b"\xb1\x00\x00", False),  # profile 3 has one bit more before them
        ("vp9", b"\xb0\x80\x00", True),
        ("vp9", b"\xb4\x00\x00", False),
        ("h264", b"\x00\x00\x00", False),
    ],
)
def test_pictures_that_only_serve_as_references_have_no_time(codec, data, hidden):
    assert track_of(Packet(3, data=data), codec=codec).times == ([] if hidden else [3])


def test_a_clock_that_goes_back_or_far_ahead_is_seen_where_it_first_does():
    def jump(*stamps, duration=1):
        packets = [Packet(stamp, duration=duration) for stamp in stamps]
        return track_of(*packets, tick=Fraction(1, 1)).jump

    assert jump(0, 1, 2) is None
    assert jump(0, 1, 0 - round(scan.BACK_SECONDS) - 1) == (2.0, -1.0 - round(scan.BACK_SECONDS))
    far = round(scan.AHEAD_SECONDS) + 5
    assert jump(0, 1, 1 + far, 2 + far, 0) == (2.0, 1.0 + far), "the first of two"
    assert jump(0, far, 2 * far, duration=far) is None, "a picture may be shown for long, if it says so"
    assert jump(0, round(scan.AHEAD_SECONDS)) is None
    untimed = Packet(9 * far)
    untimed.dts = None
    assert track_of(Packet(0), untimed, Packet(1), tick=Fraction(1, 1)).jump is None


def test_a_byte_belongs_to_the_last_packet_that_begins_before_it():
    packets = [Packet(5), Packet(7), Packet(6)]
    for packet, place in zip(packets, (100, 200, 300), strict=True):
        packet.pos = place
    track = track_of(*packets)
    assert [track.seconds_at(place) for place in (0, 99, 100, 199, 250, 300, 9999)] == [
        0.5,
        0.5,
        0.5,
        0.5,
        0.7,
        0.7,
        0.7,
    ]
    assert track_of().seconds_at(5) == 0.0
    assert track_of(Packet(5)).places == track_of().places, "where a container does not tell, nothing is noted"


@pytest.mark.parametrize(("codec", "kind"), [("pcm_f32le", "<f4"), ("pcm_f64be", ">f8")])
@pytest.mark.parametrize("wrong", [np.nan, np.inf, -np.inf])
def test_the_first_sample_that_is_not_finite_is_found_with_its_time(codec, kind, wrong):
    good, bad = np.zeros(8, kind), np.zeros(8, kind)
    bad[[2, 5]] = wrong
    packets = [Packet(10 * k, data=one.tobytes(), duration=10) for k, one in enumerate((good, bad, bad))]
    seconds, _ = track_of(*packets, codec=codec).invalid_sample
    assert seconds == pytest.approx((10 + 10 * 2 / 8) / 10)
    assert track_of(packets[0], codec=codec).invalid_sample is None
    assert track_of(*packets, codec="pcm_s16le").invalid_sample is None


def test_of_a_file_of_which_nothing_is_known_a_clock_says_nothing():
    numbers = Clock().numbers()
    assert {name for name, value in numbers.items() if value is True} == {"video_seekable", "audio_seekable"}
    assert {name for name, value in numbers.items() if value == -1} == {"video_stream", "audio_stream"}
    others = [value for name, value in numbers.items() if value is not True and value != -1]
    assert not any(np.any(value) for value in others)


def test_an_even_grid_lies_in_the_middle_of_where_its_stamps_allow():
    # 0.3, 0.7, 1.1, 1.5, 1.9, rounded to whole ticks: it begins between 0.3 and 0.5.
    assert even_grid(np.array([0.0, 1, 1, 2, 2]), 0.4, 1.0) == pytest.approx(0.4)
    assert even_grid(np.array([7.0, 8, 8, 9, 9]), 0.4, 1.0) == pytest.approx(7.4)


def test_packets_decoded_when_they_are_shown_are_not_delayed_however_late_it_is():
    late = [Packet(int(f"{10**9 + k}"), int(f"{10**9 + k}")) for k in range(3)]
    assert not track_of(*late).is_delayed
    untimed = Packet(8, corrupt=True)
    untimed.dts = None
    assert track_of(Packet(0), untimed).broken_seconds == pytest.approx(0.8)
    untimed.pts = None
    assert track_of(Packet(0), untimed).broken_seconds == 0.0


class Streams:
    """A container whose packets end in an error."""

    def __init__(self, *bases):
        context = SimpleNamespace(codec=SimpleNamespace(name="h264"))
        self.streams = [SimpleNamespace(index=k, time_base=base, codec_context=context) for k, base in enumerate(bases)]


def test_all_packets_with_data_are_taken_until_the_container_cannot_be_read_on(monkeypatch):
    first, empty, second = (Bytes(Packet(5)), Bytes(Packet(6, data=b"")), Bytes(Packet(7)))
    for packet, stream in ((first, 0), (empty, 0), (second, 1)):
        packet.stream_index = stream

    def packets(container, deadline, *streams):
        yield from (first, empty, second)
        raise av.error.InvalidDataError(1, "cannot be read on")

    monkeypatch.setattr(scan, "packets_of_all", packets)
    container = Streams(Fraction(1, 50), None)
    found = scan.scan(container, None, *container.streams)
    assert {index: track.times for index, track in found.items()} == {0: [5], 1: [7]}
    assert [track.tick for track in found.values()] == [Fraction(1, 50), Fraction(1, 1_000_000)], "FFmpeg's own"
    assert all(track.codec == "h264" and "cannot be read on" in track.stopped for track in found.values())
