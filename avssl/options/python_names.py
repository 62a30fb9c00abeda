"""Errors in the words of whoever is spoken to: flags on the command line, keyword arguments in Python."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from functools import wraps
from typing import ParamSpec, TypeVar

from avssl.errors import UserError

P = ParamSpec("P")
R = TypeVar("R")

# Whether a command was typed: the same functions serve both, and raise the same errors.
_typed: ContextVar[bool] = ContextVar("typed", default=False)


@contextmanager
def typed_command() -> Iterator[None]:
    """Within the block everything that is called was asked for on the command line."""
    before = _typed.set(True)
    try:
        yield
    finally:
        _typed.reset(before)


def names_keywords(function: Callable[P, R]) -> Callable[P, R]:
    """A function of the Python interface, whose errors name keywords where no command line called it."""

    @wraps(function)
    def called(*args: P.args, **kwargs: P.kwargs) -> R:
        try:
            return function(*args, **kwargs)
        except UserError as error:
            if not _typed.get() and error.args:
                error.args = (in_python(str(error.args[0])), *error.args[1:])
            raise

    return called


def in_python(message: str) -> str:
    """A message with keywords for flags: "--data D" is "data=D", "--crop-low (0.9)" "crop_low (0.9)"."""
    # Before the others, which would take "no" for a part of the name.
    message = re.sub(r"--no-([a-z][a-z0-9-]*)", lambda flag: f"{_keyword(flag[1])}=False", message)
    # What stands for a value is in capitals, and is no abbreviation of more than one flag's.
    message = re.sub(r"--([a-z][a-z0-9.-]*) ([A-Z]+)\b", lambda flag: f"{_keyword(flag[1])}={flag[2]}", message)
    message = re.sub(r"--([a-z][a-z0-9.-]*)", lambda flag: _keyword(flag[1]), message)
    return re.sub(r"(?<!\S)-o (?=[A-Z/.…])", "output=", message)


def _keyword(flag: str) -> str:
    return flag.rstrip(".-").replace("-", "_")
