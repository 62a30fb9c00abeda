"""Formatting of ``--help``: a column of flags and a column of help, as wide as the terminal."""

from __future__ import annotations

import re
import shutil
import textwrap
from collections.abc import Mapping, Sequence
from inspect import cleandoc

from avssl.options import Option
from avssl.options.kinds import choices, is_bool, is_list

# Characters: of a line where the terminal is wider, of one where it is narrower, and before the help.
# Longer lines are read badly; below the narrowest the column of help would be a few words wide.
WIDTH, NARROWEST, FLAGS = 110, 64, 30

# Characters of a list of values that stands behind its option; a longer one goes into the help.
LONGEST_CHOICES = 40


def help_text(name: str, summary: str, example: str, groups: Mapping[str, Sequence[Option]], width: int | None) -> str:
    """The whole help, ending in a newline.

    Args:
        summary: a sentence or paragraphs; lines stay as they are written where they fit.
        example: lines that can be typed, each with a remark behind three spaces or more.
        groups: options by title.
        width: of a line at most; None is the terminal's, or :data:`WIDTH` where there is none.
    """
    width = width or terminal_width()
    placed = [option for options in groups.values() for option in options if option.positional]
    parts = [f"usage: {' '.join([name, *map(_place, placed), '[options]'])}", *_wrapped(summary, width)]
    if placed:
        rows = [(option.name.upper(), option.help) for option in placed]
        parts.append(_table("arguments", rows, width))
    for title, options in groups.items():
        rows = [("-h, --help", "show this and stop")] if title == "options" else []
        rows += [(_names(option), _help(option)) for option in options if not option.positional]
        if rows:
            parts.append(_table(title, rows, width))
    if example:
        parts.append(_example(example, width))
    return "\n\n".join(parts) + "\n"


def listing(name: str, place: str, what: str, known: Mapping[str, str], example: str) -> str:
    """The help of a command that needs one of several names first: ``place`` is what stands for it, "TASK"."""
    width = terminal_width()
    indent = max(map(len, known)) + 5
    rows = [filled(f"  {each:{indent - 2}}{help}", width, indent) for each, help in known.items()]
    parts = [
        f"usage: {name} {place} [options]",
        *_wrapped(what, width),
        "\n".join([f"{place.lower()}s:", *rows]),
        f"{name} {place} --help lists the options of a {place.lower()}",
        _example(example, width),
    ]
    return "\n\n".join(parts) + "\n"


def terminal_width() -> int:
    """Characters of a line: the terminal's, within bounds; :data:`WIDTH` where there is none."""
    return max(NARROWEST, min(WIDTH, shutil.get_terminal_size((WIDTH, 24)).columns))


def _example(text: str, width: int) -> str:
    lines = ["example:"]
    for line in cleandoc(text).splitlines():
        command, *remark = re.split(r" {3,}", line)
        if len(line) + 2 <= width:
            lines.append(f"  {line}")
            continue
        # As a shell takes it: a remark as a comment before the command, the rest of the command on further lines.
        lines += textwrap.wrap(" ".join(remark), width, initial_indent="  # ", subsequent_indent="  # ")
        words = textwrap.wrap(command, width - 8, break_on_hyphens=False, break_long_words=False)
        lines.append("  " + " \\\n      ".join(words))
    return "\n".join(lines)


def _wrapped(summary: str, width: int) -> list[str]:
    """Paragraphs that fit; of a table the texts are wrapped within their column."""
    paragraphs = summary.strip().split("\n\n")
    return [
        text
        if max(map(len, text.splitlines())) <= width
        else "\n".join(filled(line, width, _column(line)) for line in text.splitlines())
        if "  " in text
        else filled(text, width)
        for text in paragraphs
    ]


def _column(line: str) -> int:
    """Where the second column of a line of a table begins; of a line of YAML or code its own indent."""
    gap = re.search(r"(?<=\S) {2,}(?=\S)", line)
    return gap.end() if gap else len(line) - len(line.lstrip())


def filled(text: str, width: int, indent: int = 0) -> str:
    """The text in lines of at most ``width`` characters; all but the first are indented."""
    # Hyphens join the parts of flags and file names: a line must not end within one.
    return textwrap.fill(text, width, subsequent_indent=" " * indent, break_on_hyphens=False, break_long_words=False)


def _table(title: str, rows: Sequence[tuple[str, str]], width: int) -> str:
    lines = [f"{title}:"]
    for names, help in rows:
        about = textwrap.wrap(help, width - FLAGS, break_on_hyphens=False, break_long_words=False) or [""]
        head = f"  {names}"
        if len(head) > FLAGS - 2:  # a long flag has a line of its own
            lines.append(head)
            head = ""
        lines.append(f"{head:{FLAGS}}{about[0]}".rstrip())
        lines += [" " * FLAGS + line for line in about[1:]]
    return "\n".join(lines)


def _place(option: Option) -> str:
    shape = option.name.upper() + ("…" if is_list(option.type) else "")
    return shape if option.required else f"[{shape}]"


def _names(option: Option) -> str:
    if is_bool(option.type):
        return f"{option.flag}, --no-{option.flag[2:]}"
    names = f"{option.short}, {option.flag}" if option.short else option.flag
    return f"{names} {_shown(option)}"


def _shown(option: Option) -> str:
    return "NAME" if _long_choices(option) else option.shown


def _long_choices(option: Option) -> tuple[str, ...]:
    known = choices(option.type)
    return known if option.metavar is None and len(option.shown) > LONGEST_CHOICES else ()


def _help(option: Option) -> str:
    listed = _long_choices(option)
    return option.help + (f"; one of {', '.join(listed)}" if listed else "") + _default(option)


def _default(option: Option) -> str:
    value = option.default
    # What no value means stands in the option's help: "(default: half of the training's)".
    if option.required or value is None or value in ("", ()):
        return ""
    if isinstance(value, bool):
        return f" (default: {'yes' if value else 'no'})"
    if isinstance(value, float):
        return f" (default: {value:g})"
    return f" (default: {','.join(map(str, value)) if isinstance(value, tuple | list) else value})"
