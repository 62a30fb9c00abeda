"""The help of every command as one page of Markdown: ``python -m avssl.cli.reference [FILE]``."""

from __future__ import annotations

import contextlib
import io
import os
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

from avssl.cli.main import COMMANDS, main

WIDTH = 100  # Characters of a line of the page's blocks

INTRODUCTION = """# Commands

What `--help` prints after each command. Every option is also a key of the YAML file that `--config` names, where the
command has it, and a keyword of the Python function of the same name, with underscores for the dashes."""


def reference() -> str:
    """The page. Groups of options that a command has for every task or protocol stand there once."""
    return "\n\n".join([INTRODUCTION, _block(_help([])), *_sections()]) + "\n"


def _sections() -> Iterator[str]:
    for name in COMMANDS:
        yield f"## avssl {name}"
        yield _block(_help([name]))
        seen: set[str] = set()
        for each in parts_of(name):
            yield f"### avssl {name} {each}"
            # A group of options that an earlier part has had is left out, whatever its title.
            blocks = _help([name, each]).split("\n\n")
            yield _block("\n\n".join(block for block in blocks if block not in seen))
            seen.update(block for block in blocks if block.partition("\n")[0].endswith(":"))


def parts_of(command: str) -> Sequence[str]:
    """What a command takes as its first word, where that decides its options."""
    from avssl.experiment.options import MULTI_TASK
    from avssl.experiment.protocols import PROTOCOLS
    from avssl.tasks.registry import BUILT_IN

    return {
        "train": (*BUILT_IN, MULTI_TASK),
        "show": tuple(BUILT_IN),
        "evaluate": tuple(PROTOCOLS),
    }.get(command, ())


def _help(words: Sequence[str]) -> str:
    """What the command prints, at the page's width whatever the terminal's is."""
    # As in a terminal of that width: the help asks for it nowhere else.
    written, before = io.StringIO(), os.environ.get("COLUMNS")
    os.environ["COLUMNS"] = str(WIDTH)
    try:
        with contextlib.redirect_stdout(written):
            main([*words, "--help"])
    finally:
        if before is None:
            del os.environ["COLUMNS"]
        else:
            os.environ["COLUMNS"] = before
    return written.getvalue().strip()


def _block(text: str) -> str:
    return f"```text\n{text}\n```"


if __name__ == "__main__":
    if len(sys.argv) > 1:
        Path(sys.argv[1]).write_text(reference(), encoding="utf-8")
    else:
        print(reference(), end="")
