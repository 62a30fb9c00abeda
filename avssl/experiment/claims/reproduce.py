"""``avssl.reproduce``: a claim from its file to a page: train, evaluate, compare, answer."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from avssl.errors import UserError
from avssl.experiment.claims.doing import do_all
from avssl.experiment.claims.files import Claim, Figure, Question, Scale, read_claim
from avssl.experiment.claims.options import Options
from avssl.experiment.claims.result import Reproduced
from avssl.experiment.claims.steps import Step, check_all, steps_of
from avssl.experiment.claims.verdict import (
    Answered,
    Measured,
    answer_of,
    answered,
    difference,
    size_needed,
)
from avssl.system.console import duration, log
from avssl.system.files import locked, make_folder, write_json

if TYPE_CHECKING:
    from avssl.evaluate.core.rows import ResultRow

    # (seed, size) of an evaluation to its rows
    Found = dict[tuple[int, float | None, str], list[ResultRow]]


def reproduce(claim: str | Path, **options: Any) -> Reproduced:
    """Train what is missing, evaluate, and compare, as ``avssl reproduce`` does; goes on where it was stopped.

    Args:
        claim: its name, or a YAML file.
        options: ``scale``, ``seeds``, ``jobs``, ``data_root`` and ``out`` of the command.

    Raises:
        UserError: no such claim; its data are not there; what a training or an evaluation finds wrong; steps that are
            there already were made with other options.
    """
    from avssl.options import build

    return reproduce_with(build(Options, {"claim": str(claim)} | options, "avssl.reproduce(…): "))


def reproduce_with(options: Options) -> Reproduced:
    """The same, with the options of the command."""
    claim = read_claim(options.claim)
    scale = claim.at(options.scale)
    root = _root(claim, scale, options.data_root)
    folder = Path(options.out) / claim.name
    place = folder / options.scale
    make_folder(place)
    with locked(place, lambda: log(f"another process works in {place}; waiting for it")):
        return _reproduced(claim, scale, options, folder, root)


def _reproduced(claim: Claim, scale: Scale, options: Options, folder: Path, root: Path | None) -> Reproduced:
    from avssl.experiment.claims.page import write_page

    seeds = list(range(options.seeds))
    steps = steps_of(scale, seeds, folder / options.scale, root)
    check_all(steps)
    minutes = scale.minutes * options.seeds / 3  # a claim names those of three seeds
    log(f"{claim.claim}: {len(steps)} trainings and evaluations, about {duration(60 * minutes)}")
    found: Found = {}
    for step, rows in do_all(steps, minutes, folder / options.scale / "times.json", options.jobs):
        found[step.seed, step.size, step.name] = rows
    questions = [_answered(one, found, seeds) for one in scale.questions]
    needed = {
        one.ask: _needed(one, done, found, scale, seeds[0])
        for one, done in zip(scale.questions, questions, strict=True)
        if done.answer == "not shown" and scale.sizes is not None
    }
    made = Reproduced(claim, options.scale, questions, answer_of(questions), needed, folder)
    _write(made, found, steps, options)
    write_page(made, options)
    log(made.line())
    log(f"page in {folder / 'page.md'}")
    return made


def _root(claim: Claim, scale: Scale, asked: str | None) -> Path | None:
    """The folder of data, known to hold what the claim needs."""
    if not scale.data:
        return None if asked is None else Path(asked)
    if asked is None:
        raise UserError(f"{claim.name} needs --data-root DIR, the folder that holds {', '.join(scale.data)}")
    root = Path(asked).resolve()
    if missing := [name for name in scale.data if not (root / name).exists()]:
        raise UserError(f"{claim.name} needs {', '.join(missing)} in {asked}, which holds nothing of that name")
    return root


def _answered(question: Question, found: Found, seeds: Sequence[int]) -> Answered:
    measured = [_difference(question, found, seed, None) for seed in seeds]
    return answered(question.ask, question.better[2], measured, question.margin)


def _difference(question: Question, found: Found, seed: int, size: float | None) -> Measured:
    worse = None if question.worse is None else _figure(question.worse, found, seed, size)
    return difference(_figure(question.better, found, seed, size), worse)


def _figure(figure: Figure, found: Found, seed: int, size: float | None) -> Measured:
    evaluation, name, metric = figure
    rows = found[seed, size, evaluation]
    for row in rows:
        if (row.name, row.metric) == (name, metric):
            return row.value, row.low, row.high
    there = ", ".join(sorted({f"{row.name} {row.metric}" for row in rows}))
    raise UserError(f"the claim asks for {name} {metric}, which {evaluation} does not give; it gives {there}")


def _needed(question: Question, done: Answered, found: Found, scale: Scale, seed: int) -> float | None:
    assert scale.sizes is not None
    # Of the first seed alone, as the smaller trainings are: the trend needs sizes more than seeds.
    points = [(value, _difference(question, found, seed, value)[0]) for value in scale.sizes.values]
    own = scale.trainings[scale.sizes.trainings[0]].get(scale.sizes.option)
    if own is not None:
        points.append((float(own), done.seeds[0][0]))
    return size_needed(points, done.value - done.low, done.margin)


def _write(made: Reproduced, found: Found, steps: Sequence[Step], options: Options) -> None:
    rows = [
        asdict(row) | {"evaluation": name, "size": size}
        for (_, size, name), several in found.items()
        for row in several
    ]
    write_json(made.folder / "rows.json", rows)
    write_json(
        made.folder / "answer.json",
        {
            "claim": made.claim.claim,
            "scale": made.scale,
            "seeds": options.seeds,
            "answer": made.answer,
            "line": made.line(),
            "date": datetime.now(UTC).date().isoformat(),
            "questions": [asdict(one) for one in made.questions],
            "size_needed": dict(made.needed),
            "steps": len(steps),
        },
    )
