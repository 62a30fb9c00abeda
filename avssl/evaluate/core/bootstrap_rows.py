"""Rows from a figure and its draws of a bootstrap, and one row of several repetitions."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from avssl.evaluate.core.rows import ResultRow
from avssl.evaluate.core.statistics import SHARE, Bounds, interval_of_draws, t_interval, widened


def with_interval(row: ResultRow, value: float, drawn: NDArray[np.float64], bounds: Bounds | None = SHARE) -> ResultRow:
    """The row with the figure and the 95 % interval of its draws over the row's clusters, see ``interval_of_draws``.

    Args:
        drawn: (draws,).
        bounds: smallest and largest value that the figure can have.
    """
    low, high = interval_of_draws(value, drawn, row.clusters, bounds)
    return replace(row, value=value, low=low, high=high, method="bootstrap")


def over_seeds(rows: Sequence[ResultRow], bounds: Bounds | None = SHARE) -> list[ResultRow]:
    """One row as it is; of several, one of each seed as NAME/seedN, then :func:`mean_of_repeats`."""
    if len(rows) == 1:
        return list(rows)
    each = [replace(row, name=f"{row.name}/seed{row.seed}") for row in rows]
    return [*each, mean_of_repeats(rows, "seeds", bounds)]


def mean_of_repeats(rows: Sequence[ResultRow], what: str, bounds: Bounds | None = SHARE) -> ResultRow:
    """The mean of one figure over repetitions (seeds, samples of the labels) that are judged on the same items.

    Its interval is for both reasons to vary: Student's over the repetitions, and over the judged items as the rows
    have it (their mean reach; repeating does not change the items). Their range is in the note, and is no interval.

    Args:
        rows: the figure of each repetition with its interval over the judged items.
        what: is repeated, for the note: "seeds".
        bounds: smallest and largest value that the figure can have.
    """
    values = [row.value for row in rows]
    value = float(np.mean(values))
    below, above = (float(np.mean([abs(row.value - end) for row, end in zip(rows, ends, strict=True)]))
                    for ends in ([row.low for row in rows], [row.high for row in rows]))  # fmt: skip
    reasons = [(value, value - below, value + above)]
    if len(rows) > 1:
        reasons.append((value, *t_interval(values)))
    low, high = widened(value, *reasons)
    if bounds is not None:
        low, high = max(low, bounds[0]), min(high, bounds[1])
    told = f"mean of {len(rows)} {what}, range of {len(rows)} {what}: {_figure(min(values))} to {_figure(max(values))}"
    note = f"{rows[0].note}; {told}".removeprefix("; ")
    return replace(rows[0], value=value, low=low, high=high, note=note, method="t" if len(rows) > 1 else rows[0].method)


def _figure(value: float) -> str:
    return f"{value:.3g}"
