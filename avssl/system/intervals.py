"""The confidence interval of a proportion."""

from __future__ import annotations

import math

Z95 = 1.959964  # 97.5 % of the normal distribution


def wilson_share(p: float, n: float, z: float = Z95) -> tuple[float, float]:
    """The interval of a share ``p`` of ``n`` (Wilson, Probable inference, JASA 22, 1927): (low, high) in 0..1.

    Args:
        n: more than 0; an effective number need not be whole.
        z: quantile of the normal distribution; by default that of 95 %.
    """
    z2 = z * z
    centre = (p + z2 / (2 * n)) / (1 + z2 / n)
    half = z / (1 + z2 / n) * math.sqrt(p * (1 - p) / n + z2 / (4 * n * n))
    return max(0.0, centre - half), min(1.0, centre + half)
