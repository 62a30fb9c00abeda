"""CPU seconds of several candidates in one run: interleaved, medians, with the machine's name."""

from __future__ import annotations

import platform
import random
import statistics
import time
from collections.abc import Callable, Mapping, Sequence
from importlib import metadata

import torch


def interleaved(candidates: Mapping[str, Callable[[], object]], rounds: int, calls: int = 1) -> dict[str, float]:
    """Median CPU seconds of one call of each candidate.

    Each is called once before, then in every round ``calls`` times, in an order that changes from round to round.

    Args:
        candidates: what to call, by name.
        rounds: how often each is measured.
        calls: calls in a row that make one measurement; as many as a few milliseconds need.
    """
    dice = random.Random(0)
    seconds: dict[str, list[float]] = {name: [] for name in candidates}
    for call in candidates.values():
        call()
    names = list(candidates)
    for _ in range(rounds):
        dice.shuffle(names)
        for name in names:
            call = candidates[name]
            began = time.process_time()
            for _ in range(calls):
                call()
            seconds[name].append((time.process_time() - began) / calls)
    return {name: statistics.median(each) for name, each in seconds.items()}


def machine(*packages: str) -> str:
    """One line: date, processor, cores, versions of Python, torch and ``packages``."""
    processor = torch.cpu.get_capabilities().get("cpu_name", platform.processor())
    if torch.cuda.is_available():
        processor += f" and {torch.cuda.get_device_name()}"
    versions = [f"{name} {metadata.version(name)}" for name in ("avssl", "torch", *packages)]
    return f"{time.strftime('%Y-%m-%d')}, {processor}, Python {platform.python_version()}, {', '.join(versions)}"


def table(head: Sequence[str], rows: Sequence[Sequence[object]]) -> str:
    """A table as docs/speed.md has it (Markdown)."""
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join("| " + " | ".join(map(str, line)) + " |" for line in lines)
