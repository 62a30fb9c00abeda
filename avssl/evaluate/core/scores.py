"""From scores of held-out items to result rows: accuracy or mean average precision, with interval, chance and N."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from avssl.evaluate.core.average_precision import Kind, map_interval, mean_average_precision
from avssl.evaluate.core.rows import Context, ResultRow
from avssl.evaluate.core.statistics import (
    DIFFERENCE,
    balanced_interval,
    cluster_bootstrap,
    mcnemar,
)
from avssl.evaluate.data.labelled import Labelled, Targets
from avssl.samplers.keys import generator

# (items, classes), higher for what is predicted to be true
Scores = NDArray[np.float32]


def metric_value(scores: Scores, targets: Targets, single: bool, precision: Kind = "envelope") -> float:
    """Accuracy where an item has one label, else mean average precision."""
    if single:
        return float((scores.argmax(1) == targets.argmax(1)).mean())
    return mean_average_precision(scores, targets, precision)


def metric_name(single: bool, precision: Kind = "envelope") -> str:
    """What :func:`metric_value` is called in a row: "accuracy", or "map-envelope" and the like."""
    return "accuracy" if single else f"map-{precision}"


def score_row(
    name: str, scores: Scores, data: Labelled, items: NDArray[np.int64], context: Context, note: str = ""
) -> ResultRow:
    """The figure of the evaluated items of these indices from their scores, see :func:`metric_value`."""
    targets = data.targets[items]
    clusters = [data.sources[i] for i in items]
    about: dict[str, Any] = {"chance": chance_level(data, items, context), "note": note}
    if data.single:
        correct = scores.argmax(1) == targets.argmax(1)
        return context.share_row(name, "accuracy", correct, [(cluster,) for cluster in clusters], **about)
    kind = context.precision
    value = mean_average_precision(scores, targets, kind)
    # mAP has no closed form: all of it is computed again for each draw
    interval = map_interval(scores, targets, clusters, kind, draws=context.draws, seed=context.seed)
    about |= {"n": len(items), "clusters": len(set(clusters))}
    return context.row(name, metric_name(False, kind), value, interval, **about)


def balanced_row(row: ResultRow, scores: Scores, data: Labelled, items: NDArray[np.int64]) -> ResultRow:
    """The balanced accuracy beside an accuracy of the same items: the mean over the classes that are evaluated.

    Its chance is 1 / (classes present), whatever their shares.
    """
    truth = data.labels[items]
    correct, kinds = scores.argmax(1) == truth, np.unique(truth)
    low, high = balanced_interval(correct, truth, [data.sources[i] for i in items])
    value = float(np.mean([correct[truth == kind].mean() for kind in kinds]))
    metric = row.metric.replace("accuracy", "balanced-accuracy", 1)
    return replace(row, metric=metric, value=value, low=low, high=high, chance=1 / len(kinds))


def score_rows(name: str, scores: Scores, data: Labelled, context: Context, note: str = "") -> list[ResultRow]:
    """The figure of all evaluated items; behind it, where an item has one label, the balanced accuracy."""
    return with_balanced([(score_row(name, scores, data, data.test, context, note), scores)], data)


def with_balanced(rows: Sequence[tuple[ResultRow, Scores]], data: Labelled) -> list[ResultRow]:
    """Rows of the evaluated items, and behind them, where an item has one label, the balanced accuracy of each."""
    plain = [row for row, _ in rows]
    return plain + [balanced_row(row, scores, data, data.test) for row, scores in rows if data.single]


def chance_level(data: Labelled, items: NDArray[np.int64], context: Context) -> float:
    """The share of the commonest class among the evaluated items, the score of always predicting that class.

    Of several labels an item the mAP of shuffled scores (the mean of ten), near the mean prevalence.
    """
    if data.single:
        return float(np.bincount(data.labels[items]).max() / len(items))
    # Measured, since the AP of random scores lies above the share of positives where these are few
    rng = generator(context.seed, "chance", len(items))
    targets = data.targets[items]
    drawn = [rng.random((len(items), len(data.classes)), np.float32) for _ in range(10)]
    return float(np.mean([mean_average_precision(scores, targets, context.precision) for scores in drawn]))


def majority_rows(data: Labelled, context: Context) -> list[ResultRow]:
    """Always predicting the most frequent class of the training part; none where an item has several labels."""
    if not data.single:
        return []
    constant: list[Scores] = []
    for division in data.divisions:
        counts = data.targets[division.train].sum(0).astype(np.float32)
        constant.append(np.repeat(counts[None], len(division.test), axis=0))
    note = "always the most frequent class of the training part"
    return score_rows("majority", np.concatenate(constant), data, context, note)


def gain_row(
    name: str, ours: Scores, theirs: Scores, data: Labelled, items: NDArray[np.int64], context: Context, note: str
) -> ResultRow:
    """How much higher the first figure is than the second on the same items; chance is no difference.

    The interval is a bootstrap of the difference; where an item has one label the note holds McNemar's exact p.
    """
    targets = data.targets[items]
    clusters = [data.sources[i] for i in items]
    if data.single:
        truth = targets.argmax(1)
        a, b = ours.argmax(1) == truth, theirs.argmax(1) == truth
        interval = cluster_bootstrap(
            a.astype(float) - b, clusters, draws=context.draws, seed=context.seed, bounds=DIFFERENCE
        )
        # McNemar's test takes items for independent; the interval, over sources, does not
        note += f"; McNemar p = {mcnemar(int((a & ~b).sum()), int((b & ~a).sum())):.2g}"
    else:
        interval = _map_difference(ours, theirs, targets, clusters, context)
    kind = (data.single, context.precision)
    value = metric_value(ours, targets, *kind) - metric_value(theirs, targets, *kind)
    metric = f"{metric_name(*kind)}-difference"
    return context.row(name, metric, value, interval, n=len(items), clusters=len(set(clusters)), chance=0.0, note=note)


def _map_difference(
    ours: Scores, theirs: Scores, targets: Targets, clusters: Sequence[str], context: Context
) -> tuple[float, float]:
    def of(chosen: NDArray[np.float64]) -> float:
        some = chosen.astype(np.int64)
        a, b = (mean_average_precision(scores[some], targets[some], context.precision) for scores in (ours, theirs))
        return a - b

    draws = min(context.draws, 500)  # each draw ranks every class twice
    return cluster_bootstrap(np.arange(len(ours)), clusters, of, draws=draws, seed=context.seed, bounds=DIFFERENCE)
