"""CPU seconds of help, and of errors that need no tensor: each a whole process, from its start to its end."""

from __future__ import annotations

import argparse
import resource
import statistics
import subprocess
import sys
import tempfile

from common.measure import machine, table
from common.options import parse

ANSWERS = (
    "--help",
    "index --help",
    "train --help",
    "train av-correspondence --help",
    "show rotation --help",
    "evaluate linear --help",
    "train rotatoin",
    "train rotation --steps many",
    "train rotation --vision resnet19",
    "train av-correspondence --data nowhere",
    "show rotation --run nowhere",
    "evaluate linear --run nowhere --data .",
    "embed nowhere --run . -o out.npz",
    "export nowhere -o out.onnx",
    "localize nowhere -o out.mp4",
    "report nowhere",
    "audit nowhere",
    "index nowhere",
    "doctor",
)
"""Command lines; ``doctor`` alone needs torch, whose devices it lists."""


def cpu_seconds(words: list[str], folder: str) -> float:
    """Of one process, its own and the system's for it."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    subprocess.run([sys.executable, "-m", "avssl.cli.main", *words], cwd=folder, capture_output=True, check=False)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=5, help="processes of each, interleaved")
    rounds = parse(parser, rounds=1).rounds
    found: dict[str, list[float]] = {line: [] for line in ANSWERS}
    with tempfile.TemporaryDirectory() as folder:
        for _ in range(rounds):
            for line in ANSWERS:
                found[line].append(cpu_seconds(line.split(), folder))
    print(machine())
    rows = [(f"`avssl {line}`", f"{statistics.median(seconds):.2f}") for line, seconds in found.items()]
    print(table(["command", "CPU seconds"], rows))


if __name__ == "__main__":
    main()
