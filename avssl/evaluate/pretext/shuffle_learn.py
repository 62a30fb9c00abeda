"""Shuffle & Learn on held-out clips: half of the triplets in the right order, half not.

"auc" needs no threshold and no prior; "accuracy" stands beside the "majority-class", what the constant answer scores.
"auc-0.20s" is the AUC of triplets whose neighbouring frames are all that far apart: the farther, the harder.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch import nn

from avssl.evaluate.core.rows import ResultRow
from avssl.evaluate.core.statistics import auc, auc_interval
from avssl.evaluate.pretext.predictions import Judgement, accuracy_row, held_out_keys, judge
from avssl.media.facts import Media
from avssl.media.selection import Subset
from avssl.tasks.base import Answers
from avssl.tasks.shuffle_learn import ShuffleLearn

PROTOCOL = "shuffle-learn"
SPACINGS = (0.08, 0.12, 0.16, 0.2, 0.3, 0.4)
"""Seconds between neighbouring frames, of the curve."""
_DRAWS = 1000


def evaluate(
    task: ShuffleLearn,
    networks: dict[str, nn.Module],
    media: Media,
    *,
    pairs: int,
    seed: int,
    device: torch.device | str = "cpu",
    command: str = "",
) -> list[ResultRow]:
    """Rows "auc" and "accuracy" of each network on the same triplets, the majority class, and the curve over spacing.

    The curve is drawn for the first network, on half as many triplets at each spacing; clips too short for one are
    left out there (``n_listed`` and ``n_used`` count clips), and a spacing for which none is left has no row.
    """
    judgements = _judge(task, networks, media, pairs, seed, device)
    rows = _rows(networks, judgements, seed, command)
    rows.append(_majority(judgements[0], seed, command))
    name, network = next(iter(networks.items()))
    for spacing in SPACINGS:
        rows += _spaced(task, name, network, media, spacing, max(pairs // 2, 1), seed, device, command)
    return rows


def evaluate_control(
    task: ShuffleLearn,
    networks: dict[str, nn.Module],
    media: Media,
    *,
    pairs: int,
    seed: int,
    device: torch.device | str = "cpu",
    command: str = "",
) -> list[ResultRow]:
    """Rows "auc" and "accuracy" of a control, on the triplets that the trained network is judged on."""
    return _rows(networks, _judge(task, networks, media, pairs, seed, device), seed, command)


def auc_row(name: str, judgement: Judgement, *, metric: str = "auc", seed: int, **more: Any) -> ResultRow:
    """The AUC of a judgement of two classes, with an interval by bootstrap over the source clips."""
    scores = (judgement.answers.scores[:, 1] - judgement.answers.scores[:, 0]).numpy()
    truth = judgement.answers.truth.numpy()
    clusters = [cluster[0] for cluster in judgement.clusters]
    low, high = auc_interval(scores, truth, clusters, draws=_DRAWS)
    count = len(truth)
    sizes = {"n_listed": count, "n_used": count} | more
    return ResultRow(
        name, metric, auc(scores, truth), low, high, count, 0.5, "test", seed,
        unit="source", clusters=len(set(clusters)), method="bootstrap", **sizes,
    )  # fmt: skip


# --- how ------------------------------------------------------------------------------------------------


def _judge(
    task: ShuffleLearn, networks: dict[str, nn.Module], media: Media, pairs: int, seed: int, device: torch.device | str
) -> list[Judgement]:
    return judge(task.held_out(), list(networks.values()), media, held_out_keys(seed, pairs), device=device)


def _rows(networks: dict[str, nn.Module], judgements: list[Judgement], seed: int, command: str) -> list[ResultRow]:
    rows = []
    for name, judgement in zip(networks, judgements, strict=True):
        rows.append(auc_row(name, judgement, seed=seed, command=command, protocol=PROTOCOL))
        rows.append(accuracy_row(name, judgement, chance=0.5, seed=seed, command=command, protocol=PROTOCOL))
    return rows


def _majority(judgement: Judgement, seed: int, command: str) -> ResultRow:
    """What the better of the two constant answers scores on the triplets that all are judged on."""
    truth = judgement.answers.truth
    scores = torch.zeros(len(truth), 2)
    scores[:, int(truth.float().mean() > 0.5)] = 1
    constant = Judgement(Answers(scores, truth), judgement.clusters)
    return accuracy_row(
        "majority-class", constant, chance=0.5, seed=seed, note="a constant answer", command=command, protocol=PROTOCOL
    )


def _spaced(
    task: ShuffleLearn,
    name: str,
    network: nn.Module,
    media: Media,
    spacing: float,
    count: int,
    seed: int,
    device: torch.device | str,
    command: str,
) -> list[ResultRow]:
    variant = task.held_out().spaced(spacing)
    usable = [i for i in range(len(media)) if variant.unusable(media.facts(i)) is None]
    if not usable:
        return []
    part = Subset(media, np.array(usable))
    judgement = judge(variant, [network], part, held_out_keys(seed, count), device=device)[0]
    more = {"n_listed": len(media), "n_used": len(usable), "command": command, "protocol": PROTOCOL}
    note = f"neighbouring frames {spacing:g} s apart"
    return [auc_row(name, judgement, metric=f"auc-{spacing:.2f}s", seed=seed, note=note, **more)]
