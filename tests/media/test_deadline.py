"""A busy machine makes everything late and nothing hang; what hangs is given up all the same."""

from __future__ import annotations

import threading
import time
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from media.made import Recipe, make

import avssl
from avssl.errors import MediaError
from avssl.media.containers import demux as container
from avssl.media.containers.demux import Deadline
from avssl.system import process_pool
from avssl.system.process_pool import Lost, _Watch, each

SPIN = "[None for _ in iter(int, 1)]"
SLEEP = "__import__('time').sleep(60)"
SLOW = (
    "[(__import__('avssl.system.process_pool').system.process_pool.progressed(), [None for _ in range(10**5)]) and 0 "
    "for _ in iter(lambda t=__import__('time').process_time()+1.2: __import__('time').process_time() > t, True)][:1]"
)


class Worker:
    """A process as the watch sees it: what it has worked, second by second."""

    def __init__(self, rate: float) -> None:
        self.rate, self.began, self.killed = rate, time.monotonic(), threading.Event()

    def cpu_seconds(self) -> float:
        return self.rate * (time.monotonic() - self.began)

    def kill(self) -> None:
        self.killed.set()


@pytest.mark.parametrize(
    ("rate", "words", "given_up"),
    [
        (0.05, False, False),  # a busy machine gives it a twentieth of a core
        (1.0, False, True),  # it works and works
        (0.0, False, True),  # it waits for something that does not come
        (1.0, True, False),  # it works, and gets on
    ],
)
def test_a_worker_is_given_up_for_its_work_and_not_for_the_time_that_passes(
    rate: float, words: bool, given_up: bool
) -> None:
    worker: Any = Worker(rate)
    watch = _Watch(worker, 0.2)
    end = time.monotonic() + 1.5
    while time.monotonic() < end and not worker.killed.is_set():
        if words:
            watch.progressed()
        time.sleep(0.01)
    watch.stop()
    assert worker.killed.is_set() == watch.overran == given_up


@pytest.mark.parametrize("job", [SPIN, SLEEP])
def test_a_job_that_hangs_is_given_up_and_that_may_pass(job: str) -> None:
    answers = dict(each(eval, [job, "2"], workers=1, seconds=lambda job: 1.0))
    assert answers == {0: Lost("not done after 1 s", passing=True), 1: 2}


def test_a_job_that_says_that_it_gets_on_is_not_given_up() -> None:
    assert dict(each(eval, [SLOW], workers=1, seconds=lambda job: 0.8)) == {0: [0]}


@pytest.fixture
def worked(monkeypatch: pytest.MonkeyPatch) -> SimpleNamespace:
    """This thread's CPU time, as set."""
    clock = SimpleNamespace(seconds=0.0)
    monkeypatch.setattr(container.time, "thread_time", lambda: clock.seconds)
    return clock


def _packet(pos: int | None, dts: int = 0, stream: int = 0) -> Any:
    return SimpleNamespace(pos=pos, dts=dts, stream_index=stream)


def test_a_reading_that_gets_on_may_take_as_long_as_it_takes(worked: SimpleNamespace) -> None:
    deadline = Deadline("a.avi", 60.0)
    for step in range(100):
        worked.seconds += 30
        deadline.progressed(_packet(step))
        deadline.check()
    deadline.new_pass()
    worked.seconds += 59
    deadline.progressed(_packet(0))
    worked.seconds += 59
    deadline.check()


@pytest.mark.parametrize("packets", [[_packet(5)] * 9, [_packet(n % 3) for n in range(9)], [_packet(None, 7)] * 9])
def test_a_reading_that_turns_in_circles_is_given_up(worked: SimpleNamespace, packets: list[Any]) -> None:
    deadline = Deadline("a.avi", 60.0)
    with pytest.raises(MediaError, match="took longer than 60 s and was given up"):
        for packet in packets:
            worked.seconds += 20
            deadline.check()
            deadline.progressed(packet)


def test_streams_that_lie_one_after_the_other_in_a_file_each_get_on(worked: SimpleNamespace) -> None:
    deadline = Deadline("a.mp4", 60.0)
    deadline.progressed(_packet(10**9, stream=1))
    for step in range(10):
        worked.seconds += 40
        deadline.check()
        deadline.progressed(_packet(step, stream=0))


def test_another_thread_has_a_clock_of_its_own() -> None:
    deadline = Deadline("a.avi", 0.2)
    end = time.thread_time() + 0.3
    while time.thread_time() < end:
        pass
    failed: list[BaseException] = []
    thread = threading.Thread(target=lambda: _tried(deadline, failed))
    thread.start()
    thread.join()
    assert not failed


def _tried(deadline: Deadline, failed: list[BaseException]) -> None:
    try:
        deadline.check()
    except MediaError as error:
        failed.append(error)


def test_a_file_that_hung_is_looked_at_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = tmp_path / "videos"
    folder.mkdir()
    make(folder, Recipe("mp4", frames=12, sound_seconds=1.3), "a")
    make(folder, Recipe("mp4", frames=12, sound_seconds=1.3), "b")
    real = container.Deadline.check
    monkeypatch.setattr(container.Deadline, "check", _hanging_on("b.mp4", real))
    media = avssl.open(folder, progress=False, workers=0, index=tmp_path / "index")
    assert [reason for _, reason in media.rejected] == ["unreadable: reading took longer than 60 s and was given up"]
    monkeypatch.setattr(container.Deadline, "check", real)
    assert len(avssl.open(folder, progress=False, workers=0, index=tmp_path / "index")) == 2


def _hanging_on(name: str, real: Any) -> Any:
    def check(self: Deadline) -> None:
        if self.path.endswith(name):
            raise MediaError(self.path, f"reading took longer than {self.seconds:g} s and was given up")
        real(self)

    return check


def test_saying_that_it_gets_on_outside_of_a_worker_does_nothing() -> None:
    process_pool.progressed()
