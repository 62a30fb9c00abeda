"""Few labels: linear SVMs from k positives a class (Goyal et al. 2019), for several k and samples of the labels.

As :mod:`avssl.evaluate.svm`, but with one cost for all: the published script takes the cost with the best mean on the
test set, here it is fixed beforehand. A row's value is the mean over the samples, its interval their range, with the
test set fixed. What is a negative of a class was drawn as a positive of another; "difficult" ones are left out.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from avssl.errors import UserError
from avssl.evaluate.figures import Context, Scores, chance_level, figure, metric_name
from avssl.evaluate.knn import vectors
from avssl.evaluate.labelled import Indices, Labelled
from avssl.evaluate.probing import Encoded
from avssl.evaluate.rows import ResultRow
from avssl.evaluate.svm import decide, in_span
from avssl.samplers.keys import generator

SHOTS = (1, 2, 4, 8, 16, 32, 64, 96)
"""Positives a class (published)."""

SAMPLES = 5
COST = 0.5


@dataclass(frozen=True)
class LowShot:
    """The protocol's choices.

    Attributes:
        shots: positives a class; those that some class does not have are left out.
        samples: independent samples of the labels.
        cost: of the SVMs.
    """

    shots: Sequence[int] = SHOTS
    samples: int = SAMPLES
    cost: float = COST


def low_shot(
    encoded: Sequence[Encoded],
    data: Labelled,
    choices: LowShot,
    context: Context,
    *,
    stages: Sequence[str] | None = None,
    tell: Callable[[str], None] = lambda _: None,
) -> list[ResultRow]:
    """Rows ENCODER/STAGE with the metric "accuracy-K-a-class" (or "map-…-K-a-class"), the same samples for all.

    Raises:
        UserError: no class has as many positives as the smallest of the numbers.
    """
    division = data.divisions[0]
    least = int((data.targets[division.train] > 0).sum(0).min())
    shots = [k for k in choices.shots if k <= least]
    if not shots:
        raise UserError(f"a class has only {least} items to learn from; give fewer with --shots")
    draws = list(_samples(data, division.train, shots, choices.samples, context.seed))
    chance = chance_level(data, division.test, context)
    rows: list[ResultRow] = []
    for one in encoded:
        for stage in [name for name in one.stages if stages is None or name in stages or len(one.stages) == 1]:
            units = vectors(one.stage(stage))
            values: dict[int, list[float]] = {}
            for k, items in draws:
                known, asked = in_span(units[items], units[division.test])
                said = np.stack(
                    [
                        decide(known[truth >= 0], truth[truth >= 0] > 0, asked, choices.cost)
                        for truth in data.targets[items].T
                    ],
                    axis=1,
                )
                values.setdefault(k, []).append(_figure(said, data, division.test, context))
            label = one.name if len(one.stages) == 1 else f"{one.name}/{stage}"
            for k, some in values.items():
                rows.append(_row(label, k, some, data, division.test, chance, context))
            tell(f"{label}: " + ", ".join(f"{np.mean(some):.3f} with {k}" for k, some in values.items()))
    return rows


def _samples(
    data: Labelled, train: Indices, shots: Sequence[int], samples: int, seed: int
) -> Iterator[tuple[int, Indices]]:
    """(k, the items learned from): a smaller sample is part of the larger ones of the same number."""
    for number in range(samples):
        order = generator(seed, "low-shot", number).permutation(train)
        for k in shots:
            chosen: set[int] = set()
            for column in (data.targets > 0).T:
                chosen |= set(order[column[order]][:k].tolist())
            yield k, np.array(sorted(chosen), np.int64)


def _figure(said: Scores, data: Labelled, test: Indices, context: Context) -> float:
    return figure(said, data.targets[test], data.single, context.precision)


def _row(
    name: str, k: int, values: Sequence[float], data: Labelled, test: Indices, chance: float, context: Context
) -> ResultRow:
    return ResultRow(
        name=name,
        metric=f"{metric_name(data.single, context.precision)}-{k}-a-class",
        value=float(np.mean(values)),
        low=min(values),
        high=max(values),
        n=len(test),
        chance=chance,
        split="test",
        seed=context.seed,
        note=f"mean and range of {len(values)} samples of the labels, deviation {np.std(values):.3f}",
        command=context.command,
        protocol=context.protocol,
        unit="label sample",
        clusters=len(values),
        method="range",
        n_listed=context.listed or len(test),
        n_used=len(test),
    )
