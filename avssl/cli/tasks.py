"""What the commands that take a TASK share: its name, and its options as flags."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from avssl.errors import UserError
from avssl.tasks.registry import BUILT_IN, get, names

if TYPE_CHECKING:
    from avssl.tasks.base import Task


def split_task(argv: Sequence[str], command: str, what: str, example: str) -> tuple[type[Task], list[str]]:
    """The task named first, and the words after it. ``avssl COMMAND --help`` without a task lists the tasks.

    Raises:
        UserError: no task of this name.
        SystemExit: after help.
    """
    words = list(argv)
    if words and not words[0].startswith("-"):
        return get(words[0]), words[1:]
    if not words or words[0] in ("-h", "--help"):
        width = max(map(len, names()))
        listed = "\n".join(f"  {name:{width}}   {BUILT_IN[name][1] if name in BUILT_IN else ''}" for name in names())
        print(f"usage: {command} TASK [options]\n\n{what}\n\ntasks:\n{listed}\n")
        print(f"{command} TASK --help lists the options of a task\n\nexample:\n{example}")
        raise SystemExit(0)
    raise UserError(f"{command} wants the name of a task first ({', '.join(names())}), not {words[0]}")
