"""The types that an option may have: what each is called, and how a value of it is read from a word or from YAML."""

from __future__ import annotations

import os
import re
import types
from collections.abc import Mapping, Sequence
from typing import Any, Literal, Union, get_args, get_origin

import yaml

_WORDS = {int: "a whole number", float: "a number", str: "text", bool: "true or false"}
_PLURAL = {int: "whole numbers", float: "numbers", str: "words", bool: "true or false"}
_METAVARS = {int: "N", float: "X", str: "TEXT"}

# Words for a yes and for a no.
YES, NO = frozenset({"true", "yes", "on", "1"}), frozenset({"false", "no", "off", "0"})


def wanted(kind: Any, null: str = "") -> str:
    """What an option of this type takes: "a whole number", "one of cosine, constant, step".

    Args:
        kind: the annotation.
        null: what no value is called where it may be given: "null" in a YAML file, "None" in Python.
    """
    kind, optional = without_none(kind)
    kind, words = without_words(kind)
    if get_origin(kind) is Literal:
        text = f"one of {', '.join(map(str, get_args(kind)))}"
    elif is_list(kind) and get_origin(get_args(kind)[0]) is Literal:
        text = f"some of {', '.join(map(str, get_args(get_args(kind)[0])))}, separated by commas"
    elif is_list(kind):
        text = f"{_PLURAL.get(get_args(kind)[0], 'values')} separated by commas"
    elif _is_mapping(kind):
        text = "names with numbers, such as {a: 1, b: 2}"
    else:
        text = _WORDS.get(kind, getattr(kind, "__name__", str(kind)))
    text = " or ".join((text, *words))
    return f"{text} or {null}" if null and optional else text


def metavar(kind: Any) -> str:
    """What stands for a value of this type in the help: N, X, TEXT, {a,b}."""
    kind, words = without_words(without_none(kind)[0])
    if words:
        return "|".join((metavar(kind), *words))
    if get_origin(kind) is Literal:
        return "{" + ",".join(map(str, get_args(kind))) + "}"
    if is_list(kind):
        one = metavar(get_args(kind)[0])
        if one.startswith("{"):  # words to choose from
            return f"{one},…"
        return f"{one},{one},…"
    if _is_mapping(kind):
        return "{NAME: X, …}"
    return _METAVARS.get(kind, "VALUE")


def choices(kind: Any) -> tuple[str, ...]:
    """The words of which one is taken; () where any is."""
    kind, words = without_words(without_none(kind)[0])
    return tuple(map(str, get_args(kind))) if get_origin(kind) is Literal else words


def is_bool(kind: Any) -> bool:
    """Whether the option is a yes or no, given as ``--name`` or ``--no-name``."""
    return without_words(without_none(kind)[0])[0] is bool


def is_list(kind: Any) -> bool:
    """Whether the option takes several values separated by commas."""
    return get_origin(without_none(kind)[0]) in (tuple, list)


def without_none(kind: Any) -> tuple[Any, bool]:
    """The type without its ``| None``, and whether it had one."""
    if get_origin(kind) not in (Union, types.UnionType):
        return kind, False
    rest = [part for part in get_args(kind) if part is not type(None)]
    return (rest[0] if len(rest) == 1 else kind), len(rest) < len(get_args(kind))


def without_words(kind: Any) -> tuple[Any, tuple[str, ...]]:
    """The type without the words that are taken beside its values (``int | Literal["auto"]``), and those words."""
    if get_origin(kind) not in (Union, types.UnionType):
        return kind, ()
    words = [word for part in get_args(kind) if get_origin(part) is Literal for word in get_args(part)]
    rest = [part for part in get_args(kind) if get_origin(part) is not Literal]
    return (rest[0], tuple(words)) if words and len(rest) == 1 else (kind, ())


