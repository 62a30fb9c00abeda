"""Tasks by name. Names are known without importing torch; a task's file is imported when it is asked for."""

from __future__ import annotations

import difflib
import importlib
from typing import TYPE_CHECKING

from avssl.errors import UserError

if TYPE_CHECKING:
    from avssl.tasks.base import Task

BUILT_IN = {
    "av-correspondence": ("avssl.tasks.av_correspondence", "do this frame and this second of sound belong together?"),
    "shuffle-learn": ("avssl.tasks.shuffle_learn", "are these three frames in temporal order?"),
    "colorization": ("avssl.tasks.colorization", "which colours does this grey picture have?"),
    "jigsaw": ("avssl.tasks.jigsaw", "which permutation shuffled the nine tiles?"),
    "relative-position": ("avssl.tasks.relative_position", "where does the second patch lie, seen from the first?"),
    "rotation": ("avssl.tasks.rotation", "by how many quarters was this picture turned?"),
    "inpainting": ("avssl.tasks.inpainting", "what was in the hole?"),
}
"""Name → (module, one line of help)."""

_registered: dict[str, type[Task]] = {}


def register(task: type[Task]) -> type[Task]:
    """Class decorator: makes a task known by its ``name``."""
    known = _registered.get(task.name)
    if known is not None and known.__qualname__ != task.__qualname__:
        raise ValueError(f"two tasks are called {task.name!r}: {known.__qualname__} and {task.__qualname__}")
    _registered[task.name] = task
    return task


def names() -> list[str]:
    """Every task that can be asked for."""
    return sorted(BUILT_IN.keys() | _registered.keys())


def get(name: str) -> type[Task]:
    """The task of this name.

    Raises:
        UserError: there is none; the message names the nearest.
    """
    if name not in _registered and name in BUILT_IN:
        importlib.import_module(BUILT_IN[name][0])
    if name in _registered:
        return _registered[name]
    near = difflib.get_close_matches(name, names(), n=1)
    hint = f"did you mean {near[0]!r}?" if near else f"there are: {', '.join(names())}"
    raise UserError(f"no task is called {name!r}; {hint}")
