"""The command ``avssl``: finds the subcommand; every error that a user can cause is one line."""

from __future__ import annotations

import errno
import importlib
import io
import os
import signal
import sys
import traceback
import warnings
from collections.abc import Sequence

from avssl import __version__
from avssl.errors import UserError, did_you_mean
from avssl.options.python_names import typed_command
from avssl.system.console import fitted, print_lines
from avssl.system.ranks import processes

# Name → one line of help; each is a module of `avssl.cli` with ``run(argv)``, imported when it is asked for.
COMMANDS = {  # in the order in which a newcomer needs them
    "index": "what is in a folder of media; each unusable file with its reason",
    "audit": "duplicates, shared sources, leaks and shortcuts in data",
    "world": "generate clips with their ground truth",
    "fetch": "the clips of a published list: VGGSound, AudioSet, Kinetics, AVE, Flickr-SoundNet",
    "prepare": "decode once into shards that training reads fast",
    "show": "draw puzzles on a sheet, for people to solve",
    "train": "train a pretext task, and its controls",
    "evaluate": "figures of a finished run",
    "embed": "files to 128-d embeddings with a finished run",
    "search": "the moments of a collection that go with a sound or a picture",
    "export": "an encoder as a file for torchvision, ONNX or torch.export, checked",
    "push": "a finished run to a Hugging Face Hub, with its model card",
    "localize": "overlay a video with heat where its sound comes from",
    "explore": "a run and a collection in the browser: search, heat, map, puzzles",
    "report": "one HTML page of a run, or of several side by side",
    "reproduce": "a published claim, trained, evaluated and answered",
    "runs": "the runs in a folder with their headline figures",
    "compare": "in which options and figures runs differ",
    "completion": "a script that completes commands, flags and values in bash, zsh or fish",
    "doctor": "what this installation has, and which features lack a package",
}

OVERVIEW = """usage: avssl COMMAND …

Learn from videos without labels: pretext tasks, their controls, and encoders.

commands:
{commands}

options:
  -h, --help     show this; after a command, its options
  --version      the version

first steps:
  avssl train av-correspondence --steps 300      on clips it generates
  avssl index videos/                            what your own folder holds
  avssl train av-correspondence --data videos/ --out runs/mine
"""


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command.

    Returns:
        the exit status: 0; 2 for an error that the user can mend, in one line; 1 for a fault of the program,
        which names itself; 130 after Ctrl-C.
    """
    words = list(sys.argv[1:] if argv is None else argv)
    for stream in (sys.stdout, sys.stderr):
        # A terminal that cannot show × must not end a training; pytest and notebooks put other classes here.
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")
    print_lines()
    # Of names in scripts that the fonts of this machine lack: nothing that whoever typed a command has done wrong.
    warnings.filterwarnings("ignore", message=r"Glyph .* missing from|Matplotlib currently does not support")
    if processes() > 1:  # else each warns of a search for unused weights, which heads of several tasks need
        os.environ.setdefault("TORCH_CPP_LOG_LEVEL", "ERROR")
    try:
        with typed_command():
            _dispatch(words)
        sys.stdout.flush()  # here, so that a full disk or a closed pipe is met within the block
    except SystemExit as stop:  # of --help
        return stop.code if isinstance(stop.code, int) else 0
    except KeyboardInterrupt:
        print("avssl: interrupted", file=sys.stderr)
        return 128 + signal.SIGINT
    except BrokenPipeError:
        # The reader of a pipe (head, less) has gone: Python must not try to write to it again at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    # All of them: this is the last place before Python's own traceback. What a user can mend ends in one line; whatever
    # else was raised is a fault of ours, which is shown whole and says so, instead of blaming a file or an option.
    except Exception as error:
        line = _one_line(error)
        if os.environ.get("AVSSL_TRACEBACK") == "1":
            raise
        if line is None:
            _own_fault(error)
            return 1
        print(fitted(f"avssl: {line}", sys.stderr), file=sys.stderr)
        return 2
    return 0


def _own_fault(error: Exception) -> None:
    traceback.print_exception(error)
    what = " ".join(f"{type(error).__name__}: {error}".split())
    print(
        f"avssl: internal error of avssl {__version__}: {what}; please report it with the lines above", file=sys.stderr
    )


def _dispatch(words: list[str]) -> None:
    if not words or words[0] in ("-h", "--help", "help"):
        from avssl.cli.help_text import filled, terminal_width

        indent = max(map(len, COMMANDS)) + 5
        lines = (f"  {name:{indent - 2}}{summary}" for name, summary in COMMANDS.items())
        listed = "\n".join(filled(line, terminal_width(), indent) for line in lines)
        print(OVERVIEW.format(commands=listed), end="")
        return
    if words[0] in ("--version", "-V"):
        print(f"avssl {__version__}")
        return
    if words[0] not in COMMANDS:
        raise UserError(f"no command is called {words[0]!r}{_hint(words[0])}")
    importlib.import_module(f"avssl.cli.{words[0]}").run(words[1:])


def _hint(word: str) -> str:
    # "avssl rotation" is typed by whoever remembers the task and not the command.
    from avssl.tasks.registry import names

    if word in names():
        return f"; did you mean 'avssl train {word}' or 'avssl show {word}'?"
    return did_you_mean(word, COMMANDS)


def _one_line(error: Exception) -> str | None:
    """The line about an error that the user can mend; None if it is a fault of the program."""
    if isinstance(error, UserError):
        return " ".join(str(error).split())
    # Raised by whichever line writes or reads: caught here instead of around every one of them.
    if isinstance(error, OSError) and error.errno in _DISK:
        name = error.filename2 or error.filename  # of a rename the second is the one that the user knows
        return (f"{name}: " if name else "") + _DISK[error.errno]
    if isinstance(error, ModuleNotFoundError) and error.name in ("torch", "torchvision"):
        return f"the package {error.name} is not installed, which this command needs; pip install {error.name}"
    if type(error).__name__ == "OutOfMemoryError":  # torch's, which is not imported here
        return "the GPU's memory is full; try a smaller --batch-size, or --accumulate 2"
    return None


_DISK = {
    errno.ENOSPC: "the disk is full; free some space and run the same command again",
    errno.EDQUOT: "the disk quota is used up; free some space and run the same command again",
    errno.EFBIG: "the file is larger than is allowed here (ulimit -f); raise the limit and run the same command again",
    errno.EACCES: "no permission to read or write there; choose another place",
    errno.EROFS: "the disk is read-only; choose another place",
    errno.EISDIR: "a folder is where a file should be; move it away",
    errno.ENOTDIR: "a file is where a folder should be; move it away",
}


if __name__ == "__main__":
    sys.exit(main())
