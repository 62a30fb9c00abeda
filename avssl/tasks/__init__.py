"""Pretext tasks: a folder each, found by name through :mod:`avssl.tasks.registry`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from avssl.tasks.registry import get, names, register

if TYPE_CHECKING:
    from avssl.tasks.one_picture import OnePictureTask

__all__ = ["OnePictureTask", "get", "names", "register"]


def __getattr__(name: str) -> Any:
    if name != "OnePictureTask":  # it needs torch, which the names of tasks do not
        raise AttributeError(f"module 'avssl.tasks' has no attribute {name!r}")
    from avssl.tasks.one_picture import OnePictureTask

    return OnePictureTask
