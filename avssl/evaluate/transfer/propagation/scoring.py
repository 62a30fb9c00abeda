"""From carried labels to columns of figures, and from those to rows, with whole videos drawn for the intervals."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import partial

import numpy as np
from numpy.typing import NDArray

from avssl.evaluate.core.rows import Context, ResultRow, over_seeds
from avssl.evaluate.core.statistics import DIFFERENCE, SHARE
from avssl.evaluate.transfer.propagation.points import tracked_points
from avssl.evaluate.transfer.propagation.regions import box_overlap, contour_accuracy, course, region_similarity
from avssl.evaluate.transfer.propagation.videos import VOID, Masks, Points

Floats = NDArray[np.float64]
# Of one video, an item a row: its objects, or itself
Scores = Floats
Statistic = Callable[[Floats], Floats]

MASK_METRICS = ("jf-mean", "j-mean", "j-recall", "j-decay", "f-mean", "f-recall", "f-decay", "box-overlap")
ALPHAS = (0.1, 0.2, 0.3, 0.4, 0.5)

NOTES = {
    "trained": "carried by the encoder's features",
    "random": "carried by the same network with random weights",
    "blind/unmoved": "the first labels, left where they are",
    "blind/unmoved-cells": "the same at the size of the map",
    "blind/colour": "carried by the colour of the cells",
    "truth-at-map-size": "the truth of each frame at the size of the map: the most that it can hold",
    "optical-flow": "carried by optical flow from frame to frame",
}


def score_masks(carried: NDArray[np.uint8], truth: Masks) -> Scores:
    """A row of :data:`MASK_METRICS` for each object of the first frame: (objects, 8).

    The first and the last frame are left out, as in DAVIS's semi-supervised task, and frames without a mask; void
    pixels count nowhere. Of a video of two frames the second counts.
    """
    inside = truth.known.copy()
    inside[0] = False
    inside[-1] &= inside[1:-1].sum() == 0
    if not inside.any():
        return np.zeros((0, len(MASK_METRICS)))
    ours, theirs = carried[inside], truth.labels[inside]
    void, rows = theirs == VOID, []
    for number in range(1, truth.objects + 1):
        predicted, true = ours == number, theirs == number
        j = course(region_similarity(predicted, true, void))
        f = course(np.array([contour_accuracy(*frame) for frame in zip(predicted, true, void, strict=True)]))
        box = float(box_overlap(predicted & ~void, true).mean())
        rows.append([(j.mean + f.mean) / 2, *j, *f, box])
    return np.array(rows).reshape(-1, len(MASK_METRICS))


def score_points(carried: Floats, truth: Points) -> Scores:
    """One row: for each of :data:`ALPHAS`, lost points being wrong and being left out, how many of each point were
    right and how many there were: (1, 5 · 2 · 2 · points)."""
    length = min(len(carried), len(truth.places))  # some films are longer than their joints
    found = [
        tracked_points(carried[:length], truth.places[:length], alpha, lost_are_wrong=wrong)
        for wrong in (True, False)
        for alpha in ALPHAS
    ]
    return np.concatenate([np.concatenate(each) for each in found])[None]


def propagation_rows(
    scores: Mapping[str, Sequence[Scores]], sources: Sequence[str], kind: str, context: Context
) -> list[ResultRow]:
    """All rows: each name with all metrics, then "gain": trained minus random, minus unmoved, minus colour.

    Args:
        scores: of each name the scores of each video.
        sources: of each video; those of one are drawn together.
        kind: "masks" or "points".
    """
    statistics = _mask_statistics() if kind == "masks" else _point_statistics(scores)
    columns = {name: np.concatenate(list(of_videos)) for name, of_videos in scores.items()}
    clusters = [source for source, one in zip(sources, scores["trained"], strict=True) for _ in one]
    # The last column counts, for means
    columns = {name: np.column_stack([one, np.ones(len(one))]) for name, one in columns.items()}
    context = replace(context, unit="video")
    unmoved = columns["blind/unmoved"]
    rows: list[ResultRow] = []
    for name, group in _by_row(columns).items():
        for metric, statistic in statistics.items():
            chance = float(statistic(unmoved.sum(0, keepdims=True))[0])
            of_metric = [
                context.sums_row(
                    name, metric, one, clusters, statistic, bounds=_bounds(metric), seed=seed + context.seed,
                    chance=None if "decay" in metric or name == "truth-at-map-size" else chance, note=_note(name),
                )
                for seed, one in enumerate(group)
            ]  # fmt: skip
            rows += over_seeds(of_metric, _bounds(metric))
    return rows + _gains(columns, clusters, statistics, context)


def _by_row(columns: Mapping[str, Floats]) -> dict[str, list[Floats]]:
    """Names in order; "random/seed0" and "random/seed1" are both of "random"."""
    found: dict[str, list[Floats]] = {}
    for name, one in columns.items():
        parts = [part for part in name.split("/") if not part.startswith("seed")]
        found.setdefault("/".join(parts), []).append(one)
    return found


def _gains(
    columns: Mapping[str, Floats], clusters: Sequence[str], statistics: Mapping[str, Statistic], context: Context
) -> list[ResultRow]:
    ours, rows = columns["trained"], []
    random = next(name for name in columns if name.startswith("random"))
    for other in (random, "blind/unmoved", "blind/colour"):
        both = np.column_stack([ours, columns[other]])
        of = other.removeprefix("blind/").split("/")[0]
        for metric, statistic in statistics.items():
            if "decay" in metric or "recall" in metric:
                continue
            rows.append(
                context.sums_row(
                    "gain" if of == "random" else f"gain/{of}", f"{metric}-difference", both, clusters,
                    partial(_difference, statistic, ours.shape[1]), bounds=DIFFERENCE, chance=0.0,
                    note=f"trained minus {other}",
                )
            )  # fmt: skip
    return rows


def _difference(statistic: Statistic, width: int, sums: Floats) -> Floats:
    return statistic(sums[:, :width]) - statistic(sums[:, width:])


def _mask_statistics() -> dict[str, Statistic]:
    return {metric: partial(_mean, place) for place, metric in enumerate(MASK_METRICS)}


def _mean(place: int, sums: Floats) -> Floats:
    return sums[:, place] / sums[:, -1]


def _point_statistics(scores: Mapping[str, Sequence[Scores]]) -> dict[str, Statistic]:
    points = scores["trained"][0].shape[1] // (4 * len(ALPHAS))
    names = [f"{kind}@{alpha:g}" for kind in ("pck", "pck-of-found") for alpha in ALPHAS]
    return {name: partial(_mean_of_points, 2 * points * place, points) for place, name in enumerate(names)}


def _mean_of_points(start: int, points: int, sums: Floats) -> Floats:
    """The mean over points of each one's share, of those that were seen."""
    right, total = sums[:, start : start + points], sums[:, start + points : start + 2 * points]
    shares = np.divide(right, total, out=np.zeros_like(right), where=total > 0)
    seen = (total > 0).sum(1)
    return np.asarray(np.divide(shares.sum(1), seen, out=np.full(len(sums), np.nan), where=seen > 0))


def _bounds(metric: str) -> tuple[float, float]:
    return DIFFERENCE if "decay" in metric else SHARE


def _note(name: str) -> str:
    plain = name.removesuffix("/whole-frame")
    return NOTES[plain] + ("" if plain == name else ", from anywhere in the frame")
