"""Intervals and tests as pure functions of arrays.

Every interval is over independent units (clusters: sources, videos, people), and one rule holds for all. From 30
clusters on it is the bootstrap's (of shares Wilson's); below that it reaches as far as the wider of it and Student's t
(:func:`few_interval`), because few clusters drawn again know too little of what was not drawn: 10 covered 90 % instead
of 95. Measured with it, for shares, pairs, means, differences, ratios, medians and AUC: 94 to 100 % with 5 to 29.
Where all clusters say the same, nothing was seen to vary, and :func:`unseen_interval` says how much may.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import ArrayLike, NDArray

from avssl.evaluate.choices import BootstrapChoices
from avssl.system.intervals import Z95, wilson_share

DRAWS = BootstrapChoices.draws
FEW = 30
"""Below so many clusters an interval is the wider of two, and a sentence about it hedges."""

Bounds = tuple[float, float]
"""The smallest and the largest value that a figure can have."""
SHARE: Bounds = (0.0, 1.0)
DIFFERENCE: Bounds = (-1.0, 1.0)
"""Of two shares."""


def wilson(successes: int, n: int) -> tuple[float, float]:
    """Wilson's 95 % interval of a share: (low, high) in 0..1; (0, 1) for n = 0."""
    if n == 0:
        return 0.0, 1.0
    return wilson_share(successes / n, n)


def interval_of_draws(
    value: float, drawn: ArrayLike, clusters: int, bounds: Bounds | None = None
) -> tuple[float, float]:
    """The 95 % interval of a figure from its bootstrap over clusters, by the rule at the top of this file.

    From :data:`FEW` clusters on the percentiles; below, the lower of the two low ends and the higher of the two high
    ones of the percentiles and of :func:`few_interval` with the draws' deviation.

    Args:
        value: the figure of all clusters.
        drawn: the figure of each draw; draws without one (NaN) are left out.
        clusters: how many there are.
        bounds: smallest and largest value possible; the interval stays within. Without them there is no interval of
            one cluster (NaN), and none with a width of clusters that all say the same.
    """
    figures = np.asarray(drawn, np.float64)
    figures = figures[~np.isnan(figures)]
    if math.isnan(value) or not len(figures):
        return math.nan, math.nan
    if clusters < 2:
        # Of one cluster it is not known how others would differ.
        return bounds or (math.nan, math.nan)
    low, high = (float(end) for end in np.percentile(figures, [2.5, 97.5]))
    # Draws that say the same differ by rounding: the order of a sum is another in each.
    if np.ptp(figures) <= 1e-12 * max(1.0, abs(value)):
        return unseen_interval(value, clusters, bounds) if bounds else (value, value)
    if clusters < FEW:
        below, above = few_interval(value, float(figures.std(ddof=1)), clusters, bounds)
        low, high = min(low, below), max(high, above)
    return _clipped(low, high, bounds)


def few_interval(value: float, error: float, clusters: int, bounds: Bounds | None = None) -> tuple[float, float]:
    """Student's 95 % interval of a figure of m clusters, m − 1 degrees of freedom.

    The standard error is taken m / (m − 1) times, as the jackknife's is: drawn again, few clusters vary less than new
    ones (MacKinnon, Nielsen & Webb, J. Econometrics 232, 2023). Near a bound a symmetric interval ends too soon on the
    other side; there it reaches as far as Wilson's with Student's quantile, on the number of independent answers that
    has this error.

    Args:
        error: standard error by a bootstrap or sandwich over clusters.
    """
    quantile, error = _t95(clusters - 1), error * clusters / (clusters - 1)
    low, high = value - quantile * error, value + quantile * error
    if bounds is not None and all(map(math.isfinite, bounds)) and bounds[0] < value < bounds[1]:
        length = bounds[1] - bounds[0]
        share = (value - bounds[0]) / length
        # As many independent answers as would have this standard error.
        ends = wilson_share(share, share * (1 - share) * (length / error) ** 2, quantile)
        low, high = min(low, bounds[0] + length * ends[0]), max(high, bounds[0] + length * ends[1])
    return _clipped(low, high, bounds)


