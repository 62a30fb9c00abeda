"""Folders of damaged files given to every command: each ends with status 0 or with one line and status 2."""

from __future__ import annotations

import contextlib
import io
import random
from pathlib import Path

from fuzz.damage import damaged
from fuzz.originals import Original

TINY = ("--batch-size", "4", "--width", "4", "--side", "32", "--workers", "0", "--steps", "2")


def over_commands(originals: list[Original], home: Path, folders: int, seed: int) -> int:
    """Run the commands over folders of damaged files and a few whole ones; returns how many ended wrongly."""
    bad = 0
    for number in range(folders):
        folder = make_folder(originals, home / str(number), random.Random(f"folder {seed} {number}"))
        for words in commands(folder):
            wrong = what_is_wrong(words)
            if wrong:
                bad += 1
                print(f"  avssl {' '.join(words)}: {wrong}")
    return bad


def make_folder(originals: list[Original], folder: Path, dice: random.Random) -> Path:
    """Some files damaged, every third left whole."""
    (folder / "media").mkdir(parents=True, exist_ok=True)
    for number, original in enumerate(originals):
        others = [other.data for other in originals if other.name.endswith(original.name.rpartition(".")[2])]
        data = original.data if number % 3 == 0 else damaged(original.data, others, dice)[0]
        (folder / "media" / f"{number:02d}-{original.name}").write_bytes(data)
    return folder


def commands(folder: Path) -> list[list[str]]:
    """Every command that reads media, as a user would call it."""
    media, run = str(folder / "media"), str(folder / "run")
    first = sorted((folder / "media").iterdir())[1]
    return [
        ["index", media, "--json", str(folder / "index.json")],
        ["prepare", media, str(folder / "prepared"), "--side", "32"],
        ["index", str(folder / "prepared")],
        ["show", "av-correspondence", "--data", media, "-o", str(folder / "sheet.png")],
        ["show", "rotation", "--data", media, "-o", str(folder / "rotation.png")],
        ["train", "av-correspondence", "--data", media, "--out", run, "--on-bad-file", "skip", *TINY],
        ["train", "shuffle-learn", "--data", media, "--out", f"{run}-sl", "--no-controls", *TINY],
        ["embed", media, "--run", run, "-o", str(folder / "out.npz")],
        ["evaluate", "av-correspondence", "--run", run, "--data", media],
        ["localize", str(first), "--run", run, "-o", str(folder / "heat.mp4")],
        ["audit", media, "--fast"],
    ]


def what_is_wrong(words: list[str]) -> str:
    """Run a command here; what is wrong with how it ended, or nothing."""
    from avssl.cli.main import main

    message = io.StringIO()
    with contextlib.redirect_stderr(message), contextlib.redirect_stdout(io.StringIO()):
        status = main(words)
    lines = [line for line in message.getvalue().splitlines() if line.startswith("avssl: ")]
    if "Traceback" in message.getvalue() or status not in (0, 2):
        return f"status {status}: {message.getvalue()[-600:]}"
    if status == 2 and len(lines) != 1:
        return f"status 2 and {len(lines)} lines: {message.getvalue()[-300:]}"
    return ""
