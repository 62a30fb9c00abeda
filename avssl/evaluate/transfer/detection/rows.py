"""Rows of detection: ``trained``, ``random``, ``blind`` and the gain.

``ap``, ``ap50``, ``ap75`` are COCO's, ``voc07-map`` is VOC's of eleven points and ``voc12-map`` its area, see
:mod:`avssl.evaluate.transfer.detection.box_precision`; each the mean over the classes that have an object to find.
``blind`` predicts the mean box of each class on every picture, the commonest class with the highest score; chance is
its figure. Intervals: bootstrap over pictures, everything recomputed but the matching.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from avssl.evaluate.core.rows import Context, ResultRow
from avssl.evaluate.core.statistics import SHARE, resample
from avssl.evaluate.transfer.detection.box_precision import (
    Detections,
    Floats,
    Truth,
    coco_matched,
    coco_precision,
    voc_matched,
    voc_precision,
)
from avssl.evaluate.transfer.detection.box_sets import BoxSet
from avssl.evaluate.transfer.detection.protocol import DetectionRuns
from avssl.evaluate.transfer.rows import transfer_rows

METRICS = ("ap", "ap50", "ap75", "voc07-map", "voc12-map")


def detection_rows(found: DetectionRuns, test: BoxSet, seen: Sequence[bool], context: Context) -> list[ResultRow]:
    """Rows of all metrics, of each start, of the blind boxes and of "gain", the first start minus the second.

    With several seeds the value is the mean over seeds, and there is a row START/seedN each. ``seen`` says of each
    class whether there was one to learn from.
    """
    truths = test.truths
    # How often each picture counts: first once, which gives the figure itself, then as often as each draw has it.
    drawn = resample(len(truths), context.draws, context.seed)
    weights = np.concatenate([np.ones((1, len(truths)), np.int64), drawn])
    blind = _figures(found.blind, truths, len(test.classes), weights)
    sizes: dict[str, Any] = {
        "n": int(sum((~truth.ignored).sum() for truth in truths)),
        "clusters": len(truths),
        "listed": test.listed,
        "used": len(truths),
    }
    context = replace(context, unit="picture")
    lost = [name for k, name in enumerate(test.classes) if not seen[k] and _there(truths, k)]
    unseen = f"; {len(lost)} classes without an example to learn from" if lost else ""
    starts = {
        name: [_figures(predicted, truths, len(test.classes), weights) for predicted in runs]
        for name, runs in found.starts.items()
    }
    chance = {metric: value for metric, (value, _) in blind.items()}
    notes = {name: found.notes[name] + unseen for name in starts}
    notes["blind"] = "every class's mean box on every picture, the commonest class the surest"
    return transfer_rows(context, starts, {"blind": blind}, chance, notes, lambda _: SHARE, **sizes)


def seen_classes(train: BoxSet) -> list[bool]:
    """Of each class, whether there is one to learn from."""
    return [_there(train.truths, k) for k in range(len(train.classes))]


def _figures(
    detections: Sequence[Detections], truths: Sequence[Truth], classes: int, weights: NDArray[np.int64]
) -> dict[str, tuple[float, Floats]]:
    """The mean over classes of each metric, and of each draw of pictures."""
    by_metric: dict[str, list[Floats]] = {metric: [] for metric in METRICS}
    for coco, voc in zip(
        coco_matched(detections, truths, classes), voc_matched(detections, truths, classes), strict=True
    ):
        bars = coco_precision(coco, weights)
        by_metric["ap"].append(bars.mean(0))
        # Of COCO's ten IoUs 0.5 is the first and 0.75 the sixth
        by_metric["ap50"].append(bars[0])
        by_metric["ap75"].append(bars[5])
        by_metric["voc07-map"].append(voc_precision(voc, "eleven-point", weights)[0])
        by_metric["voc12-map"].append(voc_precision(voc, "envelope", weights)[0])
    means = {metric: _mean_of_those_there(np.stack(parts)) for metric, parts in by_metric.items()}
    return {metric: (float(one[0]), one[1:]) for metric, one in means.items()}


def _mean_of_those_there(values: Floats) -> Floats:
    """Mean over classes of (classes, draws), without those that have nothing to find in a draw; NaN where none has."""
    there = ~np.isnan(values)
    sums, counts = np.where(there, values, 0).sum(0), there.sum(0)
    return np.asarray(np.divide(sums, counts, out=np.full(sums.shape, np.nan), where=counts > 0))


def _there(truths: Sequence[Truth], label: int) -> bool:
    return any(bool(((truth.labels == label) & ~truth.ignored).any()) for truth in truths)
