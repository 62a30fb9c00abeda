"""The cost of a step on this machine: a few steps of a training that leave nothing behind."""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path

import torch

from avssl.system.console import quiet
from avssl.trainer.devices import choose_device
from avssl.trainer.loop import fit
from avssl.trainer.options import TrainOptions
from avssl.trainer.plan import Sharing, TaskPlan, run_on_keys
from avssl.trainer.shared_memory import tensor_bytes

# On a CPU a part of the batch is tried, which takes that part of its time and memory; on a GPU it does not.
CPU_PUZZLES, CPU_STEPS, GPU_STEPS = 16, 3, 10


# Puzzles drawn to estimate the size of a batch.
SIZED_PUZZLES = 2


@dataclass(frozen=True)
class Rehearsal:
    """What one step of the whole batch takes."""

    train_seconds: float  # training it, with all cores or the GPU
    draw_seconds: float  # drawing its puzzles in one process
    batch_bytes: float  # its tensors
    memory_bytes: float  # the training process at its largest, on a GPU the GPU's memory
    weights_bytes: int  # of the networks


def rehearse(plans: Sequence[TaskPlan], options: TrainOptions, sharing: Sharing | None = None) -> Rehearsal:
    """Train a few steps and forget them; raises as the training itself."""
    device = choose_device(options.device)
    on_gpu = device.type == "cuda"
    piece = options.batch_size // options.accumulate
    tried = piece if on_gpu else min(piece, CPU_PUZZLES)
    steps = len(plans) * (GPU_STEPS if on_gpu else CPU_STEPS)
    brief = replace(
        options,
        steps=steps,
        epochs=None,
        minutes=None,
        batch_size=tried,
        accumulate=1,
        workers=0,  # then what is waited for data is what drawing takes
        compile=False,
        log_every=1,
        validation_puzzles=0,
    )
    before = _peak_bytes(device, reset=True)
    with quiet():
        result = fit(plans, brief, None, sharing=sharing, progress="none")
    grown = max(_peak_bytes(device) - before, 0.0)
    at = {line["step"]: line for line in result.history}
    # The first step of each task prepares kernels and opens files.
    later = [(at[n]["seconds"] - at[n - 1]["seconds"], at[n]["data_wait"]) for n in range(len(plans) + 1, steps + 1)]
    share = options.batch_size / tried
    task, media = plans[0].task, plans[0].train
    few = [task.draw(media, key) for key in run_on_keys(options.seed, 0, SIZED_PUZZLES, task.length(media))]
    weights = {id(value): value.nbytes for net in result.networks.values() for value in net.state_dict().values()}
    return Rehearsal(
        train_seconds=share * statistics.median(seconds * (1 - waited) for seconds, waited in later),
        draw_seconds=share * statistics.median(seconds * waited for seconds, waited in later),
        batch_bytes=tensor_bytes(task.collate(few)) / SIZED_PUZZLES * options.batch_size,
        memory_bytes=before + grown * piece / tried,
        weights_bytes=sum(weights.values()),
    )


def _peak_bytes(device: torch.device, *, reset: bool = False) -> float:
    """The most memory since the last reset: the GPU's, or this process's (0 where the system does not show it)."""
    if device.type == "cuda":
        if reset:
            torch.cuda.reset_peak_memory_stats(device)
        return float(torch.cuda.max_memory_allocated(device))
    with suppress(OSError, ValueError, StopIteration):
        if reset:
            Path("/proc/self/clear_refs").write_text("5")  # proc(5): the peak is that of now
        lines = Path("/proc/self/status").read_text().splitlines()
        return 1024.0 * next(int(line.split()[1]) for line in lines if line.startswith("VmHWM"))
    return 0.0
