"""Command-line parsing of one command: words to checked values, and its help.

Not argparse: there ``--flag`` with an optional value takes a file that follows it (``avssl index --all videos/``),
and every message would have to be rewritten. Here every flag has one value, but for a yes or no.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from itertools import takewhile
from pathlib import Path
from typing import Any, TypeVar

from avssl.cli.help_text import help_text
from avssl.errors import UserError, did_you_mean
from avssl.networks.own_modules import allow
from avssl.options import Option, Values, options_of, read_yaml, resolve
from avssl.options.kinds import NO, YES, choices, from_text, is_bool, is_list, wanted
from avssl.options.resolve import read, refusal

T = TypeVar("T")


# What every command with options has, unless its own options have one of this name, which it reads by itself.
CONFIG = Option("config", str | None, None, "YAML file of these options; flags override it", metavar="YAML")


class HelpShown(SystemExit):
    """Ends a command after its help, and says whose it was."""

    def __init__(self, command: Command) -> None:
        super().__init__(0)
        self.command = command


class Command:
    """The command line of one command.

    Args:
        name: as typed: "avssl train av-correspondence".
        summary: what it does, a sentence or a paragraph.
        example: lines that can be typed as they stand.
        exclusive: groups of options of which one may be given.
        section: the options of a part by its name, given with it before them (``--rotation.side 64``); raises
            :class:`UserError` for a part that there is not. Their values are a dict under the name of the part.
    """

    def __init__(
        self,
        name: str,
        summary: str,
        example: str = "",
        exclusive: Sequence[Sequence[str]] = (),
        section: Callable[[str], Iterable[Option]] | None = None,
    ) -> None:
        self.name = name
        self.summary = summary
        self.example = example
        self._groups: dict[str, list[Option]] = {"options": []}
        self._exclusive = exclusive
        self._section = section

    def add(self, options: Iterable[Option] | type[Any], title: str = "options") -> None:
        """Options, or a dataclass of them, listed in the help under ``title``."""
        self._groups.setdefault(title, []).extend(options_of(options) if isinstance(options, type) else options)

    @property
    def groups(self) -> dict[str, list[Option]]:
        """Options by title, as the help lists them."""
        return self._groups | {"options": [*self._groups["options"], CONFIG]} if self._reads_file else self._groups

    @property
    def options(self) -> dict[str, Option]:
        """All options by name."""
        return {option.name: option for options in self.groups.values() for option in options}

    @property
    def arguments(self) -> list[Option]:
        """Those that are given by their place."""
        return [option for option in self.options.values() if option.positional]

    def help(self, width: int | None = None) -> str:
        """What ``--help`` prints, lines of at most ``width`` characters; None is the terminal's width."""
        return help_text(self.name, self.summary, self.example, self.groups, width)

    def parse(self, argv: Sequence[str]) -> Values:
        """The values of all options and arguments, from what was typed after the command's name.

        Raises:
            UserError: one line: the option, the value, what is wanted, or what was meant.
            SystemExit: after help.
        """
        known = self.options
        given = self._read(argv, known)
        # "module:" names code: only what was typed may run it.
        allow(given)
        parts: dict[str, dict[str, Any]] = {}
        for name in [name for name in given if "." in name]:
            part, _, own = name.partition(".")
            parts.setdefault(part, {})[own] = read({name: given.pop(name)}, known, "", "flag")[name]
        config = CONFIG.name if self._reads_file else None
        values = resolve(self.options.values(), given, config=config, exclusive=self._exclusive, source="flag")
        values.update(parts)
        values.given |= parts.keys()
        # Not in resolve(): the message names the command and its help.
        for option in self.options.values():
            if option.required and not values.get(option.name):
                what = option.name.upper() if option.positional else f"{option.short or option.flag} {option.shown}"
                raise UserError(f"{self.name} needs {what}, {option.help}; see {self.name} --help")
        return values

    def peek(self, argv: Sequence[str], name: str) -> str | None:
        """The value of an option that decides which others there are, before those are known; None if not given."""
        found: dict[str, str] = {}
        for place, word in enumerate(argv):
            flag, equals, value = word.partition("=")
            if flag in (f"--{name}", CONFIG.flag) and (equals or place + 1 < len(argv)):
                found[flag[2:]] = value if equals else argv[place + 1]
        if name not in found and CONFIG.name in found:  # a flag beats the file
            found |= {str(key): value for key, value in read_yaml(Path(found[CONFIG.name])).items() if key == name}
        return found.get(name)

    def options_of_part(self, part: str) -> list[Option]:
        """Those that are given with the name of a part before them; none where the command has no parts."""
        own = self._section(part) if self._section else ()
        return [replace(option, name=f"{part}.{option.name}", short=None) for option in own]

    @property
    def _reads_file(self) -> bool:
        # Training reads its file itself, as it has sections; a command without options has nothing to read.
        own = [option.name for options in self._groups.values() for option in options]
        return bool(own) and CONFIG.name not in own

    def _read(self, argv: Sequence[str], known: dict[str, Option]) -> dict[str, Any]:
        """What was typed, converted, by the options' names; ``known`` gets those of each part that is named."""
        by_flag = {flag: option for option in known.values() for flag in _flags(option)}
        found: dict[str, Any] = {}
        loose: list[str] = []
        rest = deque(argv)
        if {"-h", "--help"} & set(takewhile(lambda word: word != "--", argv)):  # whatever else is wrong
            print(self.help(), end="")
            raise HelpShown(self)
        while rest:
            word = rest.popleft()
            if word == "--":  # all that follows are arguments, as everywhere: files may begin with a dash
                loose.extend(rest)
                break
            # "-" is a file's name by custom, and -3 a number.
            if not word.startswith("-") or word == "-" or _is_number(word):
                loose.append(word)
                continue
            flag, equals, value = word.partition("=")
            # --batch_size is --batch-size: who copies a key of the YAML file is not sent away.
            flag = "--" + flag[2:].replace("_", "-") if flag.startswith("--") else flag
            # The options of a part are found when it is first named: there may be any number of tasks.
            if "." in flag and self._section and flag not in by_flag:
                part = flag[2:].partition(".")[0]
                own = self.options_of_part(part)
                known |= {option.name: option for option in own}
                by_flag |= {flag: option for option in own for flag in _flags(option)}
            if flag not in by_flag:
                near = did_you_mean(flag, by_flag, f"see {self.name} --help")
                raise UserError(f"{self.name} has no option {flag}{near}")
            option = by_flag[flag]
            if flag == _no(option):
                if equals:
                    raise UserError(f"{flag} takes no value; give {flag} alone, or {option.flag}")
                found[option.name] = False
            else:
                text = value if equals else _next_value(option, rest)
                found[option.name] = _converted(text, option)
        return found | self._placed(loose)

    def _placed(self, words: Sequence[str]) -> dict[str, Any]:
        """Words without a flag as the arguments in their order; one that takes many takes all that are left."""
        found: dict[str, Any] = {}
        left = deque(words)
        for option in self.arguments:
            if left and is_list(option.type):
                found[option.name] = tuple(left)
                left.clear()
            elif left:
                found[option.name] = left.popleft()
        if left:
            raise UserError(f"{self.name} does not know what to do with {left[0]!r}; see {self.name} --help")
        return found


