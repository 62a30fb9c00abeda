"""Prepared sets and run folders, damaged as disks and people do it: every reader gives the right answer or one line."""

from __future__ import annotations

import contextlib
import hashlib
import io
import json
import shutil
import tempfile
import zlib
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from mutate import mutate
from small_runs import TINY, write_clip

TRAIN = ("train", "av-correspondence", "--steps", "3")
RATE = 16_000


@dataclass(frozen=True)
class Kept:
    """A seed to damage a copy with; a negative one leaves it whole."""

    home: str
    what: str
    """"set" or "run"."""
    seed: int


Answer = tuple[int, str]
"""(status, the message or a digest of what was made)."""


def over_kept(home: Path, sets: int, runs: int, seed: int, workers: int | None) -> int:
    """Damage ``sets`` prepared sets and ``runs`` run folders; returns how many readers answered wrongly."""
    from avssl.system.process_pool import Lost, each

    make_kept(home)
    jobs = [Kept(str(home), what, seed + k) for what, count in (("set", sets), ("run", runs)) for k in range(count)]
    right = {what: dict(answers(Kept(str(home), what, -1))[1]) for what in ("set", "run")}
    counts: Counter[str] = Counter()
    bad = 0
    for place, found in each(answers, jobs, workers, lambda job: 600.0):
        job = jobs[place]
        if isinstance(found, Lost):
            bad += 1
            print(f"  {job.what} {job.seed}: LOST: {found.reason}")
            continue
        done, result = found
        for reader, (status, words) in result:
            fate = _fate(status, words, right[job.what][reader])
            counts[f"{job.what}: {fate}"] += 1
            if fate not in ("right", "one line"):
                bad += 1
                print(f"  {job.what} {job.seed} ({done}): {reader}: {fate}: {words[-500:]}")
    print("kept", dict(counts))
    return bad


def _fate(status: int, words: str, right: Answer) -> str:
    if status == 2:
        return "one line" if words.startswith("avssl: ") and "\n" not in words else "NOT ONE LINE"
    if status != 0:
        return "FAULT"
    return "right" if words == right[1] else "WRONG ANSWER"


def make_kept(home: Path) -> None:
    """A prepared set, and a finished run with an evaluation."""
    for k in range(8):
        write_clip(home / "clips" / f"{k:02d}.mp4", k)
    clips = str(home / "clips")
    for words in (
        ["prepare", clips, str(home / "set"), "--side", "48", "--shard-size", "3"],
        [*TRAIN, "--data", clips, "--out", str(home / "run"), *TINY],
    ):
        status, found = _called(words)
        assert status == 0, found


def answers(job: Kept) -> tuple[str, list[tuple[str, Answer]]]:
    """What every reader says of a damaged copy, and what was done to it."""
    home = Path(job.home)
    with tempfile.TemporaryDirectory(dir=home) as temporary:
        out = Path(temporary)
        copy = Path(shutil.copytree(home / job.what, out / job.what))
        done = mutate(copy, job.seed) if job.seed >= 0 else "whole"
        readers = _of_a_set(copy, home, out) if job.what == "set" else _of_a_run(copy, home, out)
        return done, [(name, _answer(read)) for name, read in readers.items()]


Reader = Callable[[], Answer]


def _of_a_set(copy: Path, home: Path, out: Path) -> dict[str, Reader]:
    data, run = str(copy), str(home / "run")
    return {
        "open": lambda: (0, _everything(copy)),
        "index": lambda: _called(["index", data], keep=False),
        "index --quick": lambda: _called(["index", data, "--quick"], keep=False),
        "show": lambda: _made(["show", "rotation", "--data", data, "-o", str(out / "s.png")], out / "s.png"),
        "embed": lambda: _embedded(["embed", data, "--run", run], out),
        "train": lambda: _called(
            [*TRAIN, "--data", data, "--out", str(out / "new"), "--no-controls", *TINY], keep=False
        ),
        "prepare again": lambda: _called(
            ["prepare", str(home / "clips"), data, "--side", "48", "--shard-size", "3"], keep=False
        ),
    }


def _of_a_run(copy: Path, home: Path, out: Path) -> dict[str, Reader]:
    run, clips = str(copy), str(home / "clips")
    named = ["--run", run, "--data", clips]
    return {
        "load": lambda: (0, _loaded(copy)),
        "embed": lambda: _embedded(["embed", clips, "--run", run], out),
        "export": lambda: _called(["export", run, "-o", str(out / "v.pth")], keep=False),
        "evaluate": lambda: _called(["evaluate", "av-correspondence", *named, "--puzzles", "8"], keep=False),
        "show": lambda: _made(["show", "av-correspondence", *named, "-o", str(out / "s.png")], out / "s.png"),
        "report": lambda: _called(["report", run, "-o", str(out / "r.html")], keep=False),
        "runs": lambda: _called(["runs", str(out)], keep=False),
        "compare": lambda: _called(["compare", str(home / "run"), run], keep=False),
        "localize": lambda: _called(
            ["localize", f"{clips}/00.mp4", "--run", run, "--per-second", "1", "-o", str(out / "h.mp4")], keep=False
        ),
        "train": lambda: _called([*TRAIN, "--data", clips, "--out", run, *TINY], keep=False),
    }


# --- how ------------------------------------------------------------------------------------------------


def _answer(read: Reader) -> Answer:
    from avssl.errors import UserError

    try:
        return read()
    except UserError as error:
        return 2, f"avssl: {error}"
    except Exception as error:  # any other is what is looked for: shown with its kind
        return 1, f"{type(error).__name__}: {error}"


def _called(words: list[str], keep: bool = True) -> Answer:
    """Run a command here: its status, and the line of its error, or nothing where it went well."""
    from avssl.cli.main import main

    message, out = io.StringIO(), io.StringIO()
    with contextlib.redirect_stderr(message), contextlib.redirect_stdout(out):
        status = main(words)
    if status == 0:
        return 0, out.getvalue() if keep else ""
    if status == 2:
        return 2, "\n".join(line for line in message.getvalue().splitlines() if line.startswith("avssl: "))
    return status, message.getvalue()


def _made(words: list[str], path: Path) -> Answer:
    status, found = _called(words, keep=False)
    return status, found if status else hashlib.blake2b(path.read_bytes()).hexdigest()


def _embedded(words: list[str], out: Path) -> Answer:
    status, found = _called([*words, "-o", str(out / "e.npz")], keep=False)
    if status:
        return status, found
    rows = np.load(out / "e.npz")
    return 0, json.dumps([zlib.crc32(np.nan_to_num(rows[name]).tobytes()) for name in ("image", "audio", "seconds")])


def _everything(folder: Path) -> str:
    """All that can be asked of each item of a set."""
    import avssl

    media = avssl.open(folder, progress=False, workers=0)
    found: list[object] = [len(media), media.fingerprint]
    for i in range(len(media)):
        facts, times = media.facts(i), media.frame_times(i).tolist()
        frames, sound = media.frames(i, times), media.audio(i, 0.0, facts.audio_end_seconds, RATE)
        found += [Path(facts.path).name, times, zlib.crc32(frames.tobytes()), zlib.crc32(sound.tobytes())]
    return json.dumps(found)


def _loaded(folder: Path) -> str:
    import avssl

    state = avssl.load(folder).state_dict()
    return json.dumps({name: zlib.crc32(value.numpy().tobytes()) for name, value in state.items()})
