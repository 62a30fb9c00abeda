"""Mutation testing: would the tests notice if this line were wrong?

    make mutants                                    all rooms: samples, trials, a table
    python scripts/mutants --rooms samplers --sample 20 --seed 1
    python scripts/mutants --again                  only those that survived the last time

Each mutant is the package with one small fault (see ``sample.py``); it is killed if a test fails, if a test takes far
longer than it should, or if the package cannot be imported; else it survived. ``rooms.toml`` says which files make a
room, which tests are asked, and which survivors are known to change nothing that anybody could see, with the reason.
Results lie in ``--out``: a line of JSON a mutant, with the change and the test that noticed it.

The faults are those of cosmic-ray's operators (and four of our own in its interface, ``operators.py``). Its own runner
starts the test command anew for each mutant and writes the mutant into the working tree: three seconds of importing
torch each time, and nobody else may use the tree meanwhile. mutmut forks, but mutates nothing outside of functions and
nothing that is decorated, which leaves out the constants and methods that matter here. So the trials are our own
(``trial.py``): libraries are imported once, each mutant is a fork of that process in a copy of the repository, and
only tests that reach the changed line are asked, the fastest first.
"""

from __future__ import annotations

import argparse
import gc
import importlib
import json
import multiprocessing
import os
import shutil
import sys
import tempfile
import time
import tomllib
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from reach import Reach, measure
from sample import Mutant, draw
from trial import Outcome, try_mutant

HERE = Path(__file__).parent
ROOT = HERE.parent.parent
COPIED = ("avssl", "tests", "configs", "docs", "scripts", "benchmarks", "pyproject.toml", "Makefile", "constraints.txt")
COPIED_PAGES = "*.md"


def main() -> int:
    options = _options()
    config = tomllib.loads((HERE / "rooms.toml").read_text())
    rooms = {name: config["rooms"][name] for name in options.rooms or config["rooms"]}
    options.out.mkdir(parents=True, exist_ok=True)
    if not options.list and not options.table:
        _import_once(config["preload"])
    for name, room in rooms.items():
        if not options.table:
            _room(name, room, options)
    if not options.list:
        print(table(options.out, list(rooms), config.get("equivalent", [])))
    return 0


def _room(name: str, room: dict[str, Any], options: argparse.Namespace) -> None:
    results = options.out / f"{name}.jsonl"
    mutants = draw(ROOT, room["files"], options.sample, options.seed)
    if options.list:
        for mutant in mutants:
            print(f"{name}  {mutant.where}  {mutant.operator}\n{mutant.change}")
        return
    before = {found["id"]: found for found in _lines(results)}
    if options.again:
        mutants = [m for m in mutants if before.get(m.id, {"outcome": "survived"})["outcome"] == "survived"]
    elif options.resume:
        mutants = [m for m in mutants if m.id not in before]
    print(f"== {name}: {len(mutants)} mutants", flush=True)
    begin = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="avssl-mutants-") as folder:
        copies = [_copy(Path(folder) / str(k)) for k in range(options.jobs)]
        reach = measure(copies[0], room["tests"], sorted({mutant.file for mutant in mutants}))
        if not options.again and not options.resume:
            results.write_text("")
        context = multiprocessing.get_context("fork")
        turn = context.Value("i", 0)
        workers = [context.Process(target=_work, args=(mutants, turn, copy, reach, results)) for copy in copies]
        for worker in workers:
            worker.start()
        for worker in workers:
            worker.join()
    kept = {mutant.id for mutant in draw(ROOT, room["files"], options.sample, options.seed)}
    newest = {found["id"]: found for found in _lines(results) if found["id"] in kept}
    results.write_text("".join(json.dumps(found) + "\n" for found in newest.values()))
    print(f"== {name} after {time.monotonic() - begin:.0f} s", flush=True)


