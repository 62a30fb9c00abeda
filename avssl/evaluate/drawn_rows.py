"""Rows from a figure and its draws of a bootstrap, and from several seeds."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from avssl.evaluate.rows import ResultRow


def with_interval(row: ResultRow, value: float, drawn: NDArray[np.float64]) -> ResultRow:
    """The row with the figure and the percentile 95 % interval of its draws; draws without a figure (NaN) are left out.

    Args:
        drawn: (draws,).
    """
    there = drawn[~np.isnan(drawn)]
    low, high = np.percentile(there, [2.5, 97.5]) if len(there) else (np.nan, np.nan)
    return replace(row, value=value, low=float(low), high=float(high), method="bootstrap")


def over_seeds(rows: Sequence[ResultRow]) -> list[ResultRow]:
    """One row as it is; of several, one of each seed as NAME/seedN, then their mean with the range as interval."""
    if len(rows) == 1:
        return list(rows)
    values = [row.value for row in rows]
    mean = replace(
        rows[0],
        value=float(np.mean(values)),
        low=min(values),
        high=max(values),
        method="range",
        note=f"{rows[0].note}; mean and range of {len(values)} seeds",
    )
    return [*(replace(row, name=f"{row.name}/seed{row.seed}") for row in rows), mean]
