"""What a type is called in help and in errors, for people who do not read Python."""

from __future__ import annotations

import types
from collections.abc import Mapping
from typing import Any, Literal, Union, get_args, get_origin

_WORDS = {int: "a whole number", float: "a number", str: "text", bool: "true or false"}
_PLURAL = {int: "whole numbers", float: "numbers", str: "words", bool: "true or false"}
_METAVARS = {int: "N", float: "X", str: "TEXT"}


def wanted(kind: Any, *, null: bool = True) -> str:
    """What an option of this type takes: "a whole number", "one of cosine, constant, step".

    With ``null`` an optional one also says that it takes null, as a YAML file can.
    """
    kind, optional = _without_none(kind)
    if get_origin(kind) is Literal:
        text = f"one of {', '.join(map(str, get_args(kind)))}"
    elif is_list(kind):
        text = f"{_PLURAL.get(get_args(kind)[0], 'values')} with commas between"
    elif _is_mapping(kind):
        text = "names with numbers, such as {a: 1, b: 2}"
    else:
        text = _WORDS.get(kind, getattr(kind, "__name__", str(kind)))
    return text + (" or null" if null and optional else "")


def metavar(kind: Any) -> str:
    """What stands for a value of this type in the help: N, X, TEXT, {a,b}."""
    kind, _ = _without_none(kind)
    if get_origin(kind) is Literal:
        return "{" + ",".join(map(str, get_args(kind))) + "}"
    if is_list(kind):
        one = _METAVARS.get(get_args(kind)[0], "VALUE")
        return f"{one},{one},…"
    if _is_mapping(kind):
        return "{NAME: X, …}"
    return _METAVARS.get(kind, "VALUE")


def is_bool(kind: Any) -> bool:
    """Whether the option is a yes or no, given as ``--name`` or ``--no-name``."""
    return _without_none(kind)[0] is bool


def is_list(kind: Any) -> bool:
    """Whether the option takes several values with commas between."""
    return get_origin(_without_none(kind)[0]) in (tuple, list)


def _is_mapping(kind: Any) -> bool:
    return get_origin(kind) in (dict, Mapping)


def _without_none(kind: Any) -> tuple[Any, bool]:
    """The type without its ``| None``, and whether it had one."""
    if get_origin(kind) not in (Union, types.UnionType):
        return kind, False
    rest = [part for part in get_args(kind) if part is not type(None)]
    return (rest[0] if len(rest) == 1 else kind), len(rest) < len(get_args(kind))
