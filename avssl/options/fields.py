"""What there is to know of one option: its name, type, default, help and bounds, kept in a dataclass's field."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import MISSING, Field, dataclass, field, fields
from typing import Any, get_type_hints

from avssl.options.kinds import metavar

REQUIRED: Any = MISSING  # The default of an option that must be given


def option(
    default: Any,
    help: str,
    *,
    low: float | None = None,
    high: float | None = None,
    above: float | None = None,
    below: float | None = None,
    short: str | None = None,
    metavar: str | None = None,
    formerly: str | None = None,
    earlier: Any = ...,
) -> Any:
    """A field of an options dataclass.

    Args:
        default: its value where none is given, or :data:`REQUIRED`; the only place where it stands.
        help: what it does, as the flag's help says.
        low, high: the least and the greatest number taken, of a list each number by itself; None is no bound.
        above, below: instead of them, what a number must be more than, and less than.
        short: a one-letter flag beside the long one, such as "-o".
        metavar: what stands for the value in the help, where the type does not say it: "RUN".
        formerly: another name, of an earlier version, that is still taken and not listed.
        earlier: the default of an earlier version: runs that were made with it keep it.
    """
    about = {"help": help, "low": low, "high": high, "above": above, "below": below, "short": short, "metavar": metavar}
    about |= {"formerly": formerly, "earlier": earlier}
    return field(default=default, metadata=about)


def argument(help: str, *, default: Any = REQUIRED, metavar: str | None = None) -> Any:
    """A field that is given on the command line by its place, not by a flag; a tuple takes one value or more."""
    return field(default=default, metadata={"help": help, "positional": True, "metavar": metavar})


@dataclass(frozen=True)
class Option:
    """One option: a flag, a YAML key and a keyword argument of the same name.

    Attributes:
        name: with underscores: ``batch_size`` is the flag ``--batch-size`` and the key ``batch_size``; one at the end,
            of a name that Python keeps for itself, is not part of the flag: ``in_`` is ``--in``.
        type: the annotation: int, str | None, Literal["a", "b"], tuple[float, ...], …
        positional: given by its place instead of by a flag.
        required: must be given.

        earlier: the default of earlier versions; ... where it has always been the same.

    The others are as :func:`option` takes them.
    """

    name: str
    type: Any
    default: Any
    help: str
    short: str | None = None
    metavar: str | None = None
    formerly: str | None = None
    earlier: Any = ...  # None may be one
    low: float | None = None
    high: float | None = None
    above: float | None = None
    below: float | None = None
    positional: bool = False
    required: bool = False

    @property
    def flag(self) -> str:
        return "--" + self.name.rstrip("_").replace("_", "-")

    @property
    def has_earlier(self) -> bool:
        """Whether earlier versions had another default."""
        return self.earlier is not ...

    @property
    def shown(self) -> str:
        """What stands for the value in the help."""
        return self.metavar or metavar(self.type)

    @property
    def bounded(self) -> bool:
        """Whether there are values of its type that it does not take."""
        return any(bound is not None for bound in (self.low, self.high, self.above, self.below))

    def refusal(self, value: Any) -> str | None:
        """What a value must be that lies outside the bounds ("must be at least 1"); None if it lies within."""
        if value is None:
            return None
        numbers = value.values() if isinstance(value, dict) else value if isinstance(value, tuple | list) else (value,)
        numbers = [number for number in numbers if not isinstance(number, str)]  # a word beside them, such as "auto"
        # NaN compares as neither too small nor too large.
        if any(isinstance(number, float) and not math.isfinite(number) for number in numbers):
            return "must be finite" if self.high is None and self.below is None else self._rule()
        return None if not self.bounded or all(map(self._within, numbers)) else self._rule()

    def _within(self, number: float) -> bool:
        return (
            (self.low is None or number >= self.low)
            and (self.above is None or number > self.above)
            and (self.high is None or number <= self.high)
            and (self.below is None or number < self.below)
        )

    def _rule(self) -> str:
        low, high, above, below = self.low, self.high, self.above, self.below
        if low is not None and high is not None:
            return f"must lie between {low:g} and {high:g}"
        if low == 0:
            return "must not be negative"
        lower = f"more than {above:g}" if above is not None else f"at least {low:g}" if low is not None else ""
        upper = f"less than {below:g}" if below is not None else f"at most {high:g}" if high is not None else ""
        return "must be " + " and ".join(filter(None, (lower, upper)))


def options_of(cls: type[Any], *, skip: Iterable[str] = ()) -> list[Option]:
    """The fields of an options dataclass, without those named in ``skip``."""
    hints = get_type_hints(cls)  # annotations are texts until they are asked for
    left_out = set(skip)
    return [_option(each, hints[each.name]) for each in fields(cls) if each.init and each.name not in left_out]


def _option(each: Field[Any], kind: Any) -> Option:
    about = each.metadata
    default = each.default if each.default_factory is MISSING else each.default_factory()
    return Option(
        each.name,
        kind,
        None if default is REQUIRED else default,  # whoever reads defaults need not know MISSING
        about.get("help", ""),
        **{name: about.get(name) for name in ("short", "metavar", "formerly", "low", "high", "above", "below")},
        earlier=about.get("earlier", ...),
        positional=about.get("positional", False),
        required=default is REQUIRED,
    )
