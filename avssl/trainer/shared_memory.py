"""The shared memory through which workers hand over batches. Where it is full, torch ends in a traceback or hangs; so a
worker checks the free space first."""

from __future__ import annotations

import multiprocessing.queues
import os
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch

from avssl.errors import UserError

# Where Linux keeps shared memory; elsewhere it has no such limit.
PLACE = Path("/dev/shm")
# A batch that the training takes makes room for the next.
PATIENCE_SECONDS = 10.0
# Containers come with 64 MB; where there is less than this, it is named among the suspects.
SMALL_BYTES = 2**30
# Exit status of a worker that met a full shared memory all the same.
_FULL = 71

_KNOWN = ("allocate shared memory", "write to file </torch_", "open shared memory", "resize file", "bus error")


def must_hold(batch: Any) -> None:
    """Wait until there is room for the tensors of a batch; UserError if there is none."""
    wanted = tensor_bytes(batch)
    patience = time.monotonic() + PATIENCE_SECONDS
    while (room := total_and_free()) is not None:
        total, free = room
        if wanted <= free:
            return
        # More than there is in all never fits; else the training may just be behind.
        if wanted > total or time.monotonic() > patience:
            raise UserError(_full(f"; this batch takes {wanted / 2**20:.1f} MB"))
        time.sleep(0.05)


def end_where_it_fails() -> None:
    """In a worker: a batch that cannot be handed over ends it, where torch would print a stack and wait for ever."""
    multiprocessing.queues.Queue._on_queue_feeder_error = staticmethod(_end)  # type: ignore[attr-defined]


def why_a_worker_died(message: str) -> str | None:
    """A line about a message of torch about its workers; None if it is about something else."""
    first = (message.splitlines() or [""])[0]
    if any(known in message.lower() for known in _KNOWN) or f"exit code {_FULL}" in message:
        return _full("")
    if not first.startswith("DataLoader worker (pid"):
        return None
    room = total_and_free()
    little = room is not None and room[0] < SMALL_BYTES
    shared = f" or shared memory ({PLACE}, {room[0] / 2**20:.3g} MB)" if little and room else ""
    return f"{first}; out of memory{shared}? try fewer --workers (--workers 0) or a smaller --batch-size"


def _full(more: str) -> str:
    room = total_and_free()
    size = "" if room is None else f" of {room[0] / 2**20:.3g} MB"
    return (
        f"the shared memory{size} at {PLACE} is full, through which workers hand over batches{more}; "
        "try --workers 0 or a smaller --batch-size, or give it more (docker run --shm-size 2g)"
    )


def _end(error: Exception, item: Any) -> None:
    os._exit(_FULL)


def total_and_free() -> tuple[int, int] | None:
    """Bytes in all and free; None where the system has no such place."""
    try:
        place = os.statvfs(PLACE)
    except (OSError, AttributeError):
        return None
    return place.f_blocks * place.f_frsize, place.f_bavail * place.f_frsize


def tensor_bytes(value: Any) -> int:
    """Bytes of all tensors in a batch."""
    if isinstance(value, torch.Tensor):
        return value.nbytes
    if isinstance(value, Mapping):
        return sum(map(tensor_bytes, value.values()))
    if isinstance(value, (tuple, list)):
        return sum(map(tensor_bytes, value))
    return 0