def _work(
    mutants: Sequence[Mutant],
    turn: Any,
    copy: Path,
    reach: Reach,
    results: Path,
) -> None:
    while True:
        with turn.get_lock():
            place = turn.value
            turn.value += 1
        if place >= len(mutants):
            return
        mutant = mutants[place]
        tests = reach.tests(mutant.file, range(mutant.first_line, mutant.last_line + 1))
        outcome = try_mutant(copy, mutant, tests) if tests.names else Outcome("survived", "no test gets there", 0.0)
        found = {
            "id": mutant.id,
            "where": mutant.where,
            "operator": mutant.operator,
            "change": mutant.change,
            "outcome": outcome.word,
            "by": outcome.by,
            "seconds": round(outcome.seconds, 1),
            "tests": len(tests.names),
        }
        with results.open("a") as out:
            out.write(json.dumps(found) + "\n")
        if outcome.word == "survived":
            print(f"survived: {mutant.where} ({mutant.operator})\n{mutant.change}", flush=True)


def table(out: Path, rooms: Iterable[str], equivalent: Sequence[dict[str, str]]) -> str:
    """The score of each room that has results, as a table of Markdown; then each survivor, with the reason if it is
    declared to change nothing."""
    head = "| room | mutants | killed | survived | of these change nothing | score | without those |"
    lines, survivors = [head, "|---|---|---|---|---|---|---|"], []
    for name in rooms:
        found = list({one["id"]: one for one in _lines(out / f"{name}.jsonl")}.values())  # the newest of each
        if not found:
            continue
        survived = [one for one in found if one["outcome"] == "survived"]
        reasons = [_reason(one, equivalent) for one in survived]
        same = sum(map(bool, reasons))
        killed = len(found) - len(survived)
        shares = f"{100 * killed / len(found):.1f} % | {100 * killed / max(len(found) - same, 1):.1f} %"
        lines.append(f"| {name} | {len(found)} | {killed} | {len(survived)} | {same} | {shares} |")
        survivors += [
            f"\n{one['where']} {one['operator']}{f': {why}' if why else ''}\n{one['change']}"
            for one, why in zip(survived, reasons, strict=True)
        ]
    return "\n".join([*lines, *survivors])


def _reason(found: dict[str, Any], equivalent: Sequence[dict[str, str]]) -> str:
    """Why a survivor changes nothing; empty where that is not declared."""
    file = found["where"].rpartition(":")[0]
    return next((e["reason"] for e in equivalent if e["file"] == file and e["change"].strip() in found["change"]), "")


def _lines(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []


def _copy(folder: Path) -> Path:
    folder.mkdir(parents=True)
    for name in (*COPIED, *(page.name for page in ROOT.glob(COPIED_PAGES))):
        source = ROOT / name
        if source.is_dir():
            shutil.copytree(source, folder / name, ignore=shutil.ignore_patterns("__pycache__", "node_modules"))
        elif source.exists():
            shutil.copy2(source, folder / name)
    return folder


def _import_once(names: Iterable[str]) -> None:
    os.environ["OMP_NUM_THREADS"] = "1"  # a process with threads of its own cannot be forked safely
    for name in names:
        importlib.import_module(name)
    gc.collect()
    gc.freeze()  # else the first collection of each fork would touch, and so copy, all that was imported
    loaded = [name for name in sys.modules if name.split(".")[0] == "avssl"]
    assert not loaded, f"{loaded} must be imported by each mutant for itself"


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="scripts/mutants", description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--rooms", nargs="+", help="only these of rooms.toml")
    parser.add_argument("--sample", type=int, default=160, help="mutants a room; all where there are fewer")
    parser.add_argument("--seed", type=int, default=0, help="of the sample")
    parser.add_argument("--jobs", type=int, default=1, help="mutants at once")
    parser.add_argument("--out", type=Path, default=ROOT / "runs" / "mutants", help="folder of the results")
    parser.add_argument("--again", action="store_true", help="only those that survived the last time")
    parser.add_argument("--resume", action="store_true", help="only those without a result")
    parser.add_argument("--table", action="store_true", help="only show what came of the last time")
    parser.add_argument("--list", action="store_true", help="show the sample and try nothing")
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
