"""Jobs in separate processes, where a crash or a hang costs one job and not the run.

A thread stands beside each process, hands it one job at a time, and starts another if it is lost. A job has its time in
CPU seconds since it last got on, so that a busy machine refuses no file, and a decoder that waits for ever is noticed.

Why no library. ``multiprocessing`` and pebble run the caller's script again in each process that they spawn: a plain
script that says ``avssl.open("videos/")`` ends in "All workers expired". loky does not, but one ``abort()`` fails
every job that waits (TerminatedWorkerError), and its jobs have no time limits. pebble on loky's processes keeps both
promises, with limits by the clock: with 1.5 s for jobs of 1 s of work, it gave up all six on two busy cores. What
measures work (:class:`_Watch`) would stay ours, without a way to the process that it watches. (pebble 5.2, loky 3.7.)
"""

from __future__ import annotations

import math
import os
import pickle
import queue
import signal
import struct
import subprocess
import sys
import threading
import time
import traceback
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any, Generic, TypeVar

from avssl.errors import UserError

J = TypeVar("J")
R = TypeVar("R")


@dataclass(frozen=True, slots=True)
class Lost:
    """What a job came to whose process died or overran its time."""

    reason: str
    # Whether another try may end otherwise: it was ended from outside (out of memory), or overran its time.
    passing: bool = False


def spare_cores() -> int:
    """How many cores this process may use: of those there are, what its affinity and its container allow."""
    there = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    try:
        quota, period = Path("/sys/fs/cgroup/cpu.max").read_text().split()  # cgroup v2: "max 100000", "150000 100000"
        return min(there, max(1, math.ceil(int(quota) / int(period))))
    except (OSError, ValueError):
        return there


def each(
    function: Callable[[J], R],
    jobs: Sequence[J],
    workers: int | None = None,
    seconds: Callable[[J], float] = lambda job: 120.0,
    ahead: int = 256,
) -> Iterator[tuple[int, R | Lost]]:
    """Answer ``function(job)`` for each job, as (its place in ``jobs``, the answer), in the order of finishing.

    Args:
        function: importable by name; what it raises is raised here.
        jobs: things that can be pickled.
        workers: processes; None takes the cores there are, 0 works in this process (no crash is caught).
        seconds: a job counts as hanging once its process has worked for so long (CPU time, so that a busy machine
            does no harm) or has slept for so long, without progress (:func:`progressed`).
        ahead: answers that may wait to be taken; of large ones let it be few.

    Raises:
        UserError: fewer than 0 processes.
    """
    if workers is not None and workers < 0:
        raise UserError(f"workers ({workers}) must not be negative")
    if workers == 0:
        yield from ((place, function(job)) for place, job in enumerate(jobs))
        return
    count = min(spare_cores() if workers is None else workers, len(jobs))
    pool = _Pool(function, jobs, seconds, ahead)
    try:
        yield from pool.run(count)
    finally:
        pool.stop()


class _Pool(Generic[J, R]):
    def __init__(
        self, function: Callable[[J], R], jobs: Sequence[J], seconds: Callable[[J], float], ahead: int
    ) -> None:
        self._function = function
        self._jobs = jobs
        self._seconds = seconds
        self._waiting = iter(range(len(jobs)))
        self._lock = threading.Lock()
        # Bounded, so that a slow reader of the answers does not let them pile up.
        self._answers: queue.Queue[tuple[int, R | Lost | _Raised]] = queue.Queue(maxsize=ahead)
        self._processes: set[_Process] = set()
        self._stopping = False

    def run(self, count: int) -> Iterator[tuple[int, R | Lost]]:
        for _ in range(count):
            threading.Thread(target=self._work, daemon=True).start()
        for _ in self._jobs:
            place, answer = self._answers.get()
            if isinstance(answer, _Raised):
                raise answer.error
            yield place, answer

    def stop(self) -> None:
        with self._lock:
            self._stopping = True
            processes = list(self._processes)
        for process in processes:
            process.kill()
        while not self._answers.empty():  # let threads that wait for room go on, and end
            self._answers.get_nowait()

    def _work(self) -> None:
        process: _Process | None = None
        while (place := self._next()) is not None:
            try:
                if process is None:
                    process = self._start()
                answer = process.ask(self._jobs[place], self._seconds(self._jobs[place]))
            except Exception as error:  # a thread cannot raise to its caller: handed over and raised there
                answer = _Raised(error)
            if isinstance(answer, Lost):
                self._end(process)
                process = None
            self._answers.put((place, answer))
        self._end(process)

    def _next(self) -> int | None:
        with self._lock:
            return None if self._stopping else next(self._waiting, None)

    def _start(self) -> _Process:
        process = _Process(self._function)
        with self._lock:
            self._processes.add(process)
            if self._stopping:
                process.kill()
        return process

    def _end(self, process: _Process | None) -> None:
        if process is not None:
            process.close()
            with self._lock:
                self._processes.discard(process)


@dataclass(frozen=True, slots=True)
class _Raised:
    error: BaseException


# A process that works less than this share of the time waits for something that does not come.
SLEEPS_SHARE = 0.001
# Signals that another sends: the system when memory runs out, a person, a job scheduler, a file cut while mapped.
_FROM_OUTSIDE = {signal.SIGTERM, signal.SIGINT, *(getattr(signal, name, None) for name in ("SIGKILL", "SIGBUS"))}

