"""What was typed, word by word: flags in the one spelling that the parser knows."""

from __future__ import annotations

import difflib
import math
import re
from collections.abc import Iterable, Sequence
from dataclasses import MISSING, dataclass, fields
from typing import Any, get_type_hints

from avssl.cli.type_help import is_bool, is_list, wanted
from avssl.errors import UserError


@dataclass(frozen=True)
class Option:
    """One option: a flag, and a YAML key of the same name.

    Attributes:
        name: with underscores: ``batch_size`` is the flag ``--batch-size`` and the key ``batch_size``.
        type: the annotation: int, str | None, Literal["a", "b"], tuple[float, ...], …
        short: one-letter flag, such as "-o".
        metavar: what stands for the value in the help, if the type does not say it.
        low, high: the least and the greatest number that is taken; None is no bound.
    """

    name: str
    type: Any
    default: Any
    help: str
    short: str | None = None
    metavar: str | None = None
    low: float | None = None
    high: float | None = None

    @property
    def flag(self) -> str:
        return "--" + self.name.replace("_", "-")

    def refusal(self, value: Any) -> str | None:
        """What a value must be that lies outside the bounds ("must be at least 1"); None if it lies within."""
        low, high = self.low, self.high
        numbers = value if isinstance(value, tuple | list) else (value,)
        if value is None or (low is None and high is None) or all(_within(number, low, high) for number in numbers):
            return None
        if low is None or high is None:
            return f"must be at least {low:g}" if high is None else f"must be at most {high:g}"
        return f"must lie between {low:g} and {high:g}"


def options_of(cls: type[Any], *, skip: Iterable[str] = ()) -> list[Option]:
    """The fields of an options dataclass as options; their help is the field's ``metadata["help"]``."""
    hints = get_type_hints(cls)
    left_out = set(skip)
    return [
        Option(
            field.name,
            hints[field.name],
            field.default if field.default_factory is MISSING else field.default_factory(),
            field.metadata.get("help", ""),
            low=field.metadata.get("low"),
            high=field.metadata.get("high"),
        )
        for field in fields(cls)
        if field.init and field.name not in left_out
    ]


def normal(argv: Sequence[str], options: Iterable[Option], command: str) -> list[str]:
    """The words with every flag as ``--dashed-name=value``, ``--name`` or ``--no-name``.

    Underscores become dashes; ``--name true`` and ``--name=no`` become ``--name`` and ``--no-name``; values
    with commas between become a list.

    Raises:
        UserError: a flag that the command does not have, or one whose value is missing.
    """
    known = {option.flag: option for option in options}
    known |= {option.short: option for option in known.values() if option.short}
    negated = ["--no-" + flag[2:] for flag, option in known.items() if is_bool(option.type)]
    written: list[str] = []
    rest = list(argv)
    while rest:
        word = rest.pop(0)
        if word == "--":
            return [*written, word, *rest]
        if not word.startswith("-") or word == "-" or re.fullmatch(r"-\.?\d.*", word):
            written.append(word)
            continue
        flag, equals, value = word.partition("=")
        flag = "--" + flag[2:].replace("_", "-") if flag.startswith("--") else flag
        option = known.get(flag)
        if flag in (*negated, "-h", "--help"):
            written.append(flag + equals + value)
        elif option is None:
            raise UserError(f"{command} has no option {flag}{meant(flag, [*known, *negated], f'{command} --help')}")
        elif is_bool(option.type):
            written.append(_yes_or_no(option, value if equals else _next_yes_or_no(rest)))
        else:
            written.append(_with_value(option, value if equals else _next_value(option, rest)))
    return written


def meant(name: str, known: Sequence[str], otherwise: str | None = "--help") -> str:
    """The end of an error about an unknown name: the nearest that is known, or where to look."""
    near = difflib.get_close_matches(name, known, n=1)
    if near:
        return f"; did you mean {near[0]!r}?"
    return f"; see {otherwise}" if otherwise else ""


def _within(number: float, low: float | None, high: float | None) -> bool:
    """Never of what is no number or not finite."""
    return math.isfinite(number) and (low is None or number >= low) and (high is None or number <= high)


_YES, _NO = {"true", "yes", "on", "1"}, {"false", "no", "off", "0"}


def _yes_or_no(option: Option, told: str) -> str:
    if told.lower() not in _YES | _NO:
        raise UserError(f"{option.flag} wants true or false, not {told!r}")
    return option.flag if told.lower() in _YES else "--no-" + option.flag[2:]


def _next_yes_or_no(rest: list[str]) -> str:
    return rest.pop(0) if rest and rest[0].lower() in (_YES | _NO) - {"0", "1"} else "true"


def _next_value(option: Option, rest: list[str]) -> str:
    if not rest or rest[0].startswith("--"):
        raise UserError(f"{option.flag} wants {wanted(option.type, null=False)} after it")
    return rest.pop(0)


def _with_value(option: Option, value: str) -> str:
    if is_list(option.type) and value[:1] not in ("[", "(") and value != "null":
        value = f"[{value}]"
    return f"{option.flag}={value}"
