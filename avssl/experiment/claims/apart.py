"""Steps of a claim in processes of their own, several at a time."""

from __future__ import annotations

import os
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from avssl.errors import UserError
from avssl.system.console import duration, log
from avssl.system.process_pool import Lost, each, spare_cores

if TYPE_CHECKING:
    from avssl.experiment.claims.steps import Step

# Longer than any step: it may take its time, and a process that died is noticed without a limit.
_A_WEEK = 7 * 24 * 3600.0
_WORDS = {"generate": "worlds", "train": "trainings", "evaluate": "evaluations"}
_LOOKS_EVERY_SECONDS = 1.0


@dataclass(frozen=True)
class _Apart:
    """A step for a process of its own."""

    step: Step
    do: Callable[[Step], None]
    threads: int  # of torch
    parent: int  # process id

    def log_file(self) -> Path:
        folder = self.step.folder
        return folder.with_name(f"{folder.name}.log")


def all_apart(steps: Sequence[Step], do: Callable[[Step], None], jobs: int) -> Iterator[tuple[Step, float]]:
    """Do steps, ``jobs`` at a time: worlds before trainings, and those before evaluations, which need them.

    What a step writes for people goes into a file beside its folder.

    Args:
        do: a function that can be imported by its name.

    Yields:
        each step in the order of finishing, and the seconds that it took.

    Raises:
        UserError: what a step raises; its process died.
    """
    threads = max(1, spare_cores() // jobs)
    for kind, words in _WORDS.items():
        several = [_Apart(step, do, threads, os.getpid()) for step in steps if step.kind == kind]
        if several:
            log(f"{words}: {len(several)}, {jobs} at a time; their lines are in files like {several[0].log_file()}")
        for place, seconds in each(_do, several, workers=jobs, seconds=lambda apart: _A_WEEK):
            apart = several[place]
            if isinstance(seconds, Lost):
                raise UserError(
                    f"the process of {apart.step.label} ended before it was done (see {apart.log_file()}); the same "
                    "command continues"
                )
            log(f"{apart.step.label}: {kind} done in {duration(seconds)}")
            yield apart.step, seconds


def _do(apart: _Apart) -> float:
    """In the process: do the step; the seconds that it took."""
    began = time.monotonic()
    threading.Thread(target=_end_with, args=(apart.parent,), daemon=True).start()
    os.environ.setdefault("OMP_NUM_THREADS", str(apart.threads))  # read by torch, which is not imported yet
    apart.log_file().parent.mkdir(parents=True, exist_ok=True)
    with apart.log_file().open("a") as file:
        for stream in (1, 2):
            os.dup2(file.fileno(), stream)
    try:
        apart.do(apart.step)
    except UserError as error:
        raise UserError(f"{apart.step.label}: {error}") from None
    finally:
        sys.stdout.flush()  # the process is not ended but killed once no step is left for it
    return time.monotonic() - began


def _end_with(parent: int) -> None:
    """End this process soon after its parent, which may have been killed: a training saves what it has."""
    while os.getppid() == parent:
        time.sleep(_LOOKS_EVERY_SECONDS)
    os.kill(os.getpid(), signal.SIGTERM)
