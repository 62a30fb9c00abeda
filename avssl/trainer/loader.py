"""Batches by their step: drawn in workers or here, the same whatever the number of workers."""

from __future__ import annotations

import itertools
import signal
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Literal, NamedTuple

from torch.utils.data import DataLoader, Dataset

from avssl.errors import MediaError, UserError
from avssl.media.facts import Media
from avssl.samplers.keys import Key, generator
from avssl.tasks.base import Batch, Task
from avssl.trainer.plan import Turns, batch_keys

REPLACEMENTS = 8
"""Tries to replace a puzzle whose file is bad; so many bad ones in a row are no accident."""


@dataclass(frozen=True, slots=True)
class Source:
    """A task with what it reads; ``length`` is the task's own for that media, asked once."""

    task: Task
    media: Media
    length: int


class Piece(NamedTuple):
    """A part of a step's work: one task's puzzles, and their share of its batch."""

    plan: int
    share: float
    batch: Batch


class Fetched(NamedTuple):
    """All that a step works on in this process, and the bad files that were passed over for it."""

    step: int
    pieces: tuple[Piece, ...]
    passed_over: tuple[str, ...]


class Failed(NamedTuple):
    """An error of the user's, on its way back from a worker (exceptions lose their arguments on that way)."""

    error: UserError


@dataclass(frozen=True)
class Steps(Dataset[Fetched | Failed]):
    """Step → batches, as a pure function. The rank's slice is a contiguous part of each batch."""

    sources: Sequence[Source]
    turns: Turns
    seed: int
    batch_size: int
    accumulate: int = 1
    rank: int = 0
    size: int = 1
    on_bad_file: Literal["raise", "skip"] = "raise"

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

    def __getitem__(self, step: int) -> Fetched | Failed:
        passed_over: list[str] = []
        try:
            pieces = tuple(self._pieces(step, passed_over))
        except UserError as error:
            return Failed(error)
        return Fetched(step, pieces, tuple(passed_over))

    def _pieces(self, step: int, passed_over: list[str]) -> Iterator[Piece]:
        mine = self.batch_size // self.size
        count = mine // self.accumulate
        for plan, keys in self.keys(step):
            for first in range(self.rank * mine, (self.rank + 1) * mine, count):
                source = self.sources[plan]
                puzzles = [self._draw(source, key, passed_over) for key in keys[first : first + count]]
                yield Piece(plan, 1 / self.accumulate, source.task.collate(puzzles))

    def _draw(self, source: Source, key: Key, passed_over: list[str]) -> Any:
        """The puzzle of this key; where its file is bad and may be skipped, that of a key hashed from it."""
        asked = key
        for attempt in itertools.count():
            try:
                return source.task.draw(source.media, key)
            except MediaError as error:
                if self.on_bad_file == "raise":
                    raise
                if attempt == REPLACEMENTS:
                    raise UserError(f"{REPLACEMENTS + 1} files in a row could not be read; the last: {error}") from None
                passed_over.append(str(error))
                index = int(generator(*asked, "instead", attempt).integers(source.length))
                key = Key(asked.seed, asked.epoch, index)
        raise AssertionError


def batches(steps: Steps, first: int, end: int | None, *, workers: int, pin: bool) -> Iterator[Fetched]:
    """The batches of steps ``first`` … ``end`` - 1 (None: for ever), in order.

    Raises:
        UserError: a file could not be read (with file and time), or a worker died.
    """
    order = itertools.count(first) if end is None else range(first, end)
    loader = DataLoader(
        steps,
        batch_size=None,
        sampler=order,
        num_workers=workers,
        pin_memory=pin,
        worker_init_fn=_start_worker,
        prefetch_factor=2 if workers else None,
    )
    try:
        for item in loader:
            if isinstance(item, Failed):
                raise item.error
            yield item
    except RuntimeError as error:
        if str(error).startswith("DataLoader worker (pid"):
            why = str(error).splitlines()[0]
            raise UserError(f"{why}; out of memory? try fewer --workers or a smaller --batch-size") from None
        raise


def _start_worker(_: int) -> None:
    """Ctrl-C reaches a whole process group: the training process answers it, workers go on until it ends them."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
