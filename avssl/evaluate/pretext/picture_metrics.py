"""Metrics of predicted pictures and colours as pure functions of arrays."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

Floats = NDArray[np.floating]

# Wang, Bovik, Sheikh & Simoncelli, Image quality assessment: from error visibility to structural similarity (2004): a
# Gaussian window of 11 pixels, and constants that keep quotients of small values in bounds.
_SSIM_SIGMA, _SSIM_RADIUS = 1.5, 5
_SSIM_MEANS, _SSIM_SPREADS = (0.01 * 255) ** 2, (0.03 * 255) ** 2


def psnr(predicted: ArrayLike, truth: ArrayLike, hole: NDArray[np.bool_]) -> float:
    """Peak signal to noise ratio of a hole in dB: of pictures (3, h, w) on 0..255, where ``hole`` (h, w) is True.

    100 dB at the most, so that a perfect fill does not swallow a mean.
    """
    error = float(np.square(np.asarray(predicted, np.float64) - np.asarray(truth, np.float64))[:, hole].mean())
    return min(100.0, 10 * float(np.log10(255.0**2 / error))) if error else 100.0


def ssim(predicted: ArrayLike, truth: ArrayLike) -> float:
    """Structural similarity of two pictures (3, h, w) on 0..255, h and w at least 11: at most 1.

    Means, variances and covariance under a Gaussian window; mean over all windows that lie within the picture, and over
    the channels (Wang et al. 2004, who have one channel).
    """
    from scipy.ndimage import gaussian_filter  # slow to import

    x, y = np.asarray(predicted, np.float64), np.asarray(truth, np.float64)

    def smooth(values: NDArray[np.float64]) -> NDArray[np.float64]:
        found: NDArray[np.float64] = gaussian_filter(
            values, (0, _SSIM_SIGMA, _SSIM_SIGMA), radius=(0, _SSIM_RADIUS, _SSIM_RADIUS)
        )
        return found[:, _SSIM_RADIUS:-_SSIM_RADIUS, _SSIM_RADIUS:-_SSIM_RADIUS]

    mean_x, mean_y = smooth(x), smooth(y)
    var_x, var_y = smooth(x * x) - mean_x**2, smooth(y * y) - mean_y**2
    covariance = smooth(x * y) - mean_x * mean_y
    means = (2 * mean_x * mean_y + _SSIM_MEANS) / (mean_x**2 + mean_y**2 + _SSIM_MEANS)
    spreads = (2 * covariance + _SSIM_SPREADS) / (var_x + var_y + _SSIM_SPREADS)
    return float((means * spreads).mean())


def squared_ab_error(predicted: Floats, truth: Floats) -> NDArray[np.float64]:
    """Squared error of a and b, mean over both and over the pixels of each picture: (N,) of two (N, 2, h, w).

    The root of its mean over pictures is ``ab-rmse``, in Lab units.
    """
    difference = np.asarray(predicted, np.float64) - np.asarray(truth, np.float64)
    mean: NDArray[np.float64] = np.square(difference).mean(axis=(1, 2, 3))
    return mean


def colorfulness(rgb: Floats) -> NDArray[np.float64]:
    """How colourful each picture is: Hasler & Süsstrunk, Measuring colourfulness in natural images (2003), M3.

    Args:
        rgb: (N, 3, h, w), 0..255.

    Returns:
        (N,): σ + 0.3 μ of rg = R − G and yb = (R + G) / 2 − B. 0 is grey; the authors call 15 slightly, 33
        moderately, 59 quite and 109 extremely colourful.
    """
    red, green, blue = np.moveaxis(np.asarray(rgb, np.float64), 1, 0)
    opponents = red - green, (red + green) / 2 - blue
    spread = np.sqrt(sum(o.var(axis=(1, 2)) for o in opponents))
    centre = np.sqrt(sum(np.square(o.mean(axis=(1, 2))) for o in opponents))
    result: NDArray[np.float64] = spread + 0.3 * centre
    return result


def bin_counts(
    predicted: NDArray[np.int64], truth: NDArray[np.int64], bins: int
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Of each picture, by true bin: how many pixels are predicted right, and how many there are: (N, bins) each.

    Args:
        predicted, truth: (N, h, w) bin numbers.
    """
    # One count over all pictures, in which each has bins of its own
    offset = np.arange(len(truth))[:, None] * bins
    flat = truth.reshape(len(truth), -1)
    right = predicted.reshape(len(predicted), -1) == flat
    shape = (len(truth), bins)
    total = np.bincount((flat + offset).ravel(), minlength=shape[0] * bins).reshape(shape)
    correct = np.bincount((flat + offset).ravel(), right.ravel().astype(float), shape[0] * bins).reshape(shape)
    return correct.astype(np.float64), total.astype(np.float64)


def balanced_accuracy(correct: Floats, total: Floats, occurring: int | None = None) -> NDArray[np.float64]:
    """The mean over the bins that occur of the share of their pixels predicted right: (m,) of sums (m, bins).

    Args:
        occurring: how many bins do, where ``total`` is of a sample in which a rare one may be missing: it counts as
            wrong there, so that the constant answer scores the same in all samples.
    """
    occurs = total > 0
    shares = np.where(occurs, correct / np.where(occurs, total, 1), 0.0)
    mean: NDArray[np.float64] = shares.sum(1) / (occurs.sum(1) if occurring is None else occurring)
    return mean
