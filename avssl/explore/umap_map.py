"""All moments in two dimensions by UMAP, where that is installed."""

from __future__ import annotations

import importlib.util

import numpy as np
from numpy.typing import NDArray


def has_umap() -> bool:
    """Whether umap-learn is installed."""
    return importlib.util.find_spec("umap") is not None


def umap_of(vectors: NDArray[np.float32], having: NDArray[np.bool_]) -> NDArray[np.float32]:
    """(rows, 2), NaN where a row has no vector.

    Args:
        vectors: (rows, dimensions).
        having: bool (rows,), which of them have one.
    """
    from umap import UMAP

    found = np.full((len(vectors), 2), np.nan, "<f4")
    if having.sum() > 2:
        # With a fixed state it is the same map each time, in one thread.
        found[having] = UMAP(metric="cosine", random_state=0, n_jobs=1).fit_transform(vectors[having])
    return found
