"""Angular errors of normals, pooled over all valid pixels of all pictures, as sums that can be bootstrapped by picture.

Each picture becomes one row of sums (:func:`tally`); the figures of any collection of pictures are figures of the sum
of their rows (:func:`figures_of`), so a bootstrap over pictures is a product of matrices.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

from avssl.evaluate.core.statistics import resample

Floats = NDArray[np.float64]

# Degrees below which a pixel counts as right (Fouhey, Gupta & Hebert 2013); strictly below, as ``astmt`` counts
WITHIN = (11.25, 22.5, 30.0)

# Degrees, lower is better; then shares of pixels, higher is better
METRICS = ("angle-mean", "angle-median", "angle-rmse", *(f"within-{bar:g}" for bar in WITHIN))

# Of the histogram from which the median is read: 0.02 degrees each, and the median is interpolated within one
BINS = 9000

# Columns of a row of sums before its histogram
_HEAD = 3 + len(WITHIN)


def angles(predicted: ArrayLike, truth: ArrayLike, valid: ArrayLike | None = None) -> Floats:
    """Degrees between prediction and truth at each valid pixel: (n,), 0..180.

    arccos of the cosine clipped to −1..1, of vectors brought to length 1. A vector of length 0 says nothing: 90.

    Args:
        predicted, truth: (3, h, w); a truth without length is not valid.
        valid: bool (h, w); all if None.
    """
    a, b = (np.asarray(one, np.float64).reshape(3, -1) for one in (predicted, truth))
    lengths = np.linalg.norm(b, axis=0)
    kept = lengths > 0
    if valid is not None:
        kept &= np.asarray(valid, bool).reshape(-1)
    a, b = a[:, kept], b[:, kept] / lengths[kept]
    size = np.linalg.norm(a, axis=0)
    a = np.divide(a, size, out=np.zeros_like(a), where=size > 0)
    # Rounding may bring a cosine above 1
    return np.asarray(np.degrees(np.arccos(np.clip((a * b).sum(0), -1, 1))))


def tally(degrees: Floats) -> Floats:
    """A picture's row of sums: pixels, angles, squared angles, pixels within each bar, and a histogram."""
    # 180 degrees belong to the last bin
    counts = np.bincount(np.minimum((degrees * (BINS / 180)).astype(np.int64), BINS - 1), minlength=BINS)
    within = [float((degrees < bar).sum()) for bar in WITHIN]
    return np.concatenate([[len(degrees), degrees.sum(), np.square(degrees).sum(), *within], counts])


def figures_of(sums: Floats) -> dict[str, Floats]:
    """Each of :data:`METRICS` for rows of sums (…, columns): (…); NaN without a pixel. The median to 0.02 degrees."""
    count = sums[..., 0]
    with np.errstate(divide="ignore", invalid="ignore"):
        mean, square = sums[..., 1] / count, sums[..., 2] / count
        shares = [sums[..., 3 + k] / count for k in range(len(WITHIN))]
    return dict(zip(METRICS, [mean, _median(sums[..., _HEAD:]), np.sqrt(square), *shares], strict=True))


def drawn_figures(rows: Floats, draws: int, seed: int) -> dict[str, Floats]:
    """Each of :data:`METRICS` for as many draws of pictures with replacement, from their rows (see :func:`tally`):
    (draws,)."""
    weights = resample(len(rows), draws, seed)
    # In parts: a row of sums has 9,000 columns.
    parts = [figures_of(weights[k : k + 200].astype(np.float64) @ rows) for k in range(0, draws, 200)]
    return {metric: np.concatenate([part[metric] for part in parts]) for metric in METRICS}


def _median(counts: Floats) -> Floats:
    flat = counts.reshape(-1, BINS)
    below = np.cumsum(flat, axis=1)
    half = below[:, -1:] / 2
    # The bin in which half of the pixels is reached.
    place = (below < half).sum(1).clip(0, BINS - 1)
    row = np.arange(len(flat))
    inside = flat[row, place]
    before = below[row, place] - inside
    share = np.divide(half[:, 0] - before, inside, out=np.full(len(flat), np.nan), where=inside > 0)
    return np.asarray(((place + share) * (180 / BINS)).reshape(counts.shape[:-1]))
