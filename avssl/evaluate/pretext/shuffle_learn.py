"""Shuffle & Learn on held-out clips, with balanced classes.

"auc" needs no threshold and no prior; "accuracy" stands beside the "majority-class", what the constant answer scores.
"auc-0.20s" is the AUC of triplets whose neighbouring frames are all that far apart: the farther, the harder.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch import nn

from avssl.evaluate.core.rows import Context, ResultRow
from avssl.evaluate.core.statistics import auc, auc_interval
from avssl.evaluate.pretext.predictions import HeldOut, Predictions, accuracy_row, predict
from avssl.media.selection import Subset
from avssl.tasks.base import Answers
from avssl.tasks.shuffle_learn.task import ShuffleLearn

PROTOCOL = "shuffle-learn"
# Seconds between neighbouring frames, of the curve: 2 to 10 frames at 25 a second
SPACINGS = (0.08, 0.12, 0.16, 0.2, 0.3, 0.4)
# Each draw sorts all triplets again
_DRAWS = 1000


def evaluate(task: ShuffleLearn, networks: dict[str, nn.Module], held_out: HeldOut) -> list[ResultRow]:
    """Rows "auc" and "accuracy" of each network on the same triplets, the majority class, and the curve over spacing.

    The curve is drawn for the first network, on half as many triplets at each spacing; clips too short for one are
    left out there (``n_listed`` and ``n_used`` count clips), and a spacing for which none is left has no row.
    """
    context = held_out.context(PROTOCOL)
    found = held_out.predictions(task, networks)
    rows = _rows(networks, found, context)
    rows.append(_majority(found[0], context))
    name, network = next(iter(networks.items()))
    for spacing in SPACINGS:
        rows += _spaced(task, name, network, held_out, spacing, context)
    return rows


def evaluate_control(task: ShuffleLearn, networks: dict[str, nn.Module], held_out: HeldOut) -> list[ResultRow]:
    """Rows "auc" and "accuracy" of a control, on the triplets that the trained network is evaluated on."""
    return _rows(networks, held_out.predictions(task, networks), held_out.context(PROTOCOL))


def auc_row(name: str, predictions: Predictions, context: Context, *, metric: str = "auc", **more: Any) -> ResultRow:
    """The AUC of predictions of two classes, with an interval by bootstrap over the source clips."""
    scores = (predictions.answers.scores[:, 1] - predictions.answers.scores[:, 0]).numpy()
    truth = predictions.answers.truth.numpy()
    clusters = [cluster[0] for cluster in predictions.clusters]
    interval = auc_interval(scores, truth, clusters, draws=_DRAWS)
    return context.row(
        name, metric, auc(scores, truth), interval, n=len(truth), clusters=len(set(clusters)), chance=0.5, **more
    )


def _rows(networks: dict[str, nn.Module], found: list[Predictions], context: Context) -> list[ResultRow]:
    rows = []
    for name, predictions in zip(networks, found, strict=True):
        rows.append(auc_row(name, predictions, context))
        rows.append(accuracy_row(name, predictions, context, chance=0.5))
    return rows


def _majority(predictions: Predictions, context: Context) -> ResultRow:
    """What the better of the two constant answers scores on the triplets that all are evaluated on."""
    truth = predictions.answers.truth
    scores = torch.zeros(len(truth), 2)
    scores[:, int(truth.float().mean() > 0.5)] = 1
    constant = Predictions(Answers(scores, truth), predictions.clusters)
    return accuracy_row("majority-class", constant, context, chance=0.5, note="a constant answer")


def _spaced(
    task: ShuffleLearn, name: str, network: nn.Module, held_out: HeldOut, spacing: float, context: Context
) -> list[ResultRow]:
    variant, media = task.held_out().spaced(spacing), held_out.media
    usable = [i for i in range(len(media)) if variant.unusable(media.facts(i)) is None]
    if not usable:
        return []
    part = Subset(media, np.array(usable))
    keys = held_out.keys(max(held_out.puzzles // 2, 1))
    predictions = predict(variant, [network], part, keys, device=held_out.device)[0]
    note = f"neighbouring frames {spacing:g} s apart"
    metric = f"auc-{spacing:.2f}s"
    return [auc_row(name, predictions, context, metric=metric, listed=len(media), used=len(usable), note=note)]
