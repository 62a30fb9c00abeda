"""Doing the trainings and evaluations of a claim; what is there already is not done again."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from avssl.errors import UserError
from avssl.experiment.claims.apart import all_apart
from avssl.experiment.claims.steps import Step
from avssl.system.console import duration, headed, log, progress
from avssl.system.files import read_json, write_json

if TYPE_CHECKING:
    from avssl.evaluate.core.rows import ResultRow


def do_all(steps: Sequence[Step], minutes: float, times: Path, jobs: int = 1) -> Iterator[tuple[Step, list[ResultRow]]]:
    """Do what is not done; then yields each evaluation with its rows.

    Args:
        steps: of :func:`steps_of`.
        minutes: about how long all take, until some have been measured here.
        times: a file that remembers how long each kind of step took.
        jobs: how many are done at a time, each in a process of its own; 1: in this one.

    Raises:
        UserError: as a training or an evaluation; a training was interrupted.
    """
    # Kept between calls: the first estimate of a claim that is continued is measured, not guessed.
    taken: dict[str, float] = read_json(times) or {}
    missing = [step for step in steps if not _done(step)]
    if len(missing) < len(steps):
        log(f"{len(steps) - len(missing)} of {len(steps)} trainings and evaluations are done already")

    def announce(step: Step) -> None:
        left = _time_left(missing[missing.index(step) :], taken, minutes, len(steps))
        log(f"[{steps.index(step) + 1} of {len(steps)}] {step.kind} {step.label}; about {duration(left)} left")

    for step, seconds in all_apart(missing, do_step, jobs) if jobs > 1 else _in_turn(missing, announce):
        taken[step.key] = seconds
        write_json(times, taken)
    for step in steps:
        if step.kind == "evaluate":
            yield step, _rows(step)


def _in_turn(steps: Sequence[Step], announce: Callable[[Step], None]) -> Iterator[tuple[Step, float]]:
    for step in steps:
        announce(step)
        began = time.monotonic()
        with headed(step.label):
            do_step(step)
        yield step, time.monotonic() - began


def _time_left(missing: Sequence[Step], taken: Mapping[str, float], minutes: float, count: int) -> float:
    """Seconds: of steps whose kind was done before as long as that took, of others their share of the estimate."""
    return sum(taken.get(step.key, 60 * minutes / count) for step in missing)


def _done(step: Step) -> bool:
    asked = read_json(step.folder / "asked.json")
    # The file says what was asked, the folder whether it is there: either may have been removed alone.
    there = {"train": _trained, "evaluate": _files, "generate": Path.is_dir}[step.kind](step.folder)
    if asked is None or not there:
        return False
    if asked != _plain(step.options):
        raise UserError(
            f"{step.folder} was made with other options than the claim has now; remove it, or give another --out"
        )
    return True


def _plain(options: Mapping[str, Any]) -> dict[str, Any]:
    """As JSON gives them back: a tuple as a list, so that what was asked compares with what was read."""
    found: dict[str, Any] = json.loads(json.dumps(options))
    return found


def _trained(folder: Path) -> bool:
    # Written when a training ends: one that was stopped has checkpoints alone.
    return (folder / "encoders").is_dir() and any((folder / "encoders").glob("*.safetensors"))


def do_step(step: Step) -> None:
    """Train, evaluate or generate; the folder is whole when this returns."""
    options = dict(step.options)
    if step.kind == "train":
        from avssl.experiment.train import train

        # The controls are a claim of their own, and as long again as the training.
        train(options.pop("task"), options.pop("data", None), step.folder, **{"controls": False} | options)
        if not _trained(step.folder):
            raise UserError(f"the training in {step.folder} was stopped; the same command continues")
    elif step.kind == "generate":
        from avssl.options import build
        from avssl.world.build import generate
        from avssl.world.settings import Settings

        with progress("generating", "clip") as on_progress:
            generate(step.folder, build(Settings, options, f"world {step.name}: "), on_progress=on_progress)
    else:
        from avssl.experiment.protocols import evaluate

        protocol, run = options.pop("protocol"), options.pop("run", None)
        evaluate(protocol, run, output=str(step.folder), **options)
    # Last: a step that was killed has no such file, and is done again.
    write_json(step.folder / "asked.json", _plain(step.options))


def _files(folder: Path) -> list[Path]:
    return sorted(path for path in folder.glob("*.json") if path.name != "asked.json")


def _rows(step: Step) -> list[ResultRow]:
    from avssl.evaluate.core.rows import read_rows

    return [replace(row, seed=step.seed) for path in _files(step.folder) for row in read_rows(path)]
