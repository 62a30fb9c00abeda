"""A training step on a CPU beside the bare loop: with one thread and with all, alone and beside busy processes.

Each figure is a process of its own, as how threads wait is settled when torch is imported. Rounds are interleaved.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from common.options import parse

CONFIG = "small/av-correspondence-ave.yaml"


@dataclass(frozen=True)
class Way:
    """One way to compute: a line of the table."""

    name: str
    loop: str
    threads: int
    waiting: str = "passive"


def ways(cores: int) -> list[Way]:
    """One thread and all, threads that sleep and threads that spin, the training and the bare loop."""
    return [
        Way("bare loop, 1 thread", "bare", 1),
        Way(f"bare loop, {cores} threads that spin (torch's default)", "bare", cores, "spin"),
        Way(f"bare loop, {cores} threads that sleep (avssl's default)", "bare", cores),
        Way("training, 1 thread", "training", 1),
        Way(f"training, {cores} threads (default)", "training", cores),
    ]


def child(loop: str, steps: int) -> None:
    """Print seconds of a step as JSON: by the clock, of CPU in this process, of CPU in its main thread."""
    import torch
    from common.steps import bare, options_of, prepared, task_of

    from avssl.system.cpu import freed_memory_kept
    from avssl.trainer.loop import fit
    from avssl.trainer.plan import TaskPlan
    from avssl.trainer.stepper import Stepper

    task = task_of(CONFIG)
    media = prepared(task)
    warm = 3
    options = options_of(CONFIG, device="cpu", steps=steps, log_every=1, validation_puzzles=0)
    marks: list[tuple[float, float, float]] = []

    def mark() -> None:
        marks.append((time.perf_counter(), time.process_time(), time.thread_time()))

    if loop == "bare":
        one = bare(task, media, options, torch.device("cpu"), compiled=False)
        with freed_memory_kept():  # of both alike
            for _ in range(steps):
                one.step()
                mark()
    else:
        take = Stepper.step

        def marked(*arguments: Any) -> Any:  # from the end of one step to that of the next, all that is between in it
            outcome = take(*arguments)
            mark()
            return outcome

        Stepper.step = marked  # type: ignore[method-assign]
        fit([TaskPlan(task, media)], options, progress="none")
    first, last = marks[min(warm, steps - 2)], marks[-1]
    count = len(marks) - 1 - min(warm, steps - 2)
    print(json.dumps([(b - a) / count for a, b in zip(first, last, strict=True)] + [options.batch_size]))


def measured(way: Way, steps: int) -> list[float]:
    """What a child prints."""
    environment = {k: v for k, v in os.environ.items() if k not in ("OMP_WAIT_POLICY", "GOMP_SPINCOUNT")}
    environment |= {"OMP_NUM_THREADS": str(way.threads), "PYTHONPATH": os.pathsep.join([*sys.path, str(Path.cwd())])}
    if way.waiting == "passive":
        environment["OMP_WAIT_POLICY"] = "passive"
    else:
        environment["GOMP_SPINCOUNT"] = "300000"  # libgomp's own default, where no policy is named
    words = [sys.executable, __file__, "--child", way.loop, "--steps", str(steps)]
    done = subprocess.run(words, env=environment, stdout=subprocess.PIPE, text=True, check=True)
    return [float(value) for value in json.loads(done.stdout.splitlines()[-1])]


@contextmanager
def busy(count: int, seconds: float) -> Iterator[None]:
    """Processes that compute without end, for as long as the block takes, at most so long."""
    code = f"import time\nend = time.time() + {seconds}\nwhile time.time() < end: sum(range(1000))"
    processes = [subprocess.Popen([sys.executable, "-c", code]) for _ in range(count)]
    try:
        yield
    finally:
        for process in processes:
            process.kill()
            process.wait()


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=3, help="processes of each way, interleaved")
    parser.add_argument("--steps", type=int, default=12, help="steps of each")
    parser.add_argument("--busy", type=int, default=2, help="processes that compute beside it in the second half")
    parser.add_argument("--child", choices=("bare", "training"), help=argparse.SUPPRESS)
    asked = parse(parser, rounds=1, steps=3, busy=0)
    if asked.child:
        child(asked.child, asked.steps)
        return
    from common.measure import machine, table
    from common.steps import prepared, task_of

    from avssl.system.process_pool import spare_cores

    prepared(task_of(CONFIG))  # once, before anything is measured
    rows = []
    for beside in dict.fromkeys((0, asked.busy)):
        found: dict[Way, list[list[float]]] = {way: [] for way in ways(spare_cores())}
        with busy(beside, 60.0 * asked.rounds * len(found)):
            for _ in range(asked.rounds):
                for way, seconds in found.items():
                    seconds.append(measured(way, asked.steps))
        for way, seconds in found.items():
            wall, cpu, main_thread, size = (statistics.median(each) for each in zip(*seconds, strict=True))
            figures = (f"{size / wall:.0f}", f"{size / cpu:.0f}", f"{1000 * main_thread:.0f}")
            rows.append((way.name, beside, *figures))
    print(machine(), f"load before: {os.getloadavg()[0]:.1f}", sep="; ")
    print(table(["way", "busy processes", "pairs/s", "pairs a CPU-second", "main thread, ms a step"], rows))


if __name__ == "__main__":
    main()