def parsed(argv: Sequence[str], cls: type[T], name: str, summary: str, example: str) -> T:
    """The options of a command that has one dataclass of them, from what was typed after its name.

    Raises:
        UserError, SystemExit: as :meth:`Command.parse`.
    """
    command = Command(name, summary, example)
    command.add(cls)
    return command.parse(argv).build(cls)


def flags_of(option: Option) -> list[str]:
    """What may be typed for an option; none of one that is given by its place."""
    return [] if option.positional else [flag for flag in (option.flag, option.short, _no(option)) if flag]


def _flags(option: Option) -> list[str]:
    former = option.formerly and "--" + option.formerly.replace("_", "-")
    return [*flags_of(option), *([former] if former else [])]


def _no(option: Option) -> str | None:
    part, dot, own = option.flag[2:].rpartition(".")
    return f"--{part}{dot}no-{own}" if is_bool(option.type) else None


def _is_number(word: str) -> bool:
    return word[1:2].isdigit() or (word[1:2] == "." and word[2:3].isdigit())


def _next_value(option: Option, rest: deque[str]) -> str:
    if is_bool(option.type):
        # 0 and 1 may be a file's name: they count as a no and a yes only in --flag=0.
        known = (YES | NO) - {"0", "1"} | set(choices(option.type))
        return rest.popleft() if rest and rest[0].lower() in known else "true"
    if not rest or rest[0].startswith("--"):
        raise UserError(f"{option.flag} needs {option.metavar or wanted(option.type)} after it")
    return rest.popleft()


def _converted(text: str, option: Option) -> Any:
    try:
        return from_text(text, option.type)
    except (ValueError, OverflowError):
        raise UserError(refusal(option, text, "flag")) from None