def from_text(text: str, kind: Any) -> Any:
    """A word of the command line as a value of this type; "null" is None where there may be none.

    Raises:
        ValueError: it cannot be one.
    """
    kind, optional = without_none(kind)
    if optional and text == "null":
        return None
    kind, words = without_words(kind)
    if text in words:
        return text
    if kind is bool:
        if text.lower() not in YES | NO:
            raise ValueError(text)
        return text.lower() in YES
    if is_list(kind):
        # [a, b] and (a, b) are taken, too, as YAML and Python write lists.
        return converted(_plain(f"[{text[1:-1]}]") if text[:1] in ("[", "(") else text, kind)
    if _is_mapping(kind):
        # [a, b] and (a, b) are taken, too, as YAML and Python write lists.
        return converted(_plain(text), kind)
    return converted(text, kind)


def converted(value: Any, kind: Any) -> Any:
    """A value of a YAML file or of Python as one of this type: a list becomes a tuple, 1 becomes 1.0.

    Text is read where a number is wanted: YAML 1.1 takes 1e-4 for a word.

    Raises:
        ValueError: it cannot be one.
    """
    kind, optional = without_none(kind)
    if hasattr(value, "tolist"):  # arrays and scalars of numpy, torch and pandas as what they hold
        value = value.tolist()
    if value is None and optional:
        return None
    kind, words = without_words(kind)
    if isinstance(value, str) and value in words:
        return value
    if get_origin(kind) is Literal:
        return _choice(value, get_args(kind))
    if is_list(kind):
        return _list(value, kind)
    if _is_mapping(kind):
        if not isinstance(value, Mapping):
            raise ValueError(value)
        return {str(name): converted(each, get_args(kind)[1]) for name, each in value.items()}
    if kind not in _SCALARS:
        raise TypeError(f"no option can be of the type {kind}")
    return _SCALARS[kind](value)


def _bool(value: Any) -> bool:
    if not isinstance(value, bool):
        raise ValueError(value)
    return value


def _int(value: Any) -> int:
    # A bool is an int in Python, and 2.0 would be cut: neither is a whole number to whoever wrote it.
    if isinstance(value, bool) or not (isinstance(value, str) or hasattr(value, "__index__")):
        raise ValueError(value)
    number = int(value)
    if abs(number) >= 2**64:  # no size, count or seed
        raise OverflowError(value)
    return number


def _float(value: Any) -> float:
    if isinstance(value, str):
        return float(re.sub(r"^([+-]?)\.(?=inf|nan)", r"\1", value.strip().lower()))  # YAML writes .nan and .inf
    if isinstance(value, bool) or not hasattr(value, "__float__"):
        raise ValueError(value)
    return float(value)


def _str(value: Any) -> str:
    if not isinstance(value, str | os.PathLike):
        raise ValueError(value)
    text = os.fspath(value)
    if not isinstance(text, str) or "\0" in text:  # no system has such a name
        raise ValueError(value)
    return text


_SCALARS = {bool: _bool, int: _int, float: _float, str: _str}


def _choice(value: Any, known: Sequence[Any]) -> Any:
    if isinstance(value, bool):  # YAML 1.1 reads the words on, off, yes and no as these
        value = next((one for one in known if isinstance(one, str) and one in (YES if value else NO)), value)
    for one in known:
        if (value == one and type(value) is type(one)) or (isinstance(value, str) and value == str(one)):
            return one
    raise ValueError(value)


def _list(value: Any, kind: Any) -> Any:
    # One value without a list around it is a list of one: stages="conv2", labels: 20.
    if isinstance(value, str):
        value = [part.strip() for part in value.split(",")] if value else []
    elif not isinstance(value, Sequence) or isinstance(value, bytes | bytearray):
        value = [value]
    return get_origin(kind)(converted(each, get_args(kind)[0]) for each in value)


def _is_mapping(kind: Any) -> bool:
    return get_origin(kind) in (dict, Mapping)


def _plain(text: str) -> Any:
    try:
        return yaml.load(text, Loader=yaml.BaseLoader)  # words stay words: each is then read as its type asks
    except yaml.YAMLError:
        raise ValueError(text) from None
