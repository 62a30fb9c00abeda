"""Tasks by name. Names and options are known without importing torch; a task is imported on first use.

A file of one's own is named by the environment variable ``AVSSL_TASKS`` (several with the system's path separator
between): ``my_task.py`` holds the task ``my-task``, and the first line of its docstring is its line of help.
"""

from __future__ import annotations

import ast
import importlib
import os
import sys
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any

from avssl.errors import UserError, did_you_mean

if TYPE_CHECKING:
    from avssl.tasks.base import Task

BUILT_IN = {
    "av-correspondence": ("CorrespondenceOptions", "do this frame and this second of sound belong together?"),
    "av-instance": ("InstanceOptions", "which sound of the memory bank is this video's?"),
    "av-sync": ("SyncOptions", "are these frames and this sound in step?"),
    "shuffle-learn": ("ShuffleLearnOptions", "are these three frames in temporal order?"),
    "colorization": ("ColorizationOptions", "which colours does this grey picture have?"),
    "jigsaw": ("JigsawOptions", "which permutation shuffled the nine tiles?"),
    "relative-position": ("RelativePositionOptions", "where does the second patch lie relative to the first?"),
    "rotation": ("RotationOptions", "by how many quarters was this picture turned?"),
    "instance-contrast": ("InstanceContrastOptions", "which is another view of the same picture?"),
    "inpainting": ("InpaintingOptions", "what was in the hole?"),
    "video-colorization": ("VideoColorizationOptions", "which place of the frames before has this pixel's colour?"),
    "frame-filling": ("FrameFillingOptions", "what was shown between these frames, or in a tube of hidden patches?"),
}
"""Name → (class of its options, one line of help). ``NAME/puzzle.py`` has the options, ``NAME/task.py`` the task."""

_registered: dict[str, type[Task]] = {}


def register(task: type[Task]) -> type[Task]:
    """Class decorator: makes a task known by its ``name``, and gives a built-in one its ``summary``."""
    known = _registered.get(task.name)
    if known is not None and known.__qualname__ != task.__qualname__:
        raise ValueError(f"two tasks are called {task.name!r}: {known.__qualname__} and {task.__qualname__}")
    _registered[task.name] = task
    if task.name in BUILT_IN:
        task.summary = BUILT_IN[task.name][1]
    return task


def names() -> list[str]:
    """Every task that can be asked for."""
    return sorted(BUILT_IN.keys() | _own_files().keys() | _registered.keys())


def summary(name: str) -> str:
    """The line of help of a task, without importing it."""
    if name in BUILT_IN:
        return BUILT_IN[name][1]
    if name in _registered:
        return _registered[name].summary
    try:
        # Read, not imported: `avssl train --help` runs no code of a user's, and loads no torch.
        text = ast.get_docstring(ast.parse(_own_files()[name].read_text(encoding="utf-8"))) or ""
    except (OSError, SyntaxError, ValueError):
        return "(its file cannot be read)"
    return text.strip().partition("\n")[0]


def get(name: str) -> type[Task]:
    """The task of this name.

    Raises:
        UserError: there is none; the message names the nearest.
    """
    if name not in _registered and name in BUILT_IN:
        _module(name, "task")
    elif name not in _registered and name in _own_files():
        _import_file(name, _own_files()[name])
    if name in _registered:
        return _registered[name]
    hint = f"there are: {', '.join(names())}; files of your own tasks are named in AVSSL_TASKS"
    raise UserError(f"no task is called {name!r}{did_you_mean(name, names(), hint)}")


def options_class(name: str) -> type[Any]:
    """The dataclass of a task's options; of the toolkit's own tasks without importing torch.

    Raises:
        UserError: there is no task of this name; the message names the nearest.
    """
    if name in BUILT_IN:
        found: type[Any] = getattr(_module(name, "puzzle"), BUILT_IN[name][0])
        return found
    return get(name).Options


def _module(name: str, part: str) -> ModuleType:
    return importlib.import_module(f"avssl.tasks.{name.replace('-', '_')}.{part}")


def _own_files() -> dict[str, Path]:
    """The files that ``AVSSL_TASKS`` names, by the name of their task."""
    paths = [Path(part).expanduser().absolute() for part in os.environ.get("AVSSL_TASKS", "").split(os.pathsep) if part]
    return {path.stem.replace("_", "-"): path for path in paths}


def _import_file(name: str, path: Path) -> None:
    """Import a file of a user's own. Its folder stays on the path, so that loader workers can unpickle the task.

    Raises:
        UserError: there is no such file, it cannot be imported, or it registers no task of its name.
    """
    if not path.is_file():
        raise UserError(f"AVSSL_TASKS names {path}, and there is no such file; correct its path")
    # At the end of the path: no file of a user takes the place of an installed module.
    if str(path.parent) not in sys.path:
        sys.path.append(str(path.parent))
    try:
        module = importlib.import_module(path.stem)
    except Exception as error:  # a user's file may raise anything; its writer needs the line, not our stack
        raise UserError(f"{path} cannot be imported ({type(error).__name__}: {error}); mend it") from error
    if Path(module.__file__ or "").resolve() != path.resolve():
        raise UserError(f"{path} has the name of another module ({module.__file__}); rename it")
    if name not in _registered:
        raise UserError(f"{path} registers no task {name!r}; put @register before a Task whose name is {name!r}")
