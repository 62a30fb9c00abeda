"""The second core by threads or by processes: one training of one batch, both ways, beside one thread.

Each figure is a training of its own, rounds are interleaved. Beside them two trainings of half the batch that share
nothing but the machine: no way can give more than that.
"""

from __future__ import annotations

import argparse
import json
import os
import socket
import statistics
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

from common.options import parse

CONFIG = "small/av-correspondence-ave.yaml"


@dataclass(frozen=True)
class Way:
    """A line of the table."""

    name: str
    processes: int
    threads: int
    together: bool = True


WAYS = (
    Way("one process, 1 thread", 1, 1),
    Way("one process, 2 threads", 1, 2),
    Way("two processes that share the batch, 1 thread each", 2, 1),
    Way("two trainings of half the batch each, on their own", 2, 1, together=False),
)


def child(config: str, steps: int, share: int) -> None:
    """Print as JSON: puzzles in a step of this training, seconds of a step by the clock, and of CPU in this process."""
    from common.steps import options_of, prepared, task_of

    from avssl.trainer.loop import fit
    from avssl.trainer.plan import TaskPlan

    task = task_of(config)
    marks: list[tuple[float, float]] = []
    loss = task.loss

    def marked(*arguments: object) -> object:  # a step from one loss to the next, all that is between them in it
        marks.append((time.perf_counter(), time.process_time()))
        return loss(*arguments)

    task.loss = marked  # type: ignore[method-assign, assignment]
    whole = options_of(config).batch_size
    options = options_of(
        config, device="cpu", steps=steps, log_every=1, validation_puzzles=0, workers=0, batch_size=whole // share
    )
    fit([TaskPlan(task, prepared(task))], options, progress="none")
    marks = marks[-(steps - 3) :]  # the first steps warm up
    wall, cpu = ((last - first) / (len(marks) - 1) for first, last in zip(marks[0], marks[-1], strict=True))
    print(json.dumps([options.batch_size, wall, cpu]))


def measured(way: Way, config: str, steps: int) -> tuple[float, float]:
    """Puzzles a second and CPU seconds a puzzle, of all processes of this way."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        meeting = {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(free.getsockname()[1])}
    share = 1 if way.together else way.processes
    started = []
    for rank in range(way.processes):
        environment = os.environ | {
            "OMP_NUM_THREADS": str(way.threads),
            "PYTHONPATH": os.pathsep.join([*sys.path, str(Path.cwd())]),
            "OMP_WAIT_POLICY": "passive",  # as avssl sets it, but torch is imported before it here
            "TORCH_CPP_LOG_LEVEL": "ERROR",
        }
        if way.together and way.processes > 1:
            environment |= meeting | {"WORLD_SIZE": str(way.processes), "RANK": str(rank), "LOCAL_RANK": str(rank)}
        words = [sys.executable, __file__, "--child", str(share), "--config", config, "--steps", str(steps)]
        started.append(subprocess.Popen(words, env=environment, stdout=subprocess.PIPE, text=True))
    found = [json.loads(process.communicate()[0].splitlines()[-1]) for process in started]
    sizes, walls, cpus = zip(*found, strict=True)
    per_second = sizes[0] / walls[0] if way.together else sum(s / w for s, w in zip(sizes, walls, strict=True))
    return per_second, sum(cpus) / (sizes[0] if way.together else sum(sizes))


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=3, help="trainings of each way, interleaved")
    parser.add_argument("--steps", type=int, default=12, help="steps of each")
    parser.add_argument("--config", default=CONFIG, help="a recipe below configs/")
    parser.add_argument("--child", type=int, help=argparse.SUPPRESS)
    asked = parse(parser, rounds=1, steps=6)
    if asked.child:
        child(asked.config, asked.steps, asked.child)
        return
    from common.measure import machine, table
    from common.steps import prepared, task_of

    prepared(task_of(asked.config))  # once, before anything is measured
    load = os.getloadavg()[0]
    found: dict[Way, list[tuple[float, float]]] = {way: [] for way in WAYS}
    for _ in range(asked.rounds):
        for way, figures in found.items():
            figures.append(measured(way, asked.config, asked.steps))
    medians = {way: [statistics.median(each) for each in zip(*figures, strict=True)] for way, figures in found.items()}
    one = medians[WAYS[0]][0]
    print(machine(), asked.config, f"load before: {load:.1f}", sep="; ")
    rows = [
        (way.name, f"{rate:.0f}", f"{rate / one / 2:.0%}", f"{1 / cpu:.0f}") for way, (rate, cpu) in medians.items()
    ]
    print(table(["way", "puzzles/s", "of twice one thread's", "puzzles a CPU-second"], rows))


if __name__ == "__main__":
    main()
