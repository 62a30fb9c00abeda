"""From what was given to checked values: a flag or keyword beats the YAML file, which beats the default."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import fields
from pathlib import Path
from typing import Any, Literal, TypeVar

from avssl.errors import UserError, did_you_mean
from avssl.options.fields import Option, options_of
from avssl.options.kinds import choices, converted, is_bool, wanted
from avssl.options.yaml_file import read_yaml

T = TypeVar("T")
Source = Literal["flag", "file", "keyword"]

# What no value is called where a value comes from.
_NULL = {"flag": "", "file": "null", "keyword": "None"}


class Values(dict[str, Any]):
    """Every option's value by name, converted and checked.

    Attributes:
        given: names given on the command line, in Python or in the YAML file.
    """

    given: frozenset[str] = frozenset()

    def build(self, cls: type[T]) -> T:
        """An instance of an options dataclass from the values of its fields' names."""
        return cls(**{field.name: self[field.name] for field in fields(cls) if field.name in self})  # type: ignore[arg-type]


def build(cls: type[T], values: Mapping[str, Any], where: str = "") -> T:
    """An instance of an options dataclass from plain values by name, checked as flags and YAML keys are.

    Args:
        cls: the dataclass; fields that are not named keep their default.
        values: as Python or a YAML file gives them.
        where: what errors begin with: "runs/mine/config.yaml: ".

    Raises:
        UserError: one line: a name that there is not and the one that may be meant, a wrong type or choice, a number
            out of bounds, an option that must be given and is not.
    """
    options = {option.name: option for option in options_of(cls)}
    found = read(values, options, where, "keyword")
    # Here and not in read(), which also gets the few values that a YAML file has.
    require_all(options.values(), found, where + cls.__name__)
    return cls(**found)


def resolve(
    options: Iterable[Option],
    given: Mapping[str, Any],
    *,
    config: str | None = None,
    section: tuple[Path, Mapping[Any, Any]] | None = None,
    extra_keys: Iterable[str] = (),
    exclusive: Sequence[Sequence[str]] = (),
    source: Source = "keyword",
) -> Values:
    """The values of all options: what was given, else what the YAML file says, else the default.

    Args:
        options: all that there are.
        given: by name; of flags already converted, of Python as they are.
        config: name of the option that names a YAML file, if there is one; its keys are the options' names.
        section: instead of it, a part of a YAML file that was read before, and the file's name.
        extra_keys: further keys that the YAML file may hold; returned as they are, None where absent.
        exclusive: groups of options of which one may be given; one that was given drops the file's others.
        source: where ``given`` comes from: errors name options accordingly.

    Raises:
        UserError: one line: the option, the value, what is wanted, or what was meant. An option that must be given
            and is not is the caller's to refuse (:func:`require_all`).
    """
    known = {option.name: option for option in options}
    chosen = read(given, known, "", source)
    extra: dict[str, Any] = dict.fromkeys(extra_keys)
    written: dict[str, Any] = {}
    if section is None and config is not None and chosen.get(config) is not None:
        path = Path(chosen[config])
        section = (path, read_yaml(path))
    if section is not None:
        path, there = section
        former = {option.formerly for option in known.values() if option.formerly}
        there = _by_name(there, known.keys() - {config} | extra.keys() | former, path)
        extra |= {name: there.pop(name) for name in tuple(there) if name in extra}
        written = read(there, known, f"{path}: ", "file")
    # --minutes on the command line overrides steps in the file: both would contradict each other.
    for group in exclusive:
        _settle(group, chosen, written, source)
    defaults = {option.name: option.default for option in known.values() if not option.required}
    values = Values({**extra, **defaults, **written, **chosen})
    values.given = frozenset(chosen) | frozenset(written)
    return values


def read(given: Mapping[str, Any], known: Mapping[str, Option], where: str, source: Source) -> dict[str, Any]:
    """The given values, each converted to its option's type and within its bounds.

    Raises:
        UserError: as :func:`build`.
    """
    found: dict[str, Any] = {}
    renamed = {option.formerly: name for name, option in known.items() if option.formerly}
    for asked, value in given.items():
        name = renamed.get(asked, asked)
        if name not in known:
            raise UserError(
                f"{where}no option is called {asked!r}{did_you_mean(asked, sorted([*known, *renamed]), '')}"
            )
        if name in found:
            raise UserError(f"{where}{asked!r} is another name of {name!r}; give one of them")
        option = known[name]
        try:
            found[name] = converted(value, option.type)
        except (ValueError, OverflowError):
            raise UserError(where + refusal(option, value, source)) from None
        _check_bounds(option, found[name], where, source)
    return found


def check_bounds(options: Any) -> None:
    """Raise :class:`UserError` for a number out of its option's bounds, however the instance was made."""
    for option in options_of(type(options)):
        _check_bounds(option, getattr(options, option.name), "", "flag")


def check_options(options: Any) -> None:
    """:func:`check_bounds`, and what the dataclass's own ``check()`` refuses, if it has one."""
    check_bounds(options)
    own = getattr(options, "check", None)
    if own is not None:
        own()


def _check_bounds(option: Option, value: Any, where: str, source: Source) -> None:
    if rule := option.refusal(value):
        raise UserError(f"{where}{called(option, source)} ({_short(value)}) {rule}")


def refusal(option: Option, value: Any, source: Source) -> str:
    """The words for a value that cannot be one of its option's type: what is wanted, and what may be meant."""
    near = did_you_mean(str(value), choices(option.type), "")
    null = "" if is_bool(option.type) else _NULL[source]
    return f"{called(option, source)} needs {wanted(option.type, null)}, not {value!r}{near}"


def called(option: Option, source: Source) -> str:
    """An option's name as it was written: the flag, or the name."""
    return option.flag if source == "flag" and not option.positional else option.name


def require_all(options: Iterable[Option], values: Mapping[str, Any], who: str) -> None:
    """Raise :class:`UserError` for the first option that must be given and is not."""
    for option in options:
        if option.required and values.get(option.name) is None:
            raise UserError(f"{who} needs {option.name}: {option.help}")


def _by_name(there: Mapping[Any, Any], known: Iterable[str], path: Path) -> dict[str, Any]:
    """The keys of a YAML file with underscores, each known and there once."""
    names = sorted(known)
    found: dict[str, Any] = {}
    for key, value in there.items():
        name = str(key).replace("-", "_")
        if name not in names:
            raise UserError(f"{path}: no option is called {key!r}{did_you_mean(name, names, 'see --help')}")
        if name in found:
            raise UserError(f"{path}: {key!r} is there twice; keep one of them")
        found[name] = value
    return found


def _settle(group: Sequence[str], given: dict[str, Any], written: dict[str, Any], source: Source) -> None:
    """Of a group of options of which one may be given, let the given one stand and drop the file's."""
    chosen = [name for name in group if given.get(name) is not None]
    if len(chosen) > 1:
        both = " and ".join("--" + name.replace("_", "-") if source == "flag" else name for name in chosen)
        raise UserError(f"give one of {both}, not both")
    if chosen:
        for name in group:
            written.pop(name, None)
    there = [name for name in group if written.get(name) is not None]
    if len(there) > 1:
        raise UserError(f"the YAML file gives {' and '.join(there)}; keep one of them")


def _short(value: Any) -> str:
    if isinstance(value, tuple | list):
        return ",".join(map(_short, value))
    return f"{value:g}" if isinstance(value, float) else str(value)
