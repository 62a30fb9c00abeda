"""Placing sound by its sample count: noise of the stamps, a slow clock, a gap, an overlap, another recording."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import pytest

from avssl.media.decoding.sample_counting import Packets, Run, anchors, placed_runs

RATE = 1_000
LENGTH = 20
"""Samples of a packet."""
SECONDS = LENGTH / RATE
TICK = 1e-3
MS = 1e-3


def packets(ahead: Sequence[float]) -> Packets:
    """Packets, each stamped so much later than its samples are counted (seconds)."""
    count = len(ahead)
    before = np.arange(count) * LENGTH
    return Packets(np.array(ahead) + before / RATE, before, count * LENGTH, RATE)


def placed(ahead: Sequence[float], tick: float = TICK) -> list[Run]:
    runs, restart = placed_runs(packets(ahead), tick)
    assert restart is None
    return runs


def lengths(ahead: Sequence[float], tick: float = TICK) -> list[int]:
    """Of the runs, in packets."""
    return [run.length // LENGTH for run in placed(ahead, tick)]


def noise(count: int, size: float) -> list[float]:
    """Stamps that are early and late in turn: each step is twice ``size``."""
    return [size if k % 2 else -size for k in range(count)]


def test_a_run_ends_behind_its_last_sample_by_the_clock_that_stamped_it() -> None:
    assert Run(1.5, 700, 200).end_seconds(100) == 3.5
    assert Run(1.5, 700, 200, 0.01).end_seconds(100) == pytest.approx(3.52)


def test_sound_without_any_stamp_begins_at_nought_and_is_one_run() -> None:
    assert placed([math.nan] * 3) == [Run(0.0, 0, 3 * LENGTH)]


def test_one_run_begins_with_its_first_sample_wherever_its_first_stamp_is() -> None:
    assert placed([0.5] * 20) == [Run(0.5, 0, 400)]
    (run,) = placed([math.nan, math.nan, *[0.5] * 5])
    assert (run.start_seconds, run.first, run.length) == (pytest.approx(0.5), 0, 140)


def test_stamps_that_waver_are_noise_around_the_count() -> None:
    (run,) = placed([0.25 + stray for stray in noise(41, 0.02)])
    assert (run.start_seconds, run.length, run.stretch) == (pytest.approx(0.23), 820, 0.0), "where most of them are"
    for late in ([0, 8], [0, 8, 16, 24], [0, 8, 16, 24, 32, 40, 48, 56], [0, -8, -16]):
        assert len(placed([ms * MS for ms in 6 * late])) == 1, "packets of one burst, that all go with its beginning"


# --- a clock that is off ------------------------------------------------------------------------------------------


def drift(count: int, share: float) -> list[float]:
    return [share * k * SECONDS for k in range(count)]


def test_a_clock_that_is_off_stretches_its_run() -> None:
    (run,) = placed([0.1 + late for late in drift(51, 0.01)])
    assert (run.start_seconds, run.stretch) == (pytest.approx(0.1), pytest.approx(0.01))
    assert run.end_seconds(RATE) == pytest.approx(0.1 + 51 * SECONDS * 1.01)
    (run,) = placed([0.1 - late for late in drift(51, 0.01)])
    assert (run.start_seconds, run.stretch) == (pytest.approx(0.1), pytest.approx(-0.01))


@pytest.mark.parametrize(("share", "stretch"), [(0.0049, 0.0), (0.0051, 0.0051), (-0.0049, 0.0), (-0.0051, -0.0051)])
def test_a_clock_that_is_off_by_less_than_five_milliseconds_over_the_whole_is_not(share: float, stretch: float) -> None:
    (run,) = placed(drift(51, share))  # from the first stamp to the last there is one second
    assert run.stretch == pytest.approx(stretch)
    assert run.start_seconds == pytest.approx(0.0 if stretch else share / 2, abs=1e-9)


@pytest.mark.parametrize(("share", "is_clock"), [(0.0195, True), (0.0205, False), (-0.0195, True), (-0.0205, False)])
def test_of_a_clock_that_is_off_by_more_than_a_fiftieth_only_the_first_stamp_counts(
    share: float, is_clock: bool
) -> None:
    (run,) = placed([0.3 + late for late in drift(51, share)])
    assert (run.start_seconds, run.stretch) == (pytest.approx(0.3), pytest.approx(share if is_clock else 0.0))


def test_a_clock_is_measured_over_sixteen_packets_at_least() -> None:
    assert placed(drift(16, 0.019))[0].stretch == pytest.approx(0.019)
    (run,) = placed(drift(15, 0.019))
    assert (run.stretch, run.start_seconds) == (0.0, pytest.approx(0.019 * 7 * SECONDS))


@pytest.mark.parametrize(("size", "is_clock"), [(3.0 * MS, True), (3.6 * MS, False)])
def test_a_line_is_a_clock_if_it_explains_most_of_how_stamps_stray(size: float, is_clock: bool) -> None:
    # Over 20 ms the line alone strays by 20 / √12 = 5.8 ms; what is left may be half of both together.
    (run,) = placed([late + stray for late, stray in zip(drift(51, 0.02 * 0.99), noise(51, size), strict=True)])
    assert (run.stretch != 0) == is_clock


def test_after_a_gap_a_stretched_run_goes_on_where_its_stamps_say() -> None:
    late = drift(100, 0.01)
    first, second = placed([*late[:50], *(0.5 + x for x in late[50:])])
    assert [first.stretch, second.stretch] == pytest.approx([0.01, 0.01])
    assert (second.first, second.length) == (1000, 1000)
    assert second.start_seconds == pytest.approx(0.5 + 1.01)


# --- jumps --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("jump", [0.5, -0.3])
def test_a_jump_that_stays_begins_a_run(jump: float) -> None:
    first, second = placed([0.1] * 20 + [0.1 + jump] * 30)
    assert first == Run(pytest.approx(0.1), 0, 400)
    assert second == Run(pytest.approx(0.5 + jump), 400, 600)


@pytest.mark.parametrize(
    ("jump", "tick", "runs"),
    [
        (2.9, 0.1, 1),
        (3.1, 0.1, 2),
        (2.9, 1.9, 1),
        (3.1, 1.9, 2),
        (14.9, 10, 1),
        (15.1, 10, 2),
        (-2.9, 1, 1),
        (-3.1, 1, 2),
    ],
)
def test_a_jump_is_larger_than_three_milliseconds_and_one_and_a_half_ticks(jump: float, tick: float, runs: int) -> None:
    assert len(placed([0.0] * 20 + [jump * MS] * 20, tick * MS)) == runs


@pytest.mark.parametrize(("times", "runs"), [(2.9, 1), (3.1, 2), (-2.9, 1), (-3.1, 2)])
def test_a_jump_is_three_times_what_the_stamps_stray(times: float, runs: int) -> None:
    strays = noise(40, 4 * MS)  # steps of 8 ms
    step = strays[20] - strays[19]
    jump = times * 8 * MS - step
    assert len(placed([*strays[:20], *(stray + jump for stray in strays[20:])])) == runs


def jump_among(strays: dict[int, float], jump: float) -> list[int]:
    """Runs where there is a jump (ms) behind packet 29, and steps of these sizes at these distances from it."""
    steps = np.zeros(59)
    steps[29] = jump
    for at, size in strays.items():
        steps[29 + at] = size
    return lengths([0.0, *(np.cumsum(steps) * MS).tolist()])


def test_a_jump_is_compared_with_the_steps_of_eight_packets_on_each_side() -> None:
    # Of sixteen steps thirteen must be small.
    assert jump_among({-8: 20, -7: -40, -6: 20}, 35) == [30, 30]
    assert jump_among({-8: 20, -7: -20, 7: 20, 8: -20}, 35) == [60]
    assert jump_among({-8: 20, -7: -20, 7: 20, 8: -20}, 65) == [30, 30], "three times as large as the large ones"
    assert jump_among({-9: 20, -8: -20, 6: 20, 7: -20}, 35) == [30, 30]
    assert jump_among({-7: 20, -6: -20, 8: 20, 9: -20}, 35) == [30, 30]


@pytest.mark.parametrize(("left", "runs"), [(0.61, 2), (0.59, 1)])
def test_of_a_jump_most_is_left_some_packets_later(left: float, runs: int) -> None:
    jump = 0.1
    assert len(placed([0.0] * 20 + [jump] + [left * jump] * 20)) == runs


@pytest.mark.parametrize(("later", "runs"), [(3.2, 1), (3.6, 2)])
def test_before_a_jump_the_middle_of_eight_packets_counts(later: float, runs: int) -> None:
    # Half of the eight lie 2 ms higher, so the middle is 1 ms; of nine it would be 0, of seven 2.
    before = [0.0] * 20 + [2 * MS] * 4
    assert len(placed([*before, 6 * MS, *[later * MS] * 20])) == runs


@pytest.mark.parametrize(("higher", "runs"), [(2.0, 1), (2.6, 2)])
def test_behind_a_jump_the_middle_of_eight_packets_counts(higher: float, runs: int) -> None:
    # The first of the eight lies at 4 ms, three more higher than the last four by some; the middle is between.
    behind = [4 * MS] + [(1.2 + higher) * MS] * 3 + [1.2 * MS] * 17
    assert len(placed([*[0.0] * 20, *behind])) == runs


def test_jumps_that_follow_soon_are_measured_from_the_one_before() -> None:
    assert lengths([0.0] * 10 + [-0.5] * 4 + [-0.2] * 20) == [10, 4, 20]
    assert lengths([0.0] * 10 + [0.5] * 5 + [1.0] * 20) == [10, 5, 20]


@pytest.mark.parametrize(
    ("few", "jump", "runs"), [(2, -0.09, 1), (2, -0.11, 2), (2, 0.09, 2), (3, -0.09, 2), (1, -0.09, 1)]
)
def test_where_few_packets_come_before_or_after_only_a_large_overlap_is_one(few: int, jump: float, runs: int) -> None:
    assert len(placed([0.0] * few + [jump] * 20)) == runs
    assert len(placed([0.0] * 20 + [jump] * few)) == runs


def test_few_packets_since_the_last_jump_are_few_as_well() -> None:
    assert lengths([0.0] * 20 + [0.5] * 2 + [0.42] * 20) == [20, 22]
    assert lengths([0.0] * 20 + [0.5] * 3 + [0.42] * 20) == [20, 3, 20]


def test_where_every_packet_lacks_some_of_its_sound_each_is_a_run_of_its_own() -> None:
    runs = placed([0.01 * k for k in range(5)])
    assert [(run.first, run.length) for run in runs] == [(20 * k, 20) for k in range(5)]
    assert [run.start_seconds for run in runs] == pytest.approx([0.03 * k for k in range(5)])
    assert lengths([2.9 * MS * k for k in range(5)]) == [5] and lengths([3.1 * MS * k for k in range(5)]) == [1] * 5


def test_one_packet_is_a_run_and_so_are_two_with_a_gap_between_them() -> None:
    assert placed([0.3]) == [Run(pytest.approx(0.3), 0, LENGTH)]
    assert lengths([0.0, 0.001]) == [2] and lengths([0.0, 0.5]) == [1, 1]


def test_stamps_that_stand_still_mean_nothing_but_the_first() -> None:
    assert placed([0.7 - SECONDS * k for k in range(30)]) == [Run(pytest.approx(0.7), 0, 600)]
    backwards = [0.7 - SECONDS * k for k in range(15)] + [9.0 - SECONDS * k for k in range(15)]
    assert len(placed(backwards)) == 1, "nor do their jumps"


# --- another recording --------------------------------------------------------------------------------------------


def test_stamps_that_begin_anew_are_another_recording_behind_the_first() -> None:
    one = [0.0] * 100
    runs, restart = placed_runs(packets([*one, *(-2.0 for _ in one), *(-4.0 for _ in one)]), TICK)
    assert restart == pytest.approx(2.0), "where the second begins"
    assert [run.start_seconds for run in runs] == pytest.approx([0.0, 2.0, 4.0])
    assert [(run.first, run.length) for run in runs] == [(0, 2000), (2000, 2000), (4000, 2000)]


def test_a_gap_in_another_recording_is_a_gap() -> None:
    for first_stamp in (0.0, 0.5):
        second = [-2.0 + first_stamp] * 50 + [-1.5 + first_stamp] * 50
        runs, restart = placed_runs(packets([0.0] * 100 + second), TICK)
        assert restart == pytest.approx(2.0)
        assert [run.start_seconds for run in runs] == pytest.approx([0.0, 2.0, 3.5])


def test_a_recording_whose_packets_all_lack_some_of_their_sound_may_follow_another() -> None:
    lacking = [0.01 * k for k in range(50)]
    runs, restart = placed_runs(packets([*lacking, *(late - 1.0 for late in lacking)]), TICK)
    assert (len(runs), restart) == (100, pytest.approx(1.49))


@pytest.mark.parametrize(("overlap", "restarts"), [(0.49, False), (0.51, True)])
def test_stamps_that_go_back_by_less_than_half_a_second_overlap(overlap: float, restarts: bool) -> None:
    runs, restart = placed_runs(packets([0.0] * 100 + [-overlap] * 50), TICK)
    assert (restart is not None) == restarts
    assert runs[1].start_seconds == pytest.approx(2.0 if restarts else 2.0 - overlap)


# --- places to begin at -------------------------------------------------------------------------------------------


def test_a_reader_can_begin_to_count_about_once_a_second() -> None:
    some = packets([0.0] * 160)
    ticks: list[int | None] = [5 + 20 * k for k in range(160)]
    assert anchors(some, ticks) == [(5, 0), (1005, 1000), (2005, 2000), (3005, 3000)]
    ticks[50] = None  # no stamp
    ticks[101] = ticks[100]  # one stamp for two packets names neither
    assert anchors(some, ticks) == [(5, 0), (1025, 1020), (2045, 2040), (3045, 3040)]
    assert anchors(some, [None] * 160) == []


def test_stamps_that_begin_anew_name_no_places() -> None:
    some = packets([0.0] * 100)
    ticks = [20 * k for k in range(100)]
    assert anchors(some, [*ticks[:50], *ticks[:50]]) == []
    assert anchors(some, [*ticks[:99], ticks[98] - 1]) == []
    assert anchors(some, [*ticks[:99], ticks[98]]) == [(0, 0), (1000, 1000)]
