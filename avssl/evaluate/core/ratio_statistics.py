"""Figures that are functions of sums over pictures (means, their roots, differences, ratios), with intervals."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray

from avssl.evaluate.core.rows import ResultRow
from avssl.evaluate.core.statistics import DRAWS, Bounds, cluster_numbers, interval_of_draws

Numbers = NDArray[np.float64]


def sums_interval(
    columns: Numbers,
    clusters: Sequence[object],
    statistic: Callable[[Numbers], Numbers],
    *,
    draws: int = DRAWS,
    seed: int = 0,
    bounds: Bounds | None = None,
) -> tuple[float, float, float]:
    """A statistic of column sums, and its 95 % interval by a bootstrap over clusters (see ``interval_of_draws``).

    Rows of one picture stay together, so differences and ratios of columns are paired.

    Args:
        columns: (n, k), one row a picture.
        clusters: n names; pictures of one name are not independent.
        statistic: of sums (m, k) to figures (m,).
        draws: how many times to draw.
        seed: fixed, so that an evaluation is repeatable.
        bounds: smallest and largest value that the figure can have.

    Returns:
        the figure of all pictures, low, high.
    """
    member, count = cluster_numbers(clusters)
    totals = np.zeros((count, columns.shape[1]))
    np.add.at(totals, member, columns)
    times = np.random.default_rng(seed).multinomial(count, np.full(count, 1 / count), size=draws)
    value = float(statistic(totals.sum(0, keepdims=True))[0])
    return value, *interval_of_draws(value, statistic(times @ totals), count, bounds)


def mean_of(column: int, among: int) -> Callable[[Numbers], Numbers]:
    """The mean of a column, where column ``among`` is all ones."""
    return lambda sums: sums[:, column] / sums[:, among]


def row_of_sums(
    name: str,
    metric: str,
    columns: Numbers,
    clusters: Sequence[object],
    statistic: Callable[[Numbers], Numbers],
    *,
    seed: int,
    protocol: str,
    command: str = "",
    note: str = "",
    chance: float | None = None,
    bounds: Bounds | None = None,
) -> ResultRow:
    """The result row of such a figure; the interval is a bootstrap over sources."""
    value, low, high = sums_interval(columns, clusters, statistic, bounds=bounds)
    return ResultRow(
        name=name,
        metric=metric,
        value=value,
        low=low,
        high=high,
        n=len(columns),
        chance=chance,
        split="test",
        seed=seed,
        note=note,
        command=command,
        protocol=protocol,
        unit="source",
        clusters=len(set(map(str, clusters))),
        method="bootstrap",
        n_listed=len(columns),
        n_used=len(columns),
    )
