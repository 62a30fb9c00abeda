"""Measuring items of a collection, in processes where there are many."""

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
_WORTH_PROCESSES = 64  # fewer items are measured here: starting processes would take longer


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
    """What ``measure(media, i)`` gives of some items: (items, answers), a few at a time, in no promised order.

    None stands for what cannot be read, and for the items whose process was lost: that is no reason to end a run, as
    whoever reads those files will hear of it.

    Args:
        measure: importable by name.
        what: shown beside the progress.
        patience: seconds after which the work on an item counts as hanging.
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
