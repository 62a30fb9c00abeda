"""Several processes, one training: started by ``torchrun``, joined here.

The ranks work on slices of one batch and average their gradients, so that two processes take the steps
that one would take. Only rank 0 writes.
"""

from __future__ import annotations

import atexit
import gc
import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, TypeVar

import torch
import torch.distributed as dist
from torch import Tensor, nn

from avssl.errors import UserError

T = TypeVar("T")

BUCKET_ELEMENTS = 1 << 23
"""Elements in one all-reduce: 32 MB, large enough for the wire, small enough beside the weights."""


@dataclass(frozen=True)
class World:
    """The processes of this training. With a single process every method does nothing."""

    rank: int = 0
    size: int = 1
    local_rank: int = 0
    objects: Any = None
    """The process group for plain values (on the CPU, whatever carries the gradients)."""

    @property
    def writes(self) -> bool:
        """Whether this process is the one that writes."""
        return self.rank == 0

    def broadcast(self, value: T) -> T:
        """The value of rank 0, on every rank."""
        if self.size == 1:
            return value
        box = [value if self.rank == 0 else None]
        dist.broadcast_object_list(box, src=0, group=self.objects)
        return box[0]  # type: ignore[return-value]

    def greatest(self, *values: float) -> list[float]:
        """The greatest of each value over the ranks."""
        return self._reduced(values, dist.ReduceOp.MAX)

    def total(self, values: Sequence[float]) -> list[float]:
        """The sum of each value over the ranks."""
        return self._reduced(values, dist.ReduceOp.SUM)

    def _reduced(self, values: Sequence[float], how: Any) -> list[float]:
        box = torch.tensor(values, dtype=torch.float64)
        if self.size > 1:
            dist.all_reduce(box, how, group=self.objects)
        return box.tolist()

    def average(self, tensors: Sequence[Tensor]) -> None:
        """Replace each tensor by its mean over the ranks; every rank names the same tensors in the same order."""
        self._in_buckets(tensors, lambda flat: (dist.all_reduce(flat), flat.div_(self.size)))

    def copy_from_first(self, tensors: Sequence[Tensor]) -> None:
        """Replace each tensor by that of rank 0."""
        self._in_buckets(tensors, lambda flat: dist.broadcast(flat, src=0))

    def _in_buckets(self, tensors: Sequence[Tensor], change: Callable[[Tensor], Any]) -> None:
        if self.size == 1:
            return
        for bucket in _buckets(tensors):
            flat = torch.cat([tensor.reshape(-1) for tensor in bucket])
            change(flat)
            with torch.no_grad():
                pieces = torch.split(flat, [each.numel() for each in bucket])
                for tensor, piece in zip(bucket, pieces, strict=True):
                    tensor.copy_(piece.view_as(tensor))

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
            raise UserError("stopped, because another process of this training failed; see its message")


def join() -> World:
    """This process's place among those that torchrun started; alone, where it started none."""
    size = int(os.environ.get("WORLD_SIZE", "1"))
    if size == 1 and not dist.is_initialized():
        return World()
    if not dist.is_initialized():
        # Gradients by NCCL where they are on GPUs, by gloo where they are not; plain values always by gloo.
        dist.init_process_group("cpu:gloo,cuda:nccl" if torch.cuda.is_available() else "gloo")
        atexit.register(_leave)
    local_rank = int(os.environ.get("LOCAL_RANK", dist.get_rank()))
    return World(dist.get_rank(), dist.get_world_size(), local_rank, _objects_group())


def _leave() -> None:
    """End the groups and their threads before the interpreter exits: threads still running then may abort it."""
    dist.destroy_process_group()
    _groups.clear()
    gc.collect()


def is_writer() -> bool:
    """Whether this process is the one that writes; answers before the processes have joined."""
    return os.environ.get("RANK", "0") == "0"


def share_batch_statistics(networks: nn.Module, device: torch.device, world: World) -> None:
    """Batch norms over the whole batch on CUDA; on the CPU they see their rank's slice, as torch has no other."""
    if world.size > 1 and device.type == "cuda":
        nn.SyncBatchNorm.convert_sync_batchnorm(networks)  # type: ignore[no-untyped-call]


_groups: list[Any] = []


def _objects_group() -> Any:
    if not _groups:
        _groups.append(dist.new_group(backend="gloo"))
    return _groups[0]


def _buckets(tensors: Sequence[Tensor]) -> Iterator[list[Tensor]]:
    """Tensors of one type, together at most about BUCKET_ELEMENTS."""
    for dtype in dict.fromkeys(tensor.dtype for tensor in tensors):
        bucket: list[Tensor] = []
        for tensor in tensors:
            if tensor.dtype != dtype:
                continue
            bucket.append(tensor)
            if sum(each.numel() for each in bucket) >= BUCKET_ELEMENTS:
                yield bucket
                bucket = []
        if bucket:
            yield bucket
