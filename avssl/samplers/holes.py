"""Holes in pictures: their positions, and fills that need no network."""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING, Literal

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from scipy import sparse
    from scipy.sparse import linalg

# scipy takes a moment to load and the options of a task name what is here: it is imported where it is used.

Hole = Literal["centre", "blocks", "region"]

# Pathak et al. (2016) and its code: blocks cover at most this share of the picture, regions between these two.
_BLOCKS_SHARE = 0.25
_REGION_LOW, _REGION_HIGH = 0.2, 0.3
# Cells of the noise along a side: shapes are a few cells large, and a picture holds several of them.
_REGION_CELLS = 5
# Of regions two tries in five have the share that is asked for; of blocks the first that is too much ends it.
_TRIES = 64


def draw_hole(kind: Hole, side: int, size: int, rng: np.random.Generator) -> NDArray[np.bool_]:
    """Where the hole is: bool (side, side), True within.

    Args:
        kind: "centre", one square of ``size`` pixels in the middle; "blocks", squares of about a third of the size
            anywhere, overlapping or not, up to a quarter of the picture; "region", a random shape of 20 to
            30 % of the picture.
        rng: not used by "centre".
    """
    if kind == "centre":
        return _centre(side, size)
    return _blocks(side, size, rng) if kind == "blocks" else _region(side, rng)


def grown(hole: NDArray[np.bool_], pixels: int) -> NDArray[np.bool_]:
    """The hole and all that is at most ``pixels`` beyond it, straight or diagonally."""
    if not pixels:
        return hole
    from scipy import ndimage

    wide: NDArray[np.bool_] = ndimage.binary_dilation(hole, np.ones((3, 3), bool), iterations=pixels)
    return wide


def filled_by(picture: NDArray[np.uint8], hole: NDArray[np.bool_], colour: NDArray[np.floating]) -> NDArray[np.uint8]:
    """The picture (3, h, w) with the hole in one colour, RGB 0..255."""
    out = picture.copy()
    out[:, hole] = np.clip(np.round(colour), 0, 255).astype(np.uint8)[:, None]
    return out


def filled_from_rim(picture: NDArray[np.uint8], hole: NDArray[np.bool_]) -> NDArray[np.uint8]:
    """The picture (3, h, w) with the hole filled harmonically: Laplace's equation with the rim as its boundary.

    The smoothest fill that is continuous at the rim: each pixel within is the mean of its four neighbours. The edge
    of the picture is no boundary.

    Raises:
        ValueError: there is nothing around the hole.
    """
    if hole.all():
        raise ValueError("the hole covers the whole picture; there is no rim to fill it from")
    if not hole.any():
        return picture
    # All channels share one factorisation, and with it all pictures with a hole of this shape.
    solve, coupling, rim = _laplace(hole.tobytes(), hole.shape)
    flat = picture.reshape(3, -1)
    inside = solve.solve(coupling @ flat[:, rim].T.astype(np.float64))
    out = flat.copy()
    out[:, hole.ravel()] = np.clip(np.round(inside.T), 0, 255).astype(np.uint8)
    return out.reshape(picture.shape)


def fill_weights(hole: NDArray[np.bool_]) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.float32]]:
    """What :func:`filled_from_rim` makes each pixel of the hole of.

    Returns:
        the hole's pixels (n,) and those of its rim (m,), flat, and the share of each of these in each of those, (n, m).
    """
    solve, coupling, rim = _laplace(hole.tobytes(), hole.shape)
    return np.flatnonzero(hole), rim, solve.solve(coupling.toarray()).astype(np.float32)


@lru_cache(maxsize=4)
def _laplace(hole: bytes, shape: tuple[int, int]) -> tuple[linalg.SuperLU, sparse.csr_matrix, NDArray[np.int64]]:
    """The factorised equations of a hole, how its rim enters them, and which pixels (flat) are the rim."""
    from scipy import sparse
    from scipy.sparse import linalg

    # One equation a pixel of the hole: as many times its value as it has neighbours, less those of them that are in the
    # hole, is the sum of those that are not.
    mask = np.frombuffer(hole, np.bool_).reshape(shape)
    number = np.full(mask.size, -1)
    inside = np.flatnonzero(mask)
    number[inside] = np.arange(len(inside))
    place = np.arange(mask.size).reshape(shape)
    pairs = [
        (place[1:], place[:-1]),
        (place[:-1], place[1:]),
        (place[:, 1:], place[:, :-1]),
        (place[:, :-1], place[:, 1:]),
    ]
    here = np.concatenate([a.ravel() for a, _ in pairs])
    there = np.concatenate([b.ravel() for _, b in pairs])
    here, there = here[mask.ravel()[here]], there[mask.ravel()[here]]
    known = ~mask.ravel()[there]
    rim, column = np.unique(there[known], return_inverse=True)
    size = len(inside)
    neighbours = np.bincount(number[here], minlength=size).astype(np.float64)
    joined = sparse.csc_matrix(
        (np.full((~known).sum(), -1.0), (number[here[~known]], number[there[~known]])), (size, size)
    )
    coupling = sparse.csr_matrix((np.ones(known.sum()), (number[here[known]], column)), (size, len(rim)))
    return linalg.splu((joined + sparse.diags(neighbours)).tocsc()), coupling, rim


def _centre(side: int, size: int) -> NDArray[np.bool_]:
    hole = np.zeros((side, side), bool)
    first = (side - size) // 2
    hole[first : first + size, first : first + size] = True
    return hole


def _blocks(side: int, size: int, rng: np.random.Generator) -> NDArray[np.bool_]:
    hole = np.zeros((side, side), bool)
    block = max(2, size // 3)
    for _ in range(_TRIES):
        top, left = rng.integers(0, side - block + 1, 2)
        more = hole.copy()
        more[top : top + block, left : left + block] = True
        if more.mean() > _BLOCKS_SHARE:
            break
        hole = more
    return hole


def _region(side: int, rng: np.random.Generator) -> NDArray[np.bool_]:
    """Noise on a coarse grid, enlarged smoothly and cut at its lowest quarter, until the share fits."""
    from scipy import ndimage

    for _ in range(_TRIES):
        noise = rng.uniform(size=(_REGION_CELLS, _REGION_CELLS))
        hole: NDArray[np.bool_] = (
            ndimage.zoom(noise, side / _REGION_CELLS, order=3, mode="reflect", grid_mode=True) < 0.25
        )
        if hole.shape == (side, side) and _REGION_LOW <= hole.mean() <= _REGION_HIGH:
            return hole
    return _blocks(side, side // 2, rng)
