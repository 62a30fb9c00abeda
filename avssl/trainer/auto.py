"""The values of ``--workers auto`` and ``--compile auto``."""

from __future__ import annotations

import copy
import math
import time
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import nn

from avssl.errors import UserError
from avssl.system.console import counted
from avssl.system.process_pool import spare_cores
from avssl.tasks.base import Batch, Task
from avssl.trainer import shared_memory
from avssl.trainer.devices import Precision
from avssl.trainer.loader import Steps
from avssl.trainer.options import TrainOptions
from avssl.trainer.schedule import Budget
from avssl.trainer.transfer import on_device

# Seconds of drawing that measure what a puzzle costs.
DRAWING_SECONDS = 1.0
# Puzzles in the step that is timed on a CPU.
STEP_PUZZLES = 8

# What a loader process takes beside its batches.
WORKER_BYTES = 300e6
# Two wait for the training (torch's prefetch_factor), one is being drawn.
BATCHES_OF_A_WORKER = 3

# A step of 256 small pairs on an H100 (17,300 pairs a second): what loader processes must keep up with on a GPU.
FASTEST_STEP_SECONDS = 0.015
# Puzzles that take no more than this share of a step to draw are drawn in the training process.
UNNOTICED = 0.02

# Compiled, a step of AVE-Net at 224 pixels takes 59 ms instead of 98 on an H100: 3,000 steps win two minutes, which is
# more than compiling takes. Of the options alone, never of a measurement: two runs must decide alike.
COMPILE_STEPS, COMPILE_MINUTES = 3000, 10.0


@dataclass(frozen=True, slots=True)
class Costs:
    """What a batch costs, in seconds of one process."""

    draw: float  # drawing it
    train: float | None  # a step on it with all cores; None where that was not measured
    bytes: float  # its size


@dataclass(frozen=True, slots=True)
class Workers:
    """A number of loader processes, and why it is that."""

    count: int
    reason: str


def count_of(options: TrainOptions) -> int:
    """The number of loader processes, where it is settled; one where it is not: a part of a training by itself."""
    return 1 if options.workers == "auto" else options.workers


def compiles(options: TrainOptions, budget: Budget, device: torch.device, processes: int) -> bool:
    """Whether the networks are compiled."""
    if options.compile != "auto":
        return options.compile
    if device.type != "cuda" or processes > 1:
        return False
    if budget.steps is not None:
        return budget.steps >= COMPILE_STEPS
    return budget.seconds is not None and budget.seconds >= 60 * COMPILE_MINUTES


def measure(steps: Steps, first: int, networks: nn.ModuleDict, precision: Precision, channels_last: bool) -> Costs:
    """Draw puzzles of the step ``first`` for a second, and train a copy of the network on a few of them.

    Nothing of it stays: puzzles are functions of their keys, and are drawn again when their turn comes.
    """
    plan, keys = steps.keys(first)[0]
    source = steps.sources[plan]
    puzzles = []
    with suppress(UserError):  # a file that cannot be read is reported when its turn comes
        puzzles.append(source.draw(keys[-1], steps.on_bad_file, []))  # the first opens files and imports what it needs
        began = time.perf_counter()
        for key in keys:
            puzzles.append(source.draw(key, steps.on_bad_file, []))
            if time.perf_counter() - began > DRAWING_SECONDS:
                break
    if len(puzzles) < 2:
        return Costs(0.0, None, 0.0)
    own = steps.batch_size // steps.size
    each = (time.perf_counter() - began) / (len(puzzles) - 1)
    few = source.task.collate(puzzles[:STEP_PUZZLES])
    size = shared_memory.tensor_bytes(few) / len(puzzles[:STEP_PUZZLES]) * own
    train = None
    if precision.device.type == "cpu" and steps.size == 1:  # a loss over several processes would wait for the others
        few = on_device(source.task, few, precision.device, channels_last)
        network = copy.deepcopy(networks[source.task.name])
        train = _step_seconds(source.task, network, few, precision)
        train *= own / len(puzzles[:STEP_PUZZLES])
    return Costs(each * own, train, size)


def seconds_between_steps(draw: float, train: float, workers: int, on_cpu: bool) -> float:
    """From one step to the next: what lasts longest, the training, the loaders, or on a CPU the cores they share."""
    if not workers:
        return train + draw
    # On a CPU the loaders take cores from the training: the work of both, divided by all, is a bound, too.
    shared = train + draw / spare_cores() if on_cpu else 0.0
    return max(train, draw / workers, shared)


def choose_workers(costs: Costs, device: torch.device, local_processes: int = 1, steps: int | None = None) -> Workers:
    """As many loader processes as keep the training busy, within what cores and memory allow."""
    cores = max(1, spare_cores() // local_processes)
    if device.type == "cpu":
        train = costs.train or 0.0
        if costs.train is not None and costs.draw <= UNNOTICED * train:
            wanted = 0
        else:
            # Both have the same cores to share: the loaders get what drawing is of the work.
            wanted = max(1, min(cores, math.ceil(cores * costs.draw / max(costs.draw + cores * train, 1e-9))))
    else:
        wanted = max(1, min(cores - 1, math.ceil(costs.draw / FASTEST_STEP_SECONDS)))
    room = _room(costs.bytes, local_processes)
    count = min(wanted, room, wanted if steps is None else steps)
    trained = "" if costs.train is None else f" and {costs.train:.2g} s to train"
    short = "; memory has room for no more" if room < wanted else ""
    of = counted(cores, "core")
    return Workers(count, f"a batch takes {costs.draw:.2g} s to draw{trained} on {of}{short}")


def _step_seconds(task: Task, network: nn.Module, batch: Batch, precision: Precision) -> float:
    """Of forward and backward pass; the least of two, as the first one prepares kernels."""
    taken = []
    for _ in range(2):
        began = time.perf_counter()
        try:
            with precision.autocast():
                found = task.loss(network, batch).loss
            found.backward()
        except UserError:  # of so few puzzles no batch can be made: a loss that needs more of them
            return 0.0
        taken.append(time.perf_counter() - began)
    return min(taken)


def _room(batch_bytes: float, local_processes: int) -> int:
    """How many loader processes the memory has room for, half of it left alone."""
    batches = BATCHES_OF_A_WORKER * batch_bytes
    found = [math.inf]
    memory, shared = _available_bytes(), shared_memory.total_and_free()
    if memory is not None:
        found.append(memory / 2 / local_processes / (WORKER_BYTES + batches))
    if shared is not None and batches:
        found.append(shared[1] / 2 / local_processes / batches)
    return int(min(*found, 1 << 10))


def _available_bytes() -> float | None:
    """Memory that is free or can be freed, within what the container allows; None where the system does not show it."""
    try:
        lines = Path("/proc/meminfo").read_text().splitlines()
    except OSError:
        return None
    free = [int(line.split()[1]) * 1024 for line in lines if line.startswith("MemAvailable")]
    try:
        limit, used = (Path(f"/sys/fs/cgroup/memory.{name}").read_text() for name in ("max", "current"))
        free.append(int(limit) - int(used))
    except (OSError, ValueError):  # no container, or no limit: "max"
        pass
    return min(free, default=None)
