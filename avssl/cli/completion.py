"""``avssl completion``: a script that makes a shell complete commands, tasks, protocols, flags and their values."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from avssl.cli.command import parsed
from avssl.options import argument

WHAT = """Print a script that makes the shell complete what follows avssl at Tab: commands, tasks, protocols, flags, the
values of a flag that takes one of a few, and files elsewhere. The script holds all of it, so that nothing is started at
Tab; print it again after an update. Tasks of your own (AVSSL_TASKS) are not in it."""
EXAMPLE = """avssl completion bash > ~/.local/share/bash-completion/completions/avssl
avssl completion zsh > ~/.zfunc/_avssl               with fpath+=~/.zfunc before compinit in ~/.zshrc
avssl completion fish > ~/.config/fish/completions/avssl.fish"""


@dataclass(frozen=True, kw_only=True)
class CompletionOptions:
    """For which shell."""

    shell: Literal["bash", "zsh", "fish"] = argument("bash, zsh or fish")


def run(argv: Sequence[str]) -> None:
    """Print the script."""
    options = parsed(argv, CompletionOptions, "avssl completion", WHAT, EXAMPLE)
    from avssl.cli.completion_script import completion_script

    print(completion_script(options.shell), end="")
