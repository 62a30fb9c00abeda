"""Linear SVMs on frozen features: VOC07 classification as the FAIR benchmark does it (Goyal et al. 2019, tools/svm).

One SVM a class: squared hinge, L2, dual, 2000 iterations at most, tolerance 1e-4, positives weighing twice as much,
features L2-normalised. The cost of each class is the one with the best average precision in three folds of the training
part. Training keeps items marked "difficult" (−1) as negatives; evaluation leaves them out.

From few labels (:func:`low_shot`): k positives a class, for several k and samples of the labels, with one cost for all:
the published script takes the cost with the best mean on the test set, here it is fixed beforehand. A row's value is
the mean over the samples; its interval is for other samples and other evaluated items alike, and the samples' range is
in its note. What is a negative of a class was drawn as a positive of another; "difficult" ones are left out.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from avssl.errors import UserError
from avssl.evaluate.choices import LowShotChoices, SVMChoices
from avssl.evaluate.core.average_precision import Kind, average_precision
from avssl.evaluate.core.rows import Context, ResultRow, mean_of_repeats
from avssl.evaluate.core.scores import Scores, metric_value, score_rows
from avssl.evaluate.data.labelled import Indices, Labelled, few_of_each, source_folds
from avssl.evaluate.probes.knn import vectors
from avssl.evaluate.probes.probing import Array, Encoded, Prediction, TrainingSet
from avssl.samplers.keys import generator
from avssl.system.console import Log, counted, no_log

# 10^−7 … 10^2 and 0.5^4 … 0.5^19
PUBLISHED_COSTS = tuple(sorted({10.0**power for power in range(-7, 3)} | {0.5**power for power in range(4, 20)}))

FOLDS = 3
Vectors = NDArray[np.float32]


@dataclass(frozen=True)
class SVM(SVMChoices):
    """The protocol as a probe; ``precision`` is which average precision the cost of each class is chosen by."""

    precision: Kind = "envelope"

    def __call__(self, training: TrainingSet, queries: Array, query_items: Indices) -> Prediction:
        known, others = in_span(vectors(training.features), vectors(queries))
        place = {int(item): k for k, item in enumerate(training.items)}
        data = training.data
        folds = [
            (np.array([place[int(i)] for i in rest]), np.array([place[int(i)] for i in fold]))
            for rest, fold in source_folds(training.items, data.targets, data.sources, FOLDS, training.seed)
        ]
        scores = np.zeros((len(others), len(data.classes)), np.float32)
        apart = np.zeros((len(known), len(data.classes)), np.float32)
        chosen: list[float] = []
        for k in range(len(data.classes)):
            truth = training.targets[:, k]
            cost, apart[:, k] = self._choose(known, truth, folds)
            scores[:, k] = svm_scores(known, truth > 0, others, cost)
            chosen.append(cost)
        note = f"cost {np.median(chosen):.2g} (median of the classes')"
        return Prediction(scores, metric_value(apart, training.targets, data.single, self.precision), note)

    def _choose(
        self, rows: Vectors, truth: NDArray[np.int8], folds: Sequence[tuple[Indices, Indices]]
    ) -> tuple[float, Vectors]:
        """The cost with the best AP over folds, and what each row is given by the SVM that has not seen it."""
        best: tuple[float, float, Vectors] | None = None
        for cost in self.costs:
            predicted = np.zeros(len(rows), np.float32)
            values: list[float] = []
            for rest, fold in folds:
                predicted[fold] = svm_scores(rows[rest], truth[rest] > 0, rows[fold], cost)
                sure = truth[fold] >= 0
                values.append(average_precision(predicted[fold][sure], truth[fold][sure], self.precision))
            there = [value for value in values if not np.isnan(value)]  # a fold may hold none of a rare class
            value = float(np.mean(there)) if there else 0.0
            if best is None or value > best[0]:
                best = value, cost, predicted
        assert best is not None
        return best[1], best[2]


def svm_scores(known: Vectors, positive: NDArray[np.bool_], queries: Vectors, cost: float) -> Vectors:
    """The signed distances (queries,) of other items from the SVM of one class, fitted to (n, d) and (n,) of which are
    of it."""
    from sklearn.exceptions import ConvergenceWarning
    from sklearn.svm import LinearSVC

    # A fold may hold one class alone, which no machine can be fitted to.
    if positive.all() or not positive.any():
        return np.full(len(queries), 1.0 if positive.any() else -1.0, np.float32)
    machine = LinearSVC(
        C=cost,
        loss="squared_hinge",
        dual=True,
        max_iter=2000,
        tol=1e-4,
        class_weight={True: 2, False: 1},
        # liblinear visits the items in random order
        random_state=0,
    )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)  # 2000 iterations are part of the protocol
        machine.fit(known, positive)
    return np.asarray(machine.decision_function(queries), np.float32)


def in_span(known: Vectors, queries: Vectors) -> tuple[Vectors, Vectors]:
    """The same vectors in coordinates of the space that ``known`` spans, where that is much smaller.

    Every solution of an L2-regularised linear problem lies in that space, and scalar products within it stay as they
    are: the classifiers are the same, at a fraction of the price.
    """
    if 2 * len(known) > known.shape[1]:
        return known, queries
    basis, _ = np.linalg.qr(known.T.astype(np.float64))  # (d, n)
    return np.asarray(known @ basis, np.float32), np.asarray(queries @ basis, np.float32)


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
        raise UserError(f"a class has only {counted(least, 'item')} to learn from; give fewer with --shots")
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
