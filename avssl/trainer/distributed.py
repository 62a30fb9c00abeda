"""Several processes, one training: started by ``torchrun``, joined here.

The ranks work on slices of one batch and average their gradients (torch's DistributedDataParallel does, in
:mod:`avssl.trainer.stepper`), so that two processes take the steps that one would take. Only rank 0 writes.
"""

from __future__ import annotations

import atexit
import gc
import os
import time
import traceback
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, TypeVar
from uuid import uuid4

import torch
import torch.distributed as dist
from torch._C._distributed_c10d import PrefixStore, Store
from torch.distributed.rendezvous import rendezvous

from avssl.errors import UserError, reason_of
from avssl.system.ranks import processes

T = TypeVar("T")

OTHER_FAILED = "stopped, because another process of this training failed; see its message"

# How long a rank waits for a plain value: rank 0 may measure its data for hours while the others wait. A rank that died
# is noticed at once, as its connections close.
_PATIENCE = timedelta(days=1)


# Rank 0 asks the store so often whether the others have answered: processes start within seconds of each other.
_ASK_EVERY_SECONDS = 0.02


@dataclass(frozen=True)
class World:
    """The processes of this training. With a single process every method does nothing."""

    rank: int = 0
    size: int = 1
    local_rank: int = 0

    @property
    def writes(self) -> bool:
        """Whether this process is the one that writes."""
        return self.rank == 0

    def broadcast(self, value: T) -> T:
        """The value of rank 0, on every rank."""
        if self.size == 1:
            return value
        box = [value if self.rank == 0 else None]
        dist.broadcast_object_list(box, src=0, group=_objects_group())
        return box[0]  # type: ignore[return-value]

    def gathered(self, values: Sequence[T]) -> list[T]:
        """The values of all ranks, in rank order."""
        if self.size == 1:
            return list(values)
        box: list[Any] = [None] * self.size
        dist.all_gather_object(box, list(values), group=_objects_group())
        return [value for part in box for value in part]

    def greatest(self, *values: float) -> list[float]:
        """The greatest of each value over the ranks."""
        return self._reduced(values, dist.ReduceOp.MAX)()

    def greatest_soon(self, values: Callable[[], Sequence[float]]) -> Callable[[], Sequence[float]]:
        """:meth:`greatest` in two halves: sent now, and waited for when the returned function is called.

        A process alone has nobody to send to: its values are those of the later moment.
        """
        return values if self.size == 1 else self._reduced(values(), dist.ReduceOp.MAX)

    def total(self, values: Sequence[float]) -> list[float]:
        """The sum of each value over the ranks."""
        return self._reduced(values, dist.ReduceOp.SUM)()

    def _reduced(self, values: Sequence[float], how: Any) -> Callable[[], list[float]]:
        box = torch.tensor(values, dtype=torch.float64)  # counts of puzzles stay exact
        work = dist.all_reduce(box, how, group=_objects_group(), async_op=True) if self.size > 1 else None

        def arrived() -> list[float]:
            if work is not None:
                work.wait()
            return box.tolist()

        return arrived

    @contextmanager
    def together(self) -> Iterator[None]:
        """Where the block fails for one rank, every rank leaves with an error instead of waiting for ever.

        Raises:
            UserError: the rank's own, or one that another process failed.
        """
        error: UserError | None = None
        try:
            yield
        except UserError as caught:
            error = caught
        failed = self.greatest(float(error is not None))[0]
        if error is not None:
            raise error
        if failed:
            raise UserError(OTHER_FAILED)

    @contextmanager
    def ending_with_others(self) -> Iterator[None]:
        """Within, a rank that is left alone ends in one line; one that fails leaves, so that nobody waits for it.

        Raises:
            UserError: another process ended while this one waited for it.
        """
        try:
            yield
        except BaseException as error:
            if self.size > 1:
                # The sockets close with the last reference, and the frames of the traceback hold some.
                traceback.clear_frames(error.__traceback__)
                _leave()
                if isinstance(error, RuntimeError) and _left_alone(error):
                    raise UserError(OTHER_FAILED) from None
            raise


def join(device: str) -> World:
    """This process's place among those that torchrun started; alone, where it started none.

    Gradients travel by NCCL between GPUs, by gloo between CPUs: as ``--device`` is.

    Raises:
        UserError: the processes do not find each other, or the device cannot be shared by several.
    """
    if processes() == 1 and not dist.is_initialized():
        return World()
    if not dist.is_initialized():
        if device == "mps":
            raise UserError("--device mps: several processes train on --device cpu or on CUDA GPUs")
        on_gpu = device.startswith("cuda") or (device == "auto" and torch.cuda.is_available())
        try:
            store, rank, size = next(rendezvous("env://"))
            store = PrefixStore(_attempt(store, rank, size), store)
            dist.init_process_group("nccl" if on_gpu else "gloo", store=store, rank=rank, world_size=size)
            _objects_group()
        except (RuntimeError, ValueError) as error:  # ValueError: a variable that torchrun sets is missing
            raise UserError(
                f"the {processes()} processes of this training did not find each other ({reason_of(error)}); start "
                "them by torchrun, with one --rdzv-endpoint for all machines"
            ) from None
        atexit.register(_leave)
    local_rank = int(os.environ.get("LOCAL_RANK", dist.get_rank()))
    return World(dist.get_rank(), dist.get_world_size(), local_rank)


def _attempt(store: Store, rank: int, size: int) -> str:
    """A name for this start of the processes that none of them has had before.

    torchrun keeps one store for all its restarts, where the addresses of dead processes still stand under the names
    that new ones look up. So rank 0 draws a name and gives it to whoever asks, until each rank of now has answered:
    what a dead one asked stays without an answer.
    """
    token = uuid4().hex
    if rank > 0:
        store.set(f"ask/{rank}", token)
        name = store.get(f"name/{token}").decode()
        store.set(f"answer/{name}/{rank}", "")
        return name
    for other in range(1, size):
        while not store.check([f"answer/{token}/{other}"]):
            asked = store.get(f"ask/{other}").decode()
            store.set(f"name/{asked}", token)
            time.sleep(_ASK_EVERY_SECONDS)
    return token


def _leave() -> None:
    """End the groups: the others notice. Threads of a group that still run may abort the interpreter when it exits."""
    if dist.is_initialized():
        dist.destroy_process_group()
    _groups.clear()
    gc.collect()


def _left_alone(error: RuntimeError) -> bool:
    """Whether a collective failed because another process is gone: torch has no type of its own for what gloo says."""
    return isinstance(error, dist.DistError) or "gloo" in str(error)


_groups: list[Any] = []


def _objects_group() -> Any:
    """The process group for plain values: on the CPU, whatever carries the gradients."""
    if not _groups:
        _groups.append(dist.new_group(backend="gloo", timeout=_PATIENCE))
    return _groups[0]
