"""Frames by number: from which key frame to decode, which frame a time stamp is, where to try again."""

from __future__ import annotations

from fractions import Fraction
from types import SimpleNamespace

import numpy as np
import pytest

from avssl.errors import MediaError
from avssl.media.containers.demux import Deadline
from avssl.media.decoding import video
from avssl.media.decoding.clock import Clock
from avssl.media.decoding.video import FrameReader

TIMES = np.array([0.0, 0.04, 0.08, 0.12, 0.5, 0.54])


def clock(**more):
    return Clock(video_stream=0, width=8, height=8, frame_times=TIMES, **more)


def reader(**more):
    return FrameReader("a.mp4", clock(**more), Deadline("a.mp4", 10))


def test_frames_are_decoded_from_the_last_key_frame_that_is_shown_no_later():
    keys = np.array([0.0, 0.08, 0.5])
    found = clock(key_times=keys).groups([0, 1, 2, 3, 4, 5])
    assert found == {0: [0, 1], 1: [2, 3], 2: [4, 5]}
    found = clock(key_times=keys - 1e-10).groups([2, 4])
    assert found == {1: [2], 2: [4]}
    found = clock(key_times=keys + 5e-10).groups([2, 4])
    assert found == {1: [2], 2: [4]}, "a rounding is no other time"
    assert clock(key_times=np.array([0.04])).groups([0, 1]) == {0: [0, 1]}
    assert clock().groups([1, 5]) == {0: [1, 5]}, "no key frame is known"
    assert clock(key_times=keys, video_seekable=False).groups([1, 5]) == {0: [1, 5]}


@pytest.mark.parametrize(
    ("key", "attempts"),
    [(0, [None]), (1, [1, None]), (2, [2, 1, None]), (5, [5, 4, 2, None]), (20, [20, 19, 17, 12, None])],
)
def test_what_was_not_found_is_looked_for_ever_further_back_and_at_last_from_the_start(key, attempts):
    assert video._attempts(key) == attempts


def stamped(seconds, base=Fraction(1, 1000), origin=0.0):
    return SimpleNamespace(pts=round((seconds + origin) / base), time_base=base)


@pytest.mark.parametrize(
    ("seconds", "number"),
    [(0.0, 0), (0.04, 1), (0.5, 4), (0.54, 5), (0.3, None), (0.039, None), (0.041, None), (0.9, None), (-0.04, None)],
)
def test_a_frame_is_the_one_whose_time_its_stamp_is(seconds, number):
    assert reader()._number_of(stamped(seconds)) == number
    assert reader(origin_seconds=1.4)._number_of(stamped(seconds, origin=1.4)) == number


def test_a_stamp_may_be_off_by_less_than_half_a_tick():
    base = Fraction(1, 50)  # 20 ms: 0.54 is a stamp of 27
    assert [reader()._number_of(SimpleNamespace(pts=k, time_base=base)) for k in (0, 2, 4, 6, 25, 27)] == list(range(6))
    coarse = Fraction(1, 30)
    times = np.array([0.0, 1 / 30 + 0.4 / 30 - 1e-4, 0.1])
    clock = Clock(video_stream=0, frame_times=times)
    found = FrameReader("a", clock, Deadline("a", 1))._number_of(SimpleNamespace(pts=1, time_base=coarse))
    assert found == 1
    assert reader()._number_of(SimpleNamespace(pts=None, time_base=base)) is None
    assert reader()._number_of(SimpleNamespace(pts=1, time_base=None)) is None


def test_after_a_seek_in_a_program_stream_packets_count_from_the_second_unit_on():
    packets = [
        SimpleNamespace(name=name, pos=pos, size=size)
        for name, pos, size in (
            ("a", None, 5),
            ("b", 0, 5),
            ("c", None, 5),
            ("d", 90, 5),
            ("e", None, 5),
            ("end", None, 0),
        )
    ]
    assert [packet.name for packet in video._settled(iter(packets))] == ["d", "e", "end"]
    assert [packet.name for packet in video._settled(iter([packets[0], packets[-1]]))] == ["end"]


def test_a_frame_of_another_size_is_reported_unless_no_size_is_known():
    frame = SimpleNamespace(width=8, height=6, pts=1, time_base=Fraction(1, 2))
    reader(stored_size=(8, 6))._must_fit(frame)
    reader(stored_size=[8, 6])._must_fit(frame)
    reader()._must_fit(frame)
    for other in ((6, 8), (8, 7), (0, 6)):
        with pytest.raises(MediaError, match=r"a\.mp4 at 0\.500 s"):
            reader(stored_size=other)._must_fit(frame)
