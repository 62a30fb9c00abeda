"""Rows of surface normals: ``trained``, ``random``, blind baselines, and the gain.

``blind/constant`` is one normal for all pixels, the mean over the training pictures; ``blind/mean-map`` the mean normal
of each place; chance is the better of the two. Intervals: bootstrap over pictures, never over pixels.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from avssl.evaluate.core.rows import Context, ResultRow
from avssl.evaluate.core.statistics import SHARE, Bounds
from avssl.evaluate.transfer.normals.angles import METRICS, drawn_figures, figures_of
from avssl.evaluate.transfer.normals.protocol import NormalTallies
from avssl.evaluate.transfer.normals.sets import NormalSet
from avssl.evaluate.transfer.rows import transfer_rows

Floats = NDArray[np.float64]

# What each baseline predicts, whatever the picture
BLIND = {
    "blind/constant": "the mean normal of all training pixels, everywhere",
    "blind/mean-map": "the mean normal of each place over the training pictures",
}


def normal_rows(tallies: NormalTallies, test: NormalSet, context: Context) -> list[ResultRow]:
    """Rows of all metrics of each start, of blind baselines, and of "gain", the first start minus the second.

    Of angles less is better, so a gain below 0 is one. With several seeds the value is the mean over seeds, and
    there is a row START/seedN each.
    """
    blind = {f"blind/{name}": _figures(rows, context) for name, rows in tallies.blind.items()}
    chance = {}
    for metric in METRICS:
        better = max if metric.startswith("within") else min  # of angles less is better
        chance[metric] = better(values[metric][0] for values in blind.values())
    some = next(iter(tallies.blind.values()))
    context = replace(context, unit="picture")
    sizes: dict[str, Any] = {
        "n": int(some[:, 0].sum()),
        "clusters": len(test),
        "listed": test.listed,
        "used": len(test),
    }
    few = f"; only {len(test)} pictures to draw from" if len(test) < 10 else ""
    starts = {name: [_figures(one, context) for one in runs] for name, runs in tallies.starts.items()}
    notes = {**tallies.notes, **BLIND}
    return transfer_rows(
        context, starts, blind, chance, {name: note + few for name, note in notes.items()}, _bounds, few, **sizes
    )


def _figures(rows: Floats, context: Context) -> dict[str, tuple[float, Floats]]:
    """Of each metric the figure and its draws."""
    whole, drawn = figures_of(rows.sum(0)), drawn_figures(rows, context.draws, context.seed)
    return {metric: (float(whole[metric]), drawn[metric]) for metric in METRICS}


def _bounds(metric: str) -> Bounds:
    return SHARE if metric.startswith("within") else (0.0, 180.0)
