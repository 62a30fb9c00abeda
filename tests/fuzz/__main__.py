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
from fuzz.kept import over_kept
from fuzz.originals import SILENT, Original, make_originals

HANGS_AFTER_SECONDS = 120.0
UNSEEN = 0.01
"""Share of damaged files whose damage may go unseen in codes that can show it: a flipped bit of a coefficient is
another coefficient, and no decoder can tell."""


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
    from avssl.system.process_pool import Lost, each

    found: list[tuple[Job, Judged | str]] = []
    for place, answer in each(tried, jobs, workers, lambda job: HANGS_AFTER_SECONDS):
        found.append((jobs[place], f"LOST: {answer.reason}" if isinstance(answer, Lost) else answer))
    return found


def main() -> int:
    parser = argparse.ArgumentParser(prog="fuzz", description=__doc__)
    parser.add_argument("--files", type=int, default=2000, help="damaged files")
    parser.add_argument("--folders", type=int, default=10, help="folders of damaged files given to all commands")
    parser.add_argument("--sets", type=int, default=300, help="damaged copies of a prepared set")
    parser.add_argument("--runs", type=int, default=300, help="damaged copies of a run folder")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--workers", type=int, default=None)
    parser.add_argument("--kinds", default="", help="only kinds whose name holds one of these words")
    parser.add_argument("--keep", default=None, help="folder for the damaged files; by default a temporary one")
    options = parser.parse_args()
    began = time.monotonic()
    with tempfile.TemporaryDirectory() as temporary:
        home = Path(options.keep or temporary)
        originals = make_originals(home / "originals")
        words = options.kinds.split(",")
        originals = [original for original in originals if any(word in original.name for word in words)]
        found = run_jobs(make_jobs(originals, home / "damaged", options.files, options.seed), options.workers)
        bad = _report(found)
        bad += over_commands(originals, home / "folders", options.folders, options.seed)
        if options.sets or options.runs:
            bad += over_kept(home / "kept", options.sets, options.runs, options.seed, options.workers)
    kinds = f"{len(found)} damaged files, {options.folders} folders, {options.sets} sets, {options.runs} runs"
    print(f"{kinds}, {time.monotonic() - began:.0f} s: {bad} wrong")
    return int(bad > 0)


def _report(found: list[tuple[Job, Judged | str]]) -> int:
    """Print what became of the files, by kind; returns how many went wrong that need not have."""
    counts: dict[str, Counter[str]] = {}
    bad, unseen, telling = [], [], 0
    for job, answer in found:
        fate = answer.fate if isinstance(answer, Judged) else answer.split(":")[0]
        kind = Path(job.path).name.partition("-")[2]
        counts.setdefault(kind, Counter())[fate] += 1
        telling += kind not in SILENT
        line = f"  {Path(job.path).name} ({job.done}): {answer}"
        if fate == "WRONG PICTURE":
            unseen.append((kind, line))
        elif not isinstance(answer, Judged) or fate.startswith("WRONG"):
            bad.append(line)
    for kind, fates in sorted(counts.items()):
        note = "  (its codes show no damage)" if kind in SILENT else ""
        print(f"{kind:16}", ", ".join(f"{fate} {count}" for fate, count in fates.most_common()) + note)
    print("all", dict(sum(counts.values(), Counter())))
    print("\n".join([*bad, *(line for _, line in unseen)]))
    missed = sum(kind not in SILENT for kind, _ in unseen)
    print(f"damage unseen where codes can show it: {missed} of {telling} ({missed / max(telling, 1):.2%})")
    return len(bad) + (missed if missed > UNSEEN * telling else 0)


if __name__ == "__main__":
    sys.exit(main())
