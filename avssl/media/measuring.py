"""Measuring the items of a collection in parallel."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from functools import partial
from typing import TypeVar

from avssl.errors import MediaError
from avssl.media.facts import Media
from avssl.system.console import ShowProgress, counting
from avssl.system.process_pool import Lost, each

R = TypeVar("R")

_ITEMS_A_JOB = 16
_WORTH_PROCESSES = 64  # fewer items are measured in this process: starting others would take longer


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
    jobs = [tuple(items[at : at + _ITEMS_A_JOB]) for at in range(0, len(items), _ITEMS_A_JOB)]
    if len(items) < _WORTH_PROCESSES:
        workers = 0
    with counting(what, len(items), "item", progress) as done:
        work = partial(_measure, media, measure)
        for place, answer in each(work, jobs, workers, lambda job: 120.0 + sum(map(patience, job))):
            yield jobs[place], [None] * len(jobs[place]) if isinstance(answer, Lost) else answer
            done(len(jobs[place]))


def _measure(media: Media, measure: Callable[[Media, int], R], items: Sequence[int]) -> list[R | None]:
    found: list[R | None] = []
    for i in items:
        try:
            found.append(measure(media, i))
        except MediaError:
            found.append(None)
    return found
