"""Batches by step: drawn in workers or in this process, the same whatever the number of workers."""

from __future__ import annotations

import itertools
import pickle
import signal
import sys
from collections.abc import Generator, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Generic, Literal, NamedTuple, TypeVar

from torch.utils.data import DataLoader, Dataset, get_worker_info

from avssl.errors import MediaError, UserError
from avssl.media.facts import Media
from avssl.media.skip_bad_files import PassedOver
from avssl.samplers.keys import Key, generator
from avssl.samplers.order import other_index
from avssl.system.console import counted
from avssl.tasks.base import Batch, Task
from avssl.trainer import shared_memory
from avssl.trainer.plan import Turns, batch_keys

T = TypeVar("T")
# A forked worker is there at once; elsewhere (and by default from Python 3.14) each first imports torch.
_WORKERS_START = "fork" if sys.platform == "linux" else None

OnBadFile = Literal["raise", "skip"]

# Tries to replace a puzzle whose file is bad; that many bad ones in a row are not a coincidence.
REPLACEMENTS = 8


@dataclass(frozen=True, slots=True)
class Source:
    """A task with its media; ``length`` is the task's for that media, computed once."""

    task: Task
    media: Media
    length: int

    def draw(self, key: Key, on_bad_file: OnBadFile, passed_over: list[PassedOver]) -> Any:
        """The puzzle of this key; where its file is bad and may be skipped, that of a key hashed from it.

        Args:
            passed_over: takes a line for each bad file that was skipped.

        Raises:
            MediaError: the file is bad, and is not to be skipped.
            UserError: its replacements are bad, too.
        """
        asked = key
        for attempt in itertools.count():
            try:
                return self.task.draw(self.media, key)
            except MediaError as error:
                if on_bad_file == "raise":
                    raise
                if attempt == REPLACEMENTS:
                    raise UserError(
                        f"{counted(attempt + 1, 'file')} in a row could not be read; the last: {error}"
                    ) from None
                passed_over.append(PassedOver(str(error), error.path))
                index = other_index(self.media, asked, self.length, generator(*asked, "instead", attempt))
                key = Key(asked.seed, asked.epoch, index)
        raise AssertionError


class Piece(NamedTuple):
    """A part of a step's work: one task's puzzles, and their share of its batch."""

    plan: int
    share: float
    batch: Batch


class Fetched(NamedTuple):
    """All that a step works on in this process, and the bad files that were skipped for it."""

    step: int
    pieces: tuple[Piece, ...]
    passed_over: tuple[PassedOver, ...]


@dataclass(frozen=True)
class Steps(Dataset[Fetched]):
    """Step → batches, as a pure function. The rank's slice is a contiguous part of each batch."""

    sources: Sequence[Source]
    turns: Turns
    seed: int
    batch_size: int
    accumulate: int = 1
    rank: int = 0
    size: int = 1
    on_bad_file: OnBadFile = "raise"

    def __post_init__(self) -> None:
        parts = self.size * self.accumulate
        if self.batch_size % parts:
            raise UserError(
                f"--batch-size ({self.batch_size}) must be a multiple of {parts}: "
                f"{self.size} processes times --accumulate {self.accumulate}"
            )

    def keys(self, step: int) -> list[tuple[int, list[Key]]]:
        """For each task of the step its number and the keys of its whole batch, over all ranks."""
        return [
            (turn.plan, batch_keys(self.seed, turn.batch, self.sources[turn.plan].length, self.batch_size))
            for turn in self.turns.at(step)
        ]

    def __getitem__(self, step: int) -> Fetched:
        passed_over: list[PassedOver] = []
        pieces = tuple(self._pieces(step, passed_over))
        return Fetched(step, pieces, tuple(passed_over))

    def _pieces(self, step: int, passed_over: list[PassedOver]) -> Iterator[Piece]:
        mine = self.batch_size // self.size
        count = mine // self.accumulate
        for plan, keys in self.keys(step):
            source = self.sources[plan]
            for first in range(self.rank * mine, (self.rank + 1) * mine, count):
                puzzles = [source.draw(key, self.on_bad_file, passed_over) for key in keys[first : first + count]]
                yield Piece(plan, 1 / self.accumulate, source.task.collate(puzzles))


def batches(steps: Steps, first: int, end: int | None, *, workers: int, pin: bool) -> Generator[Fetched]:
    """The batches of steps ``first`` … ``end`` - 1 (None: for ever), in order; close it to end the workers.

    Raises:
        UserError: a file could not be read (with file and time), or a worker died.
    """
    return load(steps, itertools.count(first) if end is None else range(first, end), workers=workers, pin=pin)


def load(data: Dataset[T], order: Iterable[int], *, workers: int, pin: bool) -> Generator[T]:
    """``data[i]`` for each i of ``order``, in that order, drawn in ``workers`` processes (0: in this one).

    Raises:
        UserError: as ``data`` raises it, whichever process it was raised in; or a worker died.
    """
    loader = DataLoader(
        _InAnyProcess(data),
        batch_size=None,
        sampler=order,
        num_workers=workers,
        pin_memory=pin,
        worker_init_fn=_start_worker,
        multiprocessing_context=_WORKERS_START if workers else None,
    )
    try:
        for item in loader:
            if isinstance(item, _Failed):
                raise item.error
            yield item
    except RuntimeError as error:
        reason = shared_memory.why_a_worker_died(str(error))
        if reason is None:
            raise
        raise UserError(reason) from error


# For the step under way, which wants its batch; Kubernetes and torchrun kill 30 seconds after their SIGTERM, too.
_GRACE_SECONDS = 30


class _Failed(NamedTuple):
    """An error of the user's on its way back from a worker, where raised exceptions lose their arguments."""

    error: UserError


class _InAnyProcess(Dataset[Any], Generic[T]):
    """Data as a worker may use it: errors of the user's as values, and no open file shared with another process.

    A forked worker inherits handles together with their file positions; a copy by pickle opens its own.
    """

    def __init__(self, data: Dataset[T]) -> None:
        self._data = data
        self._own = False

    def __getitem__(self, i: int) -> T | _Failed:
        if not self._own and get_worker_info() is not None:
            self._data, self._own = pickle.loads(pickle.dumps(self._data)), True
        try:
            item = self._data[i]
            if get_worker_info() is not None:
                shared_memory.must_hold(item)
        except UserError as error:
            return _Failed(error)
        return item


def _start_worker(_: int) -> None:
    """A signal may reach the whole process group: the training process answers it, workers go on until it ends them.

    SIGTERM ends a worker after a grace, so that the step can be finished and saved, and a stuck worker still dies.
    """
    shared_memory.end_where_it_fails()
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    if hasattr(signal, "alarm"):  # Windows has none, and sends no SIGTERM either
        signal.signal(signal.SIGALRM, signal.SIG_DFL)
        signal.signal(signal.SIGTERM, lambda number, frame: signal.alarm(_GRACE_SECONDS) and None)
