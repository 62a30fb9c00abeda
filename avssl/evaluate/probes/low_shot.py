"""Few labels: linear SVMs from k positives a class (Goyal et al. 2019), for several k and samples of the labels.

As :mod:`avssl.evaluate.probes.svm`, but with one cost for all: the published script takes the cost with the best mean
on the test set, here it is fixed beforehand. A row's value is the mean over the samples; its interval is for other
samples and other evaluated items alike, and the samples' range is in its note. What is a negative of a class was drawn
as a positive of another; "difficult" ones are left out.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace

import numpy as np

from avssl.errors import UserError
from avssl.evaluate.choices import LowShotChoices
from avssl.evaluate.core.rows import Context, ResultRow, mean_of_repeats
from avssl.evaluate.core.scores import Scores, score_rows
from avssl.evaluate.data.labelled import Indices, Labelled, few_of_each
from avssl.evaluate.probes.knn import vectors
from avssl.evaluate.probes.probing import Encoded
from avssl.evaluate.probes.svm import in_span, svm_scores
from avssl.samplers.keys import generator
from avssl.system.console import Log, no_log


def low_shot(
    encoded: Sequence[Encoded],
    data: Labelled,
    choices: LowShotChoices,
    context: Context,
    *,
    stages: Sequence[str] | None = None,
    log: Log = no_log,
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
    rows: list[ResultRow] = []
    for one in encoded:
        for stage, label in one.chosen(stages):
            units = vectors(one.stage(stage))
            found: dict[int, list[Scores]] = {}
            for k, items in draws:
                # Few labelled items span little: the same machines, many times faster.
                known, queries = in_span(units[items], units[division.test])
                columns = [
                    svm_scores(known[truth >= 0], truth[truth >= 0] > 0, queries, choices.cost)
                    for truth in data.targets[items].T
                ]
                found.setdefault(k, []).append(np.stack(columns, axis=1))
            some = [row for k, each in found.items() for row in _rows(label, k, each, data, context)]
            log(f"{label}: " + ", ".join(f"{row.metric} {row.value:.3f}" for row in some[:: 1 + data.single]))
            rows += some
    return rows


def _samples(
    data: Labelled, train: Indices, shots: Sequence[int], samples: int, seed: int
) -> Iterator[tuple[int, Indices]]:
    """(k, the items learned from): a smaller sample is part of the larger ones of the same number."""
    for number in range(samples):
        order = generator(seed, "low-shot", number).permutation(train)
        yield from ((k, few_of_each(order, data.targets, k)) for k in shots)


def _rows(name: str, k: int, found: Sequence[Scores], data: Labelled, context: Context) -> list[ResultRow]:
    """The mean over the samples of the labels: of the metric, and where items have one label of balanced accuracy."""
    each = [score_rows(name, scores, data, context) for scores in found]
    means = [mean_of_repeats(rows, "samples") for rows in zip(*each, strict=True)]
    return [replace(row, metric=f"{row.metric}-{k}-a-class") for row in means]