_BOOT = "import sys; sys.path[:] = sys.argv[1:]; from avssl.system.process_pool import _serve; _serve()"


class _Process:
    """One process that answers jobs, seen from the thread beside it."""

    def __init__(self, function: Callable[[Any], Any]) -> None:
        self._popen = subprocess.Popen(
            [sys.executable, "-c", _BOOT, *sys.path],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            start_new_session=True,  # Ctrl-C reaches this process alone, which then ends the others
        )
        assert self._popen.stdin is not None
        assert self._popen.stdout is not None
        self._to, self._from = self._popen.stdin, self._popen.stdout
        self._function = function
        self._greeted = False

    def ask(self, job: Any, seconds: float) -> Any:
        """The answer of the process, or :class:`Lost`."""
        watch = _Watch(self, seconds)
        try:
            if not self._greeted:
                _send(self._to, self._function)
                self._greeted = True
            _send(self._to, job)
            while (data := _message(self._from)) == _PROGRESS:
                watch.progressed()
            return pickle.loads(data)
        except (EOFError, OSError):
            if watch.overran:
                return Lost(f"not done after {seconds:.0f} s", passing=True)
            status = self._popen.wait()
            return Lost(_exit_reason(status), passing=-status in _FROM_OUTSIDE)
        finally:
            watch.stop()

    def cpu_seconds(self) -> float | None:
        """What the process has worked so far; None where the system does not show it."""
        try:
            fields = Path(f"/proc/{self._popen.pid}/stat").read_text().rpartition(")")[2].split()
            return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")
        except (OSError, ValueError, IndexError):
            return None

    def kill(self) -> None:
        self._popen.kill()

    def close(self) -> None:
        self._popen.kill()
        self._popen.wait()
        with suppress(OSError):  # what the process did not read any more
            self._to.close()
        self._from.close()


class _Watch:
    """Ends a process that hangs: looked at only when so much time has passed that it could."""

    def __init__(self, process: _Process, seconds: float) -> None:
        self.overran = False
        self._process = process
        self._seconds = seconds
        self._got_on = threading.Event()
        self._end = threading.Event()
        threading.Thread(target=self._run, daemon=True).start()

    def progressed(self) -> None:
        self._got_on.set()

    def stop(self) -> None:
        self._end.set()

    def _run(self) -> None:
        since = self._process.cpu_seconds()  # when it last got on
        before, wait = since, self._seconds
        while not self._end.wait(wait):
            now = self._process.cpu_seconds()
            worked = self._seconds if now is None or since is None else now - since
            slept = now is None or before is None or now - before < SLEEPS_SHARE * wait
            before = now
            if self._got_on.is_set():
                self._got_on.clear()
                since, wait = now, self._seconds
            elif worked >= self._seconds or (slept and wait >= self._seconds):
                self.overran = True
                self._process.kill()
                return
            else:
                # A thread alone cannot work longer than that in less time; nor is a nap a sleep.
                wait = self._seconds if slept else max(self._seconds - worked, 0.5)


def _exit_reason(status: int) -> str:
    return f"the decoder crashed (signal {-status})" if status < 0 else f"the decoder gave up (status {status})"


# A message of no bytes: the job is not done, but gets on.
_PROGRESS = b""
_PROGRESS_EVERY_SECONDS = 1.0


class _Sender:
    to: IO[bytes] | None = None
    sent = 0.0


_sender = _Sender()


def progressed() -> None:
    """Say from within a job that it gets on, so that it is not given up; elsewhere this does nothing."""
    if _sender.to is not None and time.monotonic() - _sender.sent > _PROGRESS_EVERY_SECONDS:
        _sender.sent = time.monotonic()
        with suppress(BrokenPipeError):  # the other end has gone, which the answer will notice
            _send_bytes(_sender.to, _PROGRESS)


def _serve() -> None:
    """The life of a process: a function, then jobs, until the other end closes."""
    # Native libraries may print: keep that out of the answers.
    to = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)
    come = sys.stdin.buffer
    try:
        function = pickle.loads(_message(come))
        _sender.to = to
        while True:
            job = pickle.loads(_message(come))
            try:
                answer = function(job)
            except Exception as error:  # raised where the job came from; its own stack does not travel, its text does
                error.add_note(f"in a worker process:\n{traceback.format_exc().rstrip()}")
                answer = _Raised(error)
            _send(to, answer)
    except (EOFError, BrokenPipeError):
        pass  # the other end has gone


def _send(pipe: IO[bytes], value: Any) -> None:
    _send_bytes(pipe, pickle.dumps(value, protocol=pickle.HIGHEST_PROTOCOL))


def _send_bytes(pipe: IO[bytes], data: bytes) -> None:
    pipe.write(struct.pack("<Q", len(data)) + data)
    pipe.flush()


def _message(pipe: IO[bytes]) -> bytes:
    return _exactly(pipe, struct.unpack("<Q", _exactly(pipe, 8))[0])


def _exactly(pipe: IO[bytes], count: int) -> bytes:
    data = pipe.read(count)
    if len(data) < count:
        raise EOFError
    return data
