"""The metrics of localization again, pixel by pixel in plain Python, written from the formulas alone."""

from __future__ import annotations

import itertools
import math


def ranked(m):
    return sorted(v for row in m for v in row)


def select(m, keep):
    return {(y, x) for y, row in enumerate(m) for x, v in enumerate(row) if keep(v)}


def half(m):
    s = ranked(m)
    return select(m, lambda v: v >= s[len(s) // 2])


def half_strict(m):
    s = ranked(m)
    return select(m, lambda v: v > s[len(s) // 2])


def adaptive(m, g):
    s = ranked(m)
    k = sum(v > 0 for row in g for v in row) or len(s) // 2
    return select(m, lambda v: v > s[len(s) - k])


def topk(m, k):
    cells = [(-v, y, x) for y, row in enumerate(m) for x, v in enumerate(row)]
    return {(y, x) for _, y, x in sorted(cells)[:k]}


def ciou(chosen, g):
    inside = sum(g[y][x] for y, x in chosen)
    outside = sum(1 for y, x in chosen if g[y][x] == 0)
    whole = sum(v for row in g for v in row) + outside
    return inside / whole if whole else 0.0


def pointing(m, g):
    if not any(v > 0 for row in g for v in row):
        return None
    best = max(v for row in m for v in row)
    y, x = next((y, x) for y, row in enumerate(m) for x, v in enumerate(row) if v == best)
    return g[int((y + 0.5) * len(g) / len(m))][int((x + 0.5) * len(g[0]) / len(m[0]))] > 0


def auc(values):
    shares = [sum(v >= j / 20 for v in values) / len(values) for j in range(21)]
    return sum((a + b) / 2 * 0.05 for a, b in itertools.pairwise(shares))


def bilinear(m, side, corners):
    """Plain bilinear upsampling with half-pixel centres, or with the corners' centres aligned."""
    h, w = len(m), len(m[0])

    def places(n):
        for i in range(side):
            at = i * (n - 1) / (side - 1) if corners else (i + 0.5) * n / side - 0.5
            at = min(max(at, 0.0), n - 1.0)
            low = min(math.floor(at), n - 1)
            yield low, min(low + 1, n - 1), at - low

    return [
        [(m[a][c] * (1 - v) + m[a][d] * v) * (1 - u) + (m[b][c] * (1 - v) + m[b][d] * v) * u for c, d, v in places(w)]
        for a, b, u in places(h)
    ]