def unseen_interval(value: float, clusters: int, bounds: Bounds) -> tuple[float, float]:
    """The 95 % interval of a figure in which all clusters agree: none was seen to differ.

    At most the share q of clusters differs, the upper end of Wilson's interval of 0 in m, and at the most by what the
    bounds allow: value − q (value − smallest) to value + q (largest − value). Of all right that is Wilson's interval.
    """
    share = wilson(0, clusters)[1]
    low, high = value - share * (value - bounds[0]), value + share * (bounds[1] - value)
    return _clipped(low if math.isfinite(low) else value, high if math.isfinite(high) else value, bounds)


def cluster_bootstrap(
    values: ArrayLike,
    clusters: Sequence[object],
    statistic: Callable[[NDArray[np.float64]], float] | None = None,
    *,
    draws: int = DRAWS,
    seed: int = 0,
    bounds: Bounds | None = None,
) -> tuple[float, float]:
    """95 % interval of a figure, whole clusters drawn with replacement; see :func:`interval_of_draws`.

    Args:
        values: (n,) or (n, k), one row an item.
        clusters: n names; items of one name are not independent.
        statistic: of the values drawn; the mean of (n,) if None.
        draws: how often clusters are drawn.
        seed: of the draws, so that an evaluation is repeatable.
        bounds: smallest and largest value that the figure can have; the interval stays within.
    """
    x = np.asarray(values, dtype=np.float64)
    member, count = cluster_ids(clusters)
    # Not by resample: the figures of earlier versions came from these draws, and are to stay the same to the bit.
    picks = np.random.default_rng(seed).integers(count, size=(draws, count))
    if statistic is None:
        sums, sizes = np.bincount(member, weights=x), np.bincount(member)
        return interval_of_draws(float(x.mean()), sums[picks].sum(1) / sizes[picks].sum(1), count, bounds)
    groups = [x[member == c] for c in range(count)]
    figures = [statistic(np.concatenate([groups[c] for c in pick])) for pick in picks]
    return interval_of_draws(statistic(x), figures, count, bounds)


def sums_interval(
    columns: NDArray[np.float64],
    clusters: Sequence[object],
    statistic: Callable[[NDArray[np.float64]], NDArray[np.float64]],
    *,
    draws: int = DRAWS,
    seed: int = 0,
    bounds: Bounds | None = None,
) -> tuple[float, float, float]:
    """A statistic of column sums (a mean, its root, a difference, a ratio) and its 95 % interval: (value, low, high).

    A bootstrap over clusters, see :func:`interval_of_draws`. The columns of one item stay together, so that their
    differences and ratios are paired.

    Args:
        columns: (n, k), one row an item.
        clusters: n names; items of one name are not independent.
        statistic: of sums (m, k) to figures (m,).
    """
    member, count = cluster_ids(clusters)
    totals = np.zeros((count, columns.shape[1]))
    # Sums by cluster, once: each draw is then a row of one product of matrices, whatever the number of items
    np.add.at(totals, member, columns)
    value = float(statistic(totals.sum(0, keepdims=True))[0])
    return value, *interval_of_draws(value, statistic(resample(count, draws, seed) @ totals), count, bounds)


def mean_of(column: int, among: int = -1) -> Callable[[NDArray[np.float64]], NDArray[np.float64]]:
    """The mean of a column as a statistic of column sums, where column ``among`` is all ones."""
    return lambda sums: sums[:, column] / sums[:, among]


def resample(clusters: int, draws: int, seed: int) -> NDArray[np.int64]:
    """How often each cluster is in each draw with replacement: (draws, clusters)."""
    # Counts instead of indices: a statistic of sums needs no more
    return np.random.default_rng(seed).multinomial(clusters, np.full(clusters, 1 / clusters), size=draws)


def cluster_ids(clusters: Sequence[object]) -> tuple[NDArray[np.int64], int]:
    """The number of each item's cluster, from 0 on, and how many clusters there are."""
    _, member = np.unique(np.asarray([str(c) for c in clusters]), return_inverse=True)
    return np.asarray(member, np.int64), int(member.max()) + 1


def touching(values: ArrayLike, first: ArrayLike, second: ArrayLike, count: int) -> NDArray[np.float64]:
    """The sum of the values of all pairs that a cluster is part of, by its number: (count,).

    Args:
        values: of pairs, of any shape.
        first, second: indices of the clusters of a pair's two items, of that shape.
        count: how many clusters there are.
    """
    x = np.asarray(values, np.float64).ravel()
    ends = [np.bincount(np.asarray(end).ravel(), x, count) for end in (first, second)]
    return np.asarray(ends[0] + ends[1])


