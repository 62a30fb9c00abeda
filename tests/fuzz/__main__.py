"""The long run: ``make fuzz``, or ``PYTHONPATH=tests python -m fuzz --files 2000``.

Damages files of every kind, looks at each in a process of its own and reads all that is accepted; then gives folders
of damaged files to the commands. Prints a table, the worst cases, and ends with status 1 if anything was wrong.
"""

from __future__ import annotations

import argparse
import random
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path

import numpy as np

from fuzz.commands import over_commands
from fuzz.damage import damaged
from fuzz.judge import Job, Judged, tried
from fuzz.originals import Original, make_originals

HANGS_AFTER_SECONDS = 120.0


def make_jobs(originals: list[Original], folder: Path, count: int, seed: int) -> list[Job]:
    """``count`` damaged files, the kinds in turn, each with the pictures that it may show."""
    folder.mkdir(parents=True, exist_ok=True)
    for original in originals:
        truth = [other.pictures for other in originals if other.pictures.shape[1:] == original.pictures.shape[1:]]
        np.save(folder / f"{original.name}.npy", np.concatenate(truth))
    jobs = []
    for number in range(count):
        original = originals[number % len(originals)]
        suffix = original.name.rpartition(".")[2]
        others = [other.data for other in originals if other.name.endswith(suffix)]
        data, done = damaged(original.data, others, random.Random(f"{seed} {number}"))
        path = folder / f"{number:05d}-{original.name}"
        path.write_bytes(data)
        jobs.append(Job(str(path), str(folder / f"{original.name}.npy"), done))
    return jobs


def run_jobs(jobs: list[Job], workers: int | None) -> list[tuple[Job, Judged | str]]:
    """Each job with what became of it; a text where the process died, hung or raised."""
    from avssl.media.lanes import Lost, each

    found: list[tuple[Job, Judged | str]] = []
    for place, answer in each(tried, jobs, workers, lambda job: HANGS_AFTER_SECONDS):
        found.append((jobs[place], f"LOST: {answer.reason}" if isinstance(answer, Lost) else answer))
    return found


def main() -> int:
    parser = argparse.ArgumentParser(prog="fuzz", description=__doc__)
    parser.add_argument("--files", type=int, default=2000, help="damaged files")
    parser.add_argument("--folders", type=int, default=10, help="folders of damaged files given to all commands")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--workers", type=int, default=None)
    parser.add_argument("--keep", default=None, help="folder for the damaged files; by default a temporary one")
    options = parser.parse_args()
    began = time.monotonic()
    with tempfile.TemporaryDirectory() as temporary:
        home = Path(options.keep or temporary)
        originals = make_originals(home / "originals")
        found = run_jobs(make_jobs(originals, home / "damaged", options.files, options.seed), options.workers)
        bad = _report(found)
        bad += over_commands(originals, home / "folders", options.folders, options.seed)
    print(f"{len(found)} damaged files, {options.folders} folders, {time.monotonic() - began:.0f} s: {bad} wrong")
    return int(bad > 0)


def _report(found: list[tuple[Job, Judged | str]]) -> int:
    """Print what became of the files, by kind; returns how many went wrong."""
    counts: dict[str, Counter[str]] = {}
    bad = []
    for job, answer in found:
        fate = answer.fate if isinstance(answer, Judged) else answer.split(":")[0]
        counts.setdefault(Path(job.path).name.partition("-")[2], Counter())[fate] += 1
        if not isinstance(answer, Judged) or answer.fate.startswith("WRONG"):
            bad.append(f"  {Path(job.path).name} ({job.done}): {answer}")
    for kind, fates in sorted(counts.items()):
        print(f"{kind:16}", ", ".join(f"{fate} {count}" for fate, count in fates.most_common()))
    print("all", dict(sum(counts.values(), Counter())))
    print("\n".join(bad))
    return len(bad)


if __name__ == "__main__":
    sys.exit(main())
