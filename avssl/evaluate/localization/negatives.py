"""Silence, noise and off-screen sound at one threshold for all pictures (vssl_eval 2024).

The threshold is universal and comes from elsewhere than the test set: here the run's own. pIA is the share of the
picture that is predicted though nothing in it sounds, lower is better. AUC_N is the area under the share of negatives
with pIA ≤ τ. F_LOC is the harmonic mean of the mean cIoU of positives and of 1 − pIA averaged over the three kinds of
negative; F_AUC that of AUC and of AUC_N averaged. Noise and off-screen sounds are drawn ten times for each picture and
pooled. Pairs without a source in sight that a test set lists (``--negatives``) are not part of this protocol.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from avssl.evaluate.core.rows import Context, ResultRow
from avssl.evaluate.core.statistics import SHARE, cluster_bootstrap
from avssl.evaluate.localization import metrics
from avssl.evaluate.localization.annotations import Item
from avssl.evaluate.localization.datasets import ModelMaps, Sound, TestMedia
from avssl.evaluate.localization.map_maker import MapMaker
from avssl.evaluate.localization.metrics import Floats
from avssl.evaluate.localization.protocols import PROTOCOLS, Protocol, upsample
from avssl.evaluate.localization.scoring import mean_row, score_maps
from avssl.system.console import counted

KINDS: tuple[tuple[Sound, str], ...] = (("silence", "silence"), ("noise", "noise"), ("swap", "off-screen"))
# Draws of noise and of off-screen sounds for each picture: vssl_eval pools ten runs with fixed seeds
DRAWN = 10


def negative_rows(
    test: TestMedia, model: MapMaker, threshold: float, context: Context, fitted_on: str | None = None
) -> list[ResultRow]:
    """Rows of positives and of the three kinds of negative, all pixels predicted whose logit is above one threshold.

    Rows of a kind whose sound no picture has (no other class is there) are left out, and F_LOC and F_AUC with them.
    ``fitted_on`` are the clips that the threshold was fitted on; None if it is the default.
    """
    protocol = replace(PROTOCOLS["negatives"], threshold=threshold)
    name = protocol.name
    origin = f"fitted on {fitted_on}" if fitted_on else "the default: none was fitted for this run"
    note = f"logits above {threshold:.2f}, {origin}"
    positives = [item for item in test.items if not item.negative]
    scores = score_maps(positives, ModelMaps(model, test), [protocol])
    items = scores.items
    if not items:
        return []
    cious = np.asarray(scores.cious[name])[:, 0]
    clusters = [item.cluster for item in items]
    listed = len(positives) + sum(not item.negative for item in test.left_out)
    ours: dict[str, Any] = {"protocol": name, "listed": listed}
    rows = [
        mean_row("trained/logits", f"iou/{name}", cious, clusters, context, note=note, **ours),
        mean_row("trained/logits", f"auc/{name}", metrics.auc_terms(cious), clusters, context, note=note, **ours),
    ]
    outside: list[Floats] = []
    within: list[Floats] = []
    for kind, called in KINDS:
        areas, terms = _areas(test, model, items, kind, protocol)
        known = ~np.isnan(areas)
        if known.any():
            owners = [cluster for cluster, there in zip(clusters, known, strict=True) if there]
            words = note if kind == "silence" else f"{note}; {DRAWN} draws for each picture"
            if not known.all():
                words += f"; {counted(int((~known).sum()), 'picture')} left out: no sound of another class"
            for metric, values in (("pia", areas), ("auc-n", terms)):
                rows.append(mean_row(called, f"{metric}/{name}", values[known], owners, context, note=words, **ours))
        # 1 - pIA: more is better in all that the harmonic mean takes.
        outside.append(1 - areas)
        within.append(terms)
    if all((~np.isnan(values)).any() for values in outside):
        for metric, first, others in (("f-loc", cious, outside), ("f-auc", metrics.auc_terms(cious), within)):
            table = np.stack([first, *others], axis=1)
            value, low, high = _harmonic(table, clusters, context.draws)
            mean = replace(rows[0], metric=f"{metric}/{name}", value=value, low=low, high=high)
            rows.append(replace(mean, method="bootstrap"))
    return rows


def _areas(
    test: TestMedia, model: MapMaker, items: list[Item], kind: Sound, protocol: Protocol
) -> tuple[Floats, Floats]:
    """pIA and the area under the step at it of each item, means over its draws: (n,) each, NaN where no sound is."""
    draws = [ModelMaps(model, test, kind, draw) for draw in range(1 if kind == "silence" else DRAWN)]
    areas, terms = np.full(len(items), np.nan), np.full(len(items), np.nan)
    for number, item in enumerate(items):
        found = [m for maps in draws if (m := maps(item, protocol)) is not None]
        if found:
            each = [metrics.predicted_area(upsample(m, protocol.upsampling), protocol.threshold) for m in found]
            areas[number] = np.mean(each)
            terms[number] = np.mean([metrics.auc_of_areas([area]) for area in each])
    return areas, terms


def _harmonic(table: Floats, clusters: list[str], draws: int) -> tuple[float, float, float]:
    """Harmonic mean of the first column's mean and of the other columns' means averaged, and its interval."""

    def figure(chosen: NDArray[np.float64]) -> float:
        means = [_known_mean(column) for column in table[chosen.astype(np.int64)].T]
        return metrics.harmonic_mean(means[0], _known_mean(np.asarray(means[1:])))

    everyone = np.arange(len(table), dtype=np.float64)
    return figure(everyone), *cluster_bootstrap(everyone, clusters, figure, draws=min(draws, 500), bounds=SHARE)


def _known_mean(values: Floats) -> float:
    known = values[~np.isnan(values)]
    return float(known.mean()) if len(known) else float("nan")