def influence_interval(value: float, influence: ArrayLike, bounds: Bounds | None = None) -> tuple[float, float]:
    """Interval of a figure of pairs, by how much it moves with the weight of each cluster.

    The infinitesimal jackknife (Efron 1982) with Student's t of clusters − 1 degrees of freedom. What is peculiar to a
    pair counts at both of its ends, so that coverage is 95 % or more (97 to 100 % measured with 30 and 240 clusters).

    Args:
        influence: (clusters,) derivative of the figure by the weight of a cluster, which is 1.
    """
    moves = np.asarray(influence, np.float64)
    # The sum of the squared influences is the jackknife's variance
    reach = _t95(max(len(moves) - 1, 1)) * math.sqrt(float((moves**2).sum()))
    if reach == 0 and bounds:
        return unseen_interval(value, len(moves), bounds)
    return _clipped(value - reach, value + reach, bounds)


def accuracy_interval(correct: ArrayLike, clusters: Sequence[Sequence[object]]) -> tuple[float, float]:
    """95 % interval of a share of right answers to puzzles that share sources.

    Each puzzle has one or more cluster names (a negative pair has two: the frame's video and the sound's). The
    interval is Wilson's on the effective number of puzzles, n divided by the design effect. The variance is
    the sandwich over all pairs of puzzles with a name in common (two-way clustering, Cameron, Gelbach & Miller
    2011); clustering never narrows the interval below the one for independent puzzles. Nominally 95 %; with few
    clusters in a direction it is a little too narrow (measured with strong clustering: 92 % with 40, 94 % with 100).

    Below :data:`FEW` sources it reaches as far as :func:`few_interval`, too, with the squares of what each source adds,
    which counts a negative pair at both ends. Of all right or all wrong it is Wilson's on the number of sources.
    """
    x = np.asarray(correct, dtype=np.float64)
    n = len(x)
    if n == 0:
        return 0.0, 1.0
    p = float(x.mean())
    # In the order given, not that of hashed names: the last digit of a sum must not differ from process to process.
    names = [tuple(dict.fromkeys(map(str, c))) for c in clusters]
    shared: dict[str, list[int]] = {}
    for i, cluster in enumerate(names):
        for name in cluster:
            shared.setdefault(name, []).append(i)
    sources = len(shared)
    if sources < 2:
        return SHARE
    if x.min() == x.max():
        return unseen_interval(p, min(n, sources), SHARE)
    residual = x - p
    variance = 0.0
    for i, cluster in enumerate(names):
        # Each puzzle once, even if it shares both of its sources: that is the inclusion-exclusion of two-way clustering
        related = sorted({j for name in cluster for j in shared[name]})
        variance += float(residual[i] * residual[related].sum())
    independent = float((residual**2).sum())
    # A design effect below 1 counts as 1: clustering never narrows the interval
    low, high = wilson_share(p, n / max(1.0, variance / independent))
    if sources < FEW:
        both_ends = sum(float(residual[places].sum()) ** 2 for places in shared.values())
        error = math.sqrt(max(both_ends, variance, independent)) / n
        below, above = few_interval(p, error, sources, SHARE)
        low, high = min(low, below), max(high, above)
    return _clipped(low, high, SHARE)


def balanced_interval(correct: ArrayLike, labels: ArrayLike, clusters: Sequence[object]) -> tuple[float, float]:
    """95 % interval of the mean over classes of the share of right answers.

    Of each class Wilson's on its effective number of items, so that a class of four items that are all wrong counts as
    four and no more; of their mean the root of the squared reaches on each side (MOVER: Zou & Donner, Statistics in
    Medicine 27, 2008). Below :data:`FEW` clusters it reaches as far as :func:`few_interval`, too.

    Args:
        correct: (n,) 1 or 0.
        labels: (n,) the class of each.
        clusters: n names; of a cluster with several classes the classes count as independent.
    """
    x, label = np.asarray(correct, np.float64), np.asarray(labels)
    member, count = cluster_ids(clusters)
    if count < 2:
        return SHARE
    kinds, shares = np.unique(label), []
    for kind in kinds:
        mine, owners = x[label == kind], np.unique(member[label == kind], return_inverse=True)[1]
        p, sizes = float(mine.mean()), np.bincount(owners)
        if p in (0.0, 1.0):
            shares.append((p, *wilson_share(p, len(sizes))))
            continue
        # The design effect: variance of the sums by cluster over that of independent items
        effect = float((np.bincount(owners, mine - p) ** 2).sum()) / float(((mine - p) ** 2).sum())
        shares.append((p, *wilson_share(p, len(mine) / max(1.0, effect))))
    value = float(np.mean([p for p, _, _ in shares]))
    scaled = [(value, value + (low - p) / len(kinds), value + (high - p) / len(kinds)) for p, low, high in shares]
    low, high = widened(value, *scaled)
    if count < FEW:
        # The standard error that an interval of this width stands for
        below, above = few_interval(value, (high - low) / 2 / Z95, count, SHARE)
        low, high = min(low, below), max(high, above)
    return _clipped(low, high, SHARE)


