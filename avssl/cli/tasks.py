"""Shared by the commands that take a TASK: its name, and its options as flags."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from avssl.cli.help_text import listing
from avssl.errors import UserError
from avssl.tasks.registry import names, options_class, summary


def split_task(
    argv: Sequence[str], command: str, what: str, example: str, more: Mapping[str, str] | None = None
) -> tuple[str, list[str]]:
    """The name of the task that comes first, and the words after it; ``--help`` alone lists the tasks and ``more``.

    Raises:
        UserError: no task of this name.
        SystemExit: after help.
    """
    words = list(argv)
    if words and not words[0].startswith("-"):
        options_class(words[0])  # refuses a name that there is not
        return words[0], words[1:]
    if not words or words[0] in ("-h", "--help"):
        known = {name: summary(name) for name in names()} | dict(more or {})
        print(listing(command, "TASK", what, known, example), end="")
        raise SystemExit(0)
    raise UserError(f"{command} needs the name of a task first ({', '.join(names())}), not {words[0]}")
