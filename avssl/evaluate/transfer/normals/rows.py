"""Rows of surface normals: ``trained``, ``random``, what is said blindly, and the gain.

``blind/constant`` is one normal for all pixels, the mean over the training pictures; ``blind/mean-map`` the mean normal
of each place; chance is the better of the two. Intervals: bootstrap over pictures, never over pixels.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from avssl.evaluate.core.bootstrap_rows import over_seeds, with_interval
from avssl.evaluate.core.rows import ResultRow
from avssl.evaluate.core.scores import Context
from avssl.evaluate.core.statistics import SHARE, Bounds
from avssl.evaluate.transfer.normals.angles import METRICS, drawn_figures, figures_of
from avssl.evaluate.transfer.normals.protocol import Judged
from avssl.evaluate.transfer.normals.sets import NormalSet

Floats = NDArray[np.float64]


def normal_rows(judged: Judged, test: NormalSet, context: Context) -> list[ResultRow]:
    """Rows of all metrics of each start, of what is said blindly, and of "gain", the first start minus the second.

    Of angles less is better, so a gain below 0 is one. With several seeds the value is the mean over seeds, and
    there is a row START/seedN each.
    """
    blind = {name: _figures(rows, context) for name, rows in judged.blind.items()}
    chance = {metric: _better(metric, [values[metric][0] for values in blind.values()]) for metric in METRICS}
    some = next(iter(judged.blind.values()))
    common = ResultRow(
        name="",
        metric="",
        value=0.0,
        low=0.0,
        high=0.0,
        n=int(some[:, 0].sum()),
        chance=None,
        split="test",
        seed=context.seed,
        command=context.command,
        protocol=context.protocol,
        unit="picture",
        clusters=len(test),
        n_listed=test.listed,
        n_used=len(test),
    )
    few = f"; only {len(test)} pictures to draw from" if len(test) < 10 else ""
    rows: list[ResultRow] = []
    figures = {name: [_figures(one, context) for one in runs] for name, runs in judged.starts.items()}
    for name, runs in figures.items():
        for metric in METRICS:
            row = replace(common, name=name, metric=metric, chance=chance[metric], note=judged.notes[name] + few)
            each = [
                replace(with_interval(row, *one[metric], _bounds(metric)), seed=context.seed + k)
                for k, one in enumerate(runs)
            ]
            rows += over_seeds(each, _bounds(metric))
    words = {
        "constant": "the mean normal of all training pixels, everywhere",
        "mean-map": "the mean normal of each place over the training pictures",
    }
    for name, values in blind.items():
        for metric in METRICS:
            row = replace(common, name=f"blind/{name}", metric=metric, note=words[name] + few)
            rows.append(with_interval(row, *values[metric], _bounds(metric)))
    first, *others = figures
    if others:
        note = f"{first} minus {others[0]}" + (", first seed" if len(figures[first]) > 1 else "")
        for metric in METRICS:
            (ours, our_draws), (theirs, their_draws) = figures[first][0][metric], figures[others[0]][0][metric]
            row = replace(common, name="gain", metric=f"{metric}-difference", chance=0.0, note=note + few)
            largest = _bounds(metric)[1]
            rows.append(with_interval(row, ours - theirs, our_draws - their_draws, (-largest, largest)))
    return rows


def _figures(rows: Floats, context: Context) -> dict[str, tuple[float, Floats]]:
    """Of each metric the figure and its draws."""
    whole, drawn = figures_of(rows.sum(0)), drawn_figures(rows, context.draws, context.seed)
    return {metric: (float(whole[metric]), drawn[metric]) for metric in METRICS}


def _bounds(metric: str) -> Bounds:
    return SHARE if metric.startswith("within") else (0.0, 180.0)


def _better(metric: str, values: Sequence[float]) -> float:
    return max(values) if metric.startswith("within") else min(values)
