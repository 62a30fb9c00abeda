"""Options of a command: flags, YAML keys and defaults, from the dataclasses that describe them.

A thin layer over jsonargparse, which converts and checks the values. Added here: flags with dashes for fields with
underscores, plain YAML without tags, "did you mean", and errors of one line that name option, value and
what is wanted. A flag beats the YAML file, which beats the default.
"""

from __future__ import annotations

import argparse
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import fields
from pathlib import Path
from typing import Any, TypeVar

from jsonargparse import ActionYesNo, ArgumentError, ArgumentParser

from avssl.cli.argv import Option, meant, normal, options_of
from avssl.cli.type_help import is_bool, metavar, wanted
from avssl.cli.yaml_file import read_yaml
from avssl.errors import UserError
from avssl.experiment.sources import DEFAULT, HELP

__all__ = ["BUDGET", "Command", "Option", "Values", "options_of"]

T = TypeVar("T")
Groups = Sequence[Sequence[str]]

LONGEST_METAVAR = 80
"""Characters of a list of values that stands behind its option; a longer one goes into the help."""

BUDGET = ("steps", "epochs", "minutes")
"""Options of which one is given; on the command line it overrides another of them in the YAML file."""


class Values(dict[str, Any]):
    """Every option's value by name, converted and checked.

    Attributes:
        given: names given on the command line or in the YAML file.
    """

    given: frozenset[str] = frozenset()

    def build(self, cls: type[T]) -> T:
        """An instance of an options dataclass from the values of its fields' names."""
        return cls(**{field.name: self[field.name] for field in fields(cls) if field.name in self})  # type: ignore[arg-type]


class Command:
    """The command line of one command.

    Args:
        name: as typed: "avssl train av-correspondence".
        summary: what it does, a sentence or a paragraph.
        example: lines that can be typed as they stand.
        exclusive: groups of options of which one may be given.
    """

    def __init__(self, name: str, summary: str, example: str = "", exclusive: Groups = ()) -> None:
        self.name = name
        self._exclusive = exclusive
        self._options: dict[str, Option] = {}
        self._positional: list[tuple[str, bool]] = []
        self._parser = ArgumentParser(
            prog=name,
            description=summary,
            epilog=f"example:\n{_indented(example)}" if example else None,
            formatter_class=_Formatter,
            exit_on_error=False,
            add_help=False,
            usage=f"{name} [options]",
        )
        self._groups = {"options": self._parser.add_argument_group("options")}
        self._groups["options"].add_argument("-h", "--help", action=_Help, help="show this and stop")

    def positional(self, name: str, help: str, *, many: bool = False, optional: bool = False) -> None:
        """An argument without a flag; ``many`` takes one or more of them as a list."""
        self._positional.append((name, optional))
        shape = name.upper() + ("…" if many else "")
        self._parser.add_argument(name, nargs="*" if many else "?", type=str, help=help, metavar=name.upper())
        stem = (self._parser.usage or "").removesuffix(" [options]")
        self._parser.usage = f"{stem} {f'[{shape}]' if optional else shape} [options]"

    def add(self, options: Iterable[Option], title: str = "options") -> None:
        """Options, listed in the help under ``title``."""
        if title not in self._groups:
            self._groups[title] = self._parser.add_argument_group(title)
        for option in options:
            self._options[option.name] = option
            names = [option.flag] if option.short is None else [option.short, option.flag]
            shown = option.metavar or metavar(option.type)
            listed = ""
            if shown.startswith("{") and len(shown) > LONGEST_METAVAR:  # its line of the help would not fit
                shown, listed = "NAME", f"; one of {', '.join(shown.strip('{}').split(','))}"
            help = (option.help + listed + _default(option)).replace("%", "%%")
            if is_bool(option.type):
                action = ActionYesNo(yes_prefix="", no_prefix="no-")
                self._groups[title].add_argument(option.flag, action=action, default=option.default, help=help)
            else:
                self._groups[title].add_argument(
                    *names,
                    type=option.type,
                    default=option.default,
                    help=help,
                    metavar=shown,
                )

    def parse(
        self,
        argv: Sequence[str],
        *,
        config: str | None = None,
        section: tuple[Path, Mapping[Any, Any]] | None = None,
        extra_keys: Iterable[str] = (),
    ) -> Values:
        """The values of all options and arguments.

        Args:
            argv: what was typed after the command's name.
            config: name of the option that names a YAML file, if there is one; its keys are the options' names.
            section: instead of it, a part of a YAML file that was read before, and the file's name.
            extra_keys: further keys that the YAML file may hold; returned as they are, None where absent.

        Raises:
            UserError: one line: the option, the value, what is wanted, or what was meant.
        """
        flags = self._from_flags(argv)
        written: dict[str, Any] = {}
        extra = dict.fromkeys(extra_keys)
        if config is not None and flags.get(config) is not None:
            path = Path(flags[config])
            written, extra = self._from_file(path, read_yaml(path), extra, leave_out={config})
        elif section is not None:
            written, extra = self._from_file(*section, extra, leave_out=set())
        self._refuse_outside(flags, "")
        for group in self._exclusive:
            _settle(group, flags, written)
        defaults = {option.name: option.default for option in self._options.values()}
        values = Values({**extra, **defaults, **written, **flags})
        values.given = frozenset(flags) | frozenset(written)
        self._require_positional(values)
        return values

    # --- how ----------------------------------------------------------------------------------------------

    def _from_flags(self, argv: Sequence[str]) -> dict[str, Any]:
        try:
            namespace = self._parser.parse_args(normal(argv, self._options.values(), self.name), defaults=False)
        except ArgumentError as error:
            raise self._one_line(str(error), as_flag=True) from error
        return {name: value for name, value in vars(namespace).items() if not (value is None and self._bare(name))}

    def _bare(self, name: str) -> bool:
        return any(name == positional for positional, _ in self._positional)

    def _from_file(
        self, path: Path, there: Mapping[Any, Any], extra: dict[str, Any], leave_out: set[str]
    ) -> tuple[dict[str, Any], dict[str, Any]]:
        known = self._options.keys() - leave_out
        read: dict[str, Any] = {}
        for key, value in there.items():
            name = str(key).replace("-", "_")
            if name not in known and name not in extra:
                raise UserError(f"{path}: no option is called {key!r}{meant(name, sorted(known))}")
            if name in read:
                raise UserError(f"{path}: {key!r} is there twice; keep one of them")
            if name in known and is_bool(self._options[name].type) and not isinstance(value, bool):
                raise UserError(f"{path}: {name} wants true or false, not {value!r}")
            read[name] = value
        found = {name: read.pop(name, None) for name in extra}
        try:
            namespace = self._parser.parse_object(read, defaults=False)
        except ArgumentError as error:
            raise self._one_line(str(error), as_flag=False, where=f"{path}: ") from error
        written = {name: value for name, value in vars(namespace).items() if name in read}
        self._refuse_outside(written, f"{path}: ")
        return written, found

    def _one_line(self, message: str, *, as_flag: bool, where: str = "") -> UserError:
        """What jsonargparse says over several lines, in one that a person can act on."""
        key = re.search(r'[Pp]arser key "([^"]+)"', message)
        option = self._options.get(key[1].split(".")[0]) if key else None
        if option is None:
            plain = re.sub(r"\s+", " ", message).strip()
            stray = re.fullmatch(r"[Uu]nrecognized arguments: (.*)", plain)
            if stray:
                plain = f"{self.name} does not know what to do with {stray[1]!r}; see {self.name} --help"
            return UserError(where + plain)
        name = option.flag if as_flag else option.name
        found = re.findall(r"(?:Got|Given) value: (.*)", message)
        value = found[-1].strip() if found else "something else"
        near = ""
        choices = re.findall(r"[\w.+-]+", metavar(option.type)) if metavar(option.type).startswith("{") else []
        if choices:
            near = meant(value, choices, otherwise=None)
        return UserError(f"{where}{name} wants {wanted(option.type, null=not as_flag)}, not {value!r}{near}")

    def _refuse_outside(self, values: Mapping[str, Any], where: str) -> None:
        """Numbers outside the bounds of their options; ``where`` is the file that they are from, or nothing."""
        for name, value in values.items():
            option = self._options.get(name)
            refusal = option.refusal(value) if option else None
            if option and refusal:
                said = f"{value:g}" if isinstance(value, float) else value
                raise UserError(f"{where}{name if where else option.flag} ({said}) {refusal}")

    def _require_positional(self, values: Values) -> None:
        for name, optional in self._positional:
            if not values.get(name):
                if not optional:
                    raise UserError(f"{self.name} wants {name.upper()}; see {self.name} --help")
                values.setdefault(name, None)