def _t95(freedom: int) -> float:
    """Student's t at 97.5 %."""
    from scipy.special import stdtrit  # as scipy.stats computes it, which takes a second to import

    return float(stdtrit(freedom, 0.975))


def _clipped(low: float, high: float, bounds: Bounds | None) -> tuple[float, float]:
    return (low, high) if bounds is None else (max(bounds[0], low), min(bounds[1], high))


def t_interval(values: ArrayLike, bounds: Bounds | None = None) -> tuple[float, float]:
    """Student's 95 % interval of the mean of some independent figures: (low, high).

    Args:
        bounds: smallest and largest value possible. Without them one figure, or equal ones, have an interval without
            width.
    """
    x = np.asarray(values, dtype=np.float64)
    mean, count = float(x.mean()), len(x)
    if bounds and (count < 2 or np.ptp(x) <= 1e-12):
        return unseen_interval(mean, count, bounds)
    if count < 2:
        return mean, mean
    reach = _t95(count - 1) * float(x.std(ddof=1)) / math.sqrt(count)
    return _clipped(mean - reach, mean + reach, bounds)


def widened(value: float, *intervals: tuple[float, float, float]) -> tuple[float, float]:
    """The interval of a figure that varies for several independent reasons: on each side the root of squared reaches
    (MOVER: Zou & Donner, Statistics in Medicine 27, 2008).

    Args:
        value: the figure.
        intervals: (value, low, high) of each reason alone, such as over repetitions and over the evaluated items.
    """
    below = math.sqrt(sum((middle - low) ** 2 for middle, low, _ in intervals))
    above = math.sqrt(sum((high - middle) ** 2 for middle, _, high in intervals))
    return value - below, value + above


def mcnemar(b: int, c: int) -> float:
    """Exact two-sided p of McNemar's test from the two discordant counts."""
    from scipy.stats import binomtest  # slow to import

    return float(binomtest(b, b + c).pvalue) if b + c else 1.0


def auc(scores: ArrayLike, truth: ArrayLike) -> float:
    """Area under the ROC curve: the chance that a positive scores higher than a negative, ties counting half.

    The Mann-Whitney statistic (Hanley & McNeil, Radiology 143, 1982). NaN where a class is absent.

    Args:
        scores: (n,) higher for positives.
        truth: (n,) 1 or 0.
    """
    predicted, true = np.asarray(scores, np.float64), np.asarray(truth, bool)
    positives, negatives = int(true.sum()), int((~true).sum())
    if not positives or not negatives:
        return math.nan
    _, place, counts = np.unique(predicted, return_inverse=True, return_counts=True)
    ranks = np.cumsum(counts) - (counts - 1) / 2  # mean rank of each value
    return float((ranks[place][true].sum() - positives * (positives + 1) / 2) / (positives * negatives))


def auc_interval(
    scores: ArrayLike, truth: ArrayLike, clusters: Sequence[object], *, draws: int = DRAWS, seed: int = 0
) -> tuple[float, float]:
    """95 % interval of the AUC, see :func:`cluster_bootstrap`; (0, 1) where a class is absent."""
    predicted, true = np.asarray(scores, np.float64), np.asarray(truth, bool)
    if math.isnan(auc(predicted, true)):
        return 0.0, 1.0

    def of(chosen: NDArray[np.float64]) -> float:
        places = chosen.astype(np.int64)
        found = auc(predicted[places], true[places])
        return 0.5 if math.isnan(found) else found  # a resample with one class only has no AUC

    return cluster_bootstrap(np.arange(len(predicted)), clusters, of, draws=draws, seed=seed, bounds=SHARE)
