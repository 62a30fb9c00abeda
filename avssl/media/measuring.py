"""Measuring the items of a collection in parallel."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Generic, TypeVar

from avssl.errors import MediaError
from avssl.media.facts import Media
from avssl.system.console import ShowProgress, counting
from avssl.system.process_pool import Lost, each

R = TypeVar("R")

_ITEMS_A_JOB = 16
_WORTH_PROCESSES = 64  # fewer items are measured in this process: starting others would take longer


@dataclass(frozen=True)
class _Job(Generic[R]):
    media: Media
    items: tuple[int, ...]
    measure: Callable[[Media, int], R]


def measured(
    media: Media,
    items: Sequence[int],
    measure: Callable[[Media, int], R],
    *,
    what: str,
    patience: Callable[[int], float],
    workers: int | None,
    progress: ShowProgress,
) -> Iterator[tuple[tuple[int, ...], list[R | None]]]:
    """Yield (items, results of ``measure(media, i)``), a few items at a time, in no promised order.

    The result is None where an item cannot be read or its process died: reading that file later will raise.

    Args:
        measure: importable by name.
        what: label of the progress bar.
        patience: seconds after which an item counts as hanging.
    """
    if not items:
        return
    jobs = [_Job(media, tuple(items[at : at + _ITEMS_A_JOB]), measure) for at in range(0, len(items), _ITEMS_A_JOB)]
    with counting(what, len(items), "items", progress) as done:
        answers = each(
            _measure,
            jobs,
            workers if len(items) >= _WORTH_PROCESSES else 0,
            lambda job: 120.0 + sum(patience(i) for i in job.items),
        )
        for place, answer in answers:
            of = jobs[place].items
            yield of, [None] * len(of) if isinstance(answer, Lost) else answer
            done(len(of))


def _measure(job: _Job[R]) -> list[R | None]:
    found: list[R | None] = []
    for i in job.items:
        try:
            found.append(job.measure(job.media, i))
        except MediaError:
            found.append(None)
    return found
