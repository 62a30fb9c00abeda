"""Networks of your own by name: "module:PACKAGE.MODULE:FUNCTION", a function without arguments that returns one.

Such a name in a file can have been written by anybody, and to call the function runs code. So it is called only where a
person has named it in this process (an option that was typed, a keyword of Python), or where ``AVSSL_MODULES`` lists
its module. A run that was trained with one does not load without that.
"""

from __future__ import annotations

import importlib
import os
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from avssl.errors import UserError

PREFIX = "module:"
FORM = "module:PACKAGE.MODULE:FUNCTION"
# Modules that may be imported because a file names them, separated by commas.
VARIABLE = "AVSSL_MODULES"

_named: set[str] = set()


def allow(values: object) -> None:
    """Remember every network of one's own that a person has named: in a value, or in a mapping or list of values."""
    if isinstance(values, str):
        if values.startswith(PREFIX):
            _named.add(divided(values)[0])
    elif isinstance(values, Mapping):
        allow(tuple(values.values()))
    elif isinstance(values, list | tuple):
        for value in values:
            allow(value)


def named(options: Mapping[str, Any]) -> dict[str, Any]:
    """Options as Python gives them: a function that makes a network by its name, and every such name allowed.

    Raises:
        UserError: the function cannot be found again by name; or a network itself is given.
    """
    found = {
        name: named(value) if isinstance(value, Mapping) else name_of(value) if callable(value) else value
        for name, value in options.items()
    }
    allow(found)
    return found


def name_of(function: Callable[[], Any]) -> str:
    """The name of a function or class that makes a network.

    Raises:
        UserError: no other process could find it by this name.
    """
    module, name = getattr(function, "__module__", ""), getattr(function, "__qualname__", "")
    if not name:  # a network is called, too
        raise UserError(
            f"a {type(function).__name__} is given where a name is wanted; give the function or class that makes it, "
            "since the controls of a training begin with fresh weights"
        )
    if module in ("", "__main__") or not name.isidentifier():
        raise UserError(
            f"{name or function!r} cannot be found again by name; give a function or class at the top level of a "
            "module that can be imported, which makes the network without arguments"
        )
    return f"{PREFIX}{module}:{name}"


def divided(spec: str) -> tuple[str, str | None]:
    """ "module:PACKAGE.MODULE:FUNCTION", and the file of weights that may stand behind another colon."""
    parts = spec.split(":", 3)
    return ":".join(parts[:3]), parts[3] if len(parts) > 3 else None


def check_name(spec: str) -> None:
    """Raise UserError if the name is not of the form "module:PACKAGE.MODULE:FUNCTION"."""
    parts = spec.split(":")
    if len(parts) != 3 or not all(word.isidentifier() for word in (*parts[1].split("."), parts[2])):
        raise UserError(f"{spec}: a network of your own is named {FORM}")


def made(spec: str) -> Any:
    """What the function returns; UserError if nobody has named it here, it cannot be imported, or it raises."""
    check_name(spec)
    _, module, function = spec.split(":")
    listed = os.environ.get(VARIABLE, "").replace(" ", "").split(",")
    if spec not in _named and module not in listed:
        raise UserError(
            f"this names code of yours, {module}:{function}, which a file alone may not run: set {VARIABLE}={module} "
            "to allow it"
        )
    here = str(Path.cwd())  # where a person's own file mostly lies; the installed command does not look there
    if here not in sys.path:
        sys.path.append(here)
    try:
        return getattr(importlib.import_module(module), function)()
    except Exception as error:  # a user's code may raise anything; its writer needs the line, not our stack
        raise UserError(f"{spec} cannot be made ({type(error).__name__}: {error}); mend it") from error