def _settle(group: Sequence[str], flags: dict[str, Any], written: dict[str, Any]) -> None:
    """Of a group of options of which one may be given, let the flag stand and drop the file's."""
    typed = [name for name in group if flags.get(name) is not None]
    if len(typed) > 1:
        both = " and ".join("--" + name.replace("_", "-") for name in typed)
        raise UserError(f"give one of {both}, not both")
    if typed:
        for name in group:
            written.pop(name, None)
    said = [name for name in group if written.get(name) is not None]
    if len(said) > 1:
        raise UserError(f"the YAML file gives {' and '.join(said)}; keep one of them")


def _default(option: Option) -> str:
    value = option.default
    if value is None or value in ("", ()):
        return ""
    if isinstance(value, bool):
        return f" (default: {'yes' if value else 'no'})"
    if isinstance(value, float):
        return f" (default: {value:g})"
    return f" (default: {','.join(map(str, value)) if isinstance(value, tuple | list) else value})"


def _indented(text: str) -> str:
    return "\n".join("  " + line for line in text.strip().splitlines())


class _Help(argparse.Action):
    def __init__(self, option_strings: Sequence[str], dest: str, **settings: Any) -> None:
        super().__init__(option_strings, argparse.SUPPRESS, nargs=0, default=argparse.SUPPRESS, help=settings["help"])

    def __call__(self, parser: argparse.ArgumentParser, *_: Any) -> None:
        print(parser.format_help(), end="")
        raise SystemExit(0)


class _Formatter(argparse.RawDescriptionHelpFormatter):
    """One column of flags, one of help; the text above and below stays as it is written."""

    def __init__(self, prog: str, **settings: Any) -> None:
        super().__init__(prog, max_help_position=30, width=110)

    def _format_action_invocation(self, action: argparse.Action) -> str:
        """``-o, --out PATH`` rather than ``-o PATH, --out PATH``."""
        if not action.option_strings or action.nargs == 0:
            return super()._format_action_invocation(action)
        if isinstance(action, ActionYesNo):
            return ", ".join(action.option_strings)
        return f"{', '.join(action.option_strings)} {action.metavar or action.dest.upper()}"


def source_options() -> list[Option]:
    """``--sources`` and its alias, for commands that divide or judge by source and do not train."""
    return [
        Option("sources", str, DEFAULT, HELP),
        Option("source_column", str | None, None, "the same as --sources COLUMN"),
    ]
