"""Retrieval metrics as pure functions of arrays: nDCG and rank, ties by their expectation, each with its chance."""

from __future__ import annotations

from math import comb

import numpy as np
from numpy.typing import ArrayLike, NDArray

# Places of the ranking that nDCG looks at (AVE-Net)
DEPTH = 30


def expected_rank(scores: ArrayLike, partner: ArrayLike) -> NDArray[np.float64]:
    """Rank of each query's best partner, from 1 on; among ties its expectation.

    With b items strictly better than the best partner and t as good, m of them partners: b + (t + 1) / (m + 1).

    Args:
        scores: (queries, gallery).
        partner: (queries, gallery) of bool, one at least in each row.
    """
    predicted, own = np.asarray(scores, np.float64), np.asarray(partner, bool)
    best = np.where(own, predicted, -np.inf).max(1, keepdims=True)
    better, equal = (predicted > best).sum(1), predicted == best
    return np.asarray(better + (equal.sum(1) + 1) / ((equal & own).sum(1) + 1), np.float64)


def recall_chance(partners: ArrayLike, gallery: int, k: int) -> float:
    """The mean over queries of the chance that one of their partners is among k drawn items of the gallery."""
    counts = np.asarray(partners, np.int64)
    # Hypergeometric: 1 − the chance that none of m partners is among k drawn without replacement
    return float(np.mean([1 - comb(gallery - int(m), k) / comb(gallery, k) for m in counts]))


def ndcg(
    scores: ArrayLike, relevance: ArrayLike, k: int = DEPTH, allowed: ArrayLike | None = None
) -> NDArray[np.float64]:
    """nDCG@k of each query with linear gain; NaN where nothing is relevant. Ties share their mean relevance.

    DCG@k = Σ rel_i / log2(i + 1), over that of the best possible order of the gallery (Järvelin & Kekäläinen 2002).

    Args:
        scores: (queries, gallery).
        relevance: (queries, gallery), at least 0.
        allowed: (queries, gallery) of bool: what is in the query's gallery; all if None.
    """
    predicted, gain = np.asarray(scores, np.float64), np.asarray(relevance, np.float64)
    inside = np.ones(predicted.shape, bool) if allowed is None else np.asarray(allowed, bool)
    found = np.full(len(predicted), np.nan)
    for q in range(len(predicted)):
        s, g = predicted[q, inside[q]], gain[q, inside[q]]
        if g.sum() > 0:
            found[q] = _dcg(_shared(s, g), k) / _dcg(np.sort(g)[::-1], k)
    return found


def ndcg_chance(relevance: ArrayLike, k: int = DEPTH, allowed: ArrayLike | None = None) -> float:
    """The expectation of the mean nDCG@k for a random order: that of equal scores."""
    gain = np.asarray(relevance, np.float64)
    return float(np.nanmean(ndcg(np.zeros(gain.shape), gain, k, allowed)))


def _shared(scores: NDArray[np.float64], gain: NDArray[np.float64]) -> NDArray[np.float64]:
    """Relevance in the order of falling scores; equal scores have the mean of theirs."""
    _, group = np.unique(-scores, return_inverse=True)
    mean = np.bincount(group, gain) / np.bincount(group)
    return np.asarray(mean[np.sort(group)], np.float64)


def _dcg(gain: NDArray[np.float64], k: int) -> float:
    some = gain[:k]
    return float((some / np.log2(np.arange(2, len(some) + 2))).sum())
