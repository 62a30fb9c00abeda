"""Asynchronous transfers: the next batch to the device, weights and figures back to the host."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any, NamedTuple

import torch
from torch import Tensor

from avssl.tasks.base import Batch, Task
from avssl.trainer.devices import moved
from avssl.trainer.loader import Fetched


class Sent(NamedTuple):
    """A batch on its way to the device, and the event after which it is there (None: nothing is copied ahead)."""

    fetched: Fetched
    arrived: Any = None


def on_device(task: Task, batch: Batch, device: torch.device, channels_last: bool) -> Batch:
    """A drawn batch on the device; what its task has left to be done there is done."""
    if task.left_to_device != "nothing":
        batch = task.finish(moved(batch, device, channels_last=False))
    return moved(batch, device, channels_last)


class Transfer:
    """Takes batches to the device; on CUDA by a stream of its own, so that they travel while the one before trains.

    Where JPEGs are decoded there a thread does it: the call returns when they are decoded.

    Args:
        tasks: of the plans, as their puzzles are drawn.
        cuda: where streams and events are made: ``torch.cuda``. Tests give their own.
    """

    def __init__(self, tasks: Sequence[Task], device: torch.device, channels_last: bool, cuda: Any = None) -> None:
        self._tasks = tasks
        self._device, self._channels_last = device, channels_last
        self._cuda = torch.cuda if cuda is None and device.type == "cuda" else cuda
        self._stream = None if self._cuda is None else self._cuda.Stream(device)
        decodes = self._stream is not None and any(task.left_to_device == "decoding" for task in tasks)
        self._thread = ThreadPoolExecutor(1, "avssl-decode") if decodes else None
        self._coming: Future[Sent] | None = None

    def send(self, fetched: Fetched) -> Sent | Future[Sent]:
        """Start copying a batch whose tensors lie in pinned memory."""
        if self._stream is None:
            return Sent(fetched)
        if self._thread is None:
            return self._start(fetched)
        self._coming = self._thread.submit(self._start, fetched)
        return self._coming

    def wait(self) -> None:
        """Until the thread has nothing to do: before processes are forked, which must not inherit its locks."""
        if self._coming is not None:
            self._coming.exception()

    def close(self) -> None:
        """End the thread."""
        if self._thread is not None:
            self._thread.shutdown(cancel_futures=True)

    def _start(self, fetched: Fetched) -> Sent:
        with self._cuda.stream(self._stream):
            on_device = self._moved(fetched)
            # Of this batch alone: waiting for the whole stream would be waiting for the batch after it, too.
            arrived = self._cuda.Event()
            arrived.record(self._stream)
        return Sent(on_device, arrived)

    def receive(self, sent: Sent | Future[Sent]) -> Fetched:
        """The batch, for work that is queued from here on: the device waits for the copy, this process does not.

        Raises:
            UserError: a JPEG of it could not be decoded on the device.
        """
        if isinstance(sent, Future):
            sent = sent.result()
        if sent.arrived is None:
            return self._moved(sent.fetched)
        now = self._cuda.current_stream(self._device)
        now.wait_event(sent.arrived)
        for piece in sent.fetched.pieces:
            for value in piece.batch.values():
                if isinstance(value, Tensor) and value.is_cuda:
                    value.record_stream(now)  # its memory belongs to the other stream, which must not reuse it early
        return sent.fetched

    def _moved(self, fetched: Fetched) -> Fetched:
        pieces = [
            piece._replace(batch=on_device(self._tasks[piece.plan], piece.batch, self._device, self._channels_last))
            for piece in fetched.pieces
        ]
        return fetched._replace(pieces=tuple(pieces))


class Arrival:
    """Of copies that a device makes meanwhile: whether they are complete; called, it waits until they are."""

    def __init__(self, events: Sequence[torch.cuda.Event] = ()) -> None:
        self._events = events

    def __call__(self) -> None:
        for event in self._events:
            event.synchronize()

    def there(self) -> bool:
        """Whether waiting would take no time."""
        return all(event.query() for event in self._events)


def to_host(value: Any) -> tuple[Any, Arrival]:
    """A copy on the host of what lies in nested mappings and lists; tensors that share memory share it in the copy.

    Returns:
        the copy, and when it is complete. What changes on the device afterwards changes nothing in it.
    """
    on_gpu: list[torch.device] = []
    copies: dict[tuple[Any, ...], Tensor] = {}

    def copied(value: Any) -> Any:
        if isinstance(value, Tensor):
            memory = (value.device, value.data_ptr(), value.dtype, value.shape, value.stride())
            if value.numel() == 0 or memory not in copies:
                copies[memory] = _host_copy(value.detach(), on_gpu)
            return copies[memory]
        if isinstance(value, dict):
            return {key: copied(each) for key, each in value.items()}
        if isinstance(value, list | tuple):
            items = [copied(each) for each in value]
            return items if isinstance(value, list) else tuple(items)
        return value

    found = copied(value)
    return found, Arrival([torch.cuda.current_stream(device).record_event() for device in dict.fromkeys(on_gpu)])


def _host_copy(value: Tensor, on_gpu: list[torch.device]) -> Tensor:
    if value.device.type != "cuda":
        return value.clone() if value.device.type == "cpu" else value.cpu()
    on_gpu.append(value.device)
    # Copies into memory that is not pinned are finished before they return.
    pinned = torch.empty_like(value, device="cpu", pin_memory=True)
    return pinned.copy_(value, non_blocking=True)
