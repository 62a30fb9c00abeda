"""Functions compiled by numba when their module is imported, and kept for the next process."""

from __future__ import annotations

from collections.abc import Callable
from typing import ParamSpec, TypeVar

from numba import njit

P = ParamSpec("P")
T = TypeVar("T")


def kept(signature: str) -> Callable[[Callable[P, T]], Callable[P, T]]:
    """Compile for these types at once, and keep the code for the next process where there is a place to."""

    def compiled(function: Callable[P, T]) -> Callable[P, T]:
        made: Callable[P, T]
        try:
            made = njit(signature, nogil=True, cache=True)(function)
        except RuntimeError:  # no folder that can be written
            made = njit(signature, nogil=True)(function)
        return made

    return compiled
