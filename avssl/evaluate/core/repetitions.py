"""Trainings that a protocol repeats: each start with each seed."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import TypeVar

StartT = TypeVar("StartT")


def repetitions(
    starts: Mapping[str, StartT] | Callable[[int], Mapping[str, StartT]], seed: int, count: int
) -> Iterator[tuple[int, str, StartT]]:
    """(seed, name, start) of each training, all starts of one seed before the next.

    Args:
        starts: encoders by the name of their rows; a function where they are others with each seed.
        seed: the first of ``count``.
    """
    for number in range(seed, seed + count):
        for name, start in (starts(number) if callable(starts) else starts).items():
            yield number, name, start
