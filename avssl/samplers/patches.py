"""Patches of a picture: a grid of them with gaps and jitter, and the tiles of a jigsaw."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from PIL import Image

# (rows down, columns right) of the eight places around a patch, row by row: class k lies at ``NEIGHBOURS[k]``.
NEIGHBOURS = ((-1, -1), (-1, 0), (-1, 1), (0, -1), (0, 1), (1, -1), (1, 0), (1, 1))


@dataclass(frozen=True)
class GridRule:
    """How patches are laid (Doersch, Gupta & Efros 2015)."""

    patch: int  # pixels of a patch's side
    gap: int  # pixels between neighbours; published: half a patch
    jitter: int  # pixels that each patch is moved by at most, up or down and left or right; published: 7 of 96
    most: int = 3  # rows and columns at most

    def side(self, count: int) -> int:
        """Pixels that ``count`` patches in a row take at most."""
        return count * self.patch + (count - 1) * self.gap + 2 * self.jitter

    def fitting(self, length: int) -> int:
        """How many patches in a row fit into so many pixels, ``most`` at most."""
        return min((length - 2 * self.jitter + self.gap) // (self.patch + self.gap), self.most)


class Grid(NamedTuple):
    """Patches of one picture, row by row."""

    corners: NDArray[np.int64]  # (rows · columns, 2) top and left of each, in pixels
    # Of the grid.
    rows: int
    columns: int


def lay_grid(rng: np.random.Generator, height: int, width: int, rule: GridRule) -> Grid:
    """As many patches as fit, from an origin anywhere, each jittered on its own."""
    rows, columns = rule.fitting(height), rule.fitting(width)
    if min(rows, columns) < 1 or rows * columns < 2:
        raise ValueError(f"no two patches fit into {height} × {width} pixels; they need {rule.side(2)} a side")
    top = int(rng.integers(height - rule.side(rows) + 1))
    left = int(rng.integers(width - rule.side(columns) + 1))
    step = rule.patch + rule.gap
    places = np.stack(np.meshgrid(np.arange(rows), np.arange(columns), indexing="ij"), axis=-1).reshape(-1, 2)
    # 0 to 2 · jitter from the grid's own corner is ± jitter about one that lies so much further in.
    jitter = rng.integers(0, 2 * rule.jitter + 1, size=places.shape)
    return Grid(np.array([top, left]) + places * step + jitter, rows, columns)


def neighbour_pairs(rows: int, columns: int) -> NDArray[np.int64]:
    """Every pair of neighbours of a grid in both orders: (n, 3) index of the first, of the second, and the class."""
    found = []
    for row in range(rows):
        for column in range(columns):
            for label, (down, right) in enumerate(NEIGHBOURS):
                other = row + down, column + right
                if 0 <= other[0] < rows and 0 <= other[1] < columns:
                    found.append((row * columns + column, other[0] * columns + other[1], label))
    return np.array(found, np.int64).reshape(-1, 3)


def of_each_class(rng: np.random.Generator, pairs: NDArray[np.int64]) -> NDArray[np.int64]:
    """As many pairs (n, 3) of each class as of the rarest: a grid has more straight pairs than diagonal ones."""
    shuffled = pairs[rng.permutation(len(pairs))]
    counts = np.bincount(pairs[:, 2])
    least = counts[counts > 0].min()
    return np.concatenate([shuffled[shuffled[:, 2] == label][:least] for label in np.unique(pairs[:, 2])])


def cut_patches(picture: NDArray[np.uint8], corners: NDArray[np.int64], patch: int) -> NDArray[np.uint8]:
    """The patches of a picture (3, h, w) at these corners: (n, 3, patch, patch)."""
    return np.stack([picture[:, top : top + patch, left : left + patch] for top, left in corners.tolist()])


def coarsened(patch: NDArray[np.uint8], side: int) -> NDArray[np.uint8]:
    """A patch (3, p, p) scaled down to ``side`` pixels and up again, which removes finer detail."""
    image = Image.fromarray(np.ascontiguousarray(patch.transpose(1, 2, 0)))
    small = image.resize((side, side), Image.Resampling.BILINEAR)
    return np.asarray(small.resize(image.size, Image.Resampling.BILINEAR)).transpose(2, 0, 1)


@dataclass(frozen=True)
class TileRule:
    """How a square is cut into the tiles of a jigsaw (Noroozi & Favaro 2016)."""

    grid: int  # tiles a side
    cell: int  # pixels of a cell; the square has ``grid * cell`` a side
    tile: int  # pixels of a tile, which lies anywhere in its cell; published: 64 in cells of 75
    # Pixels by which each colour channel of a tile is moved at most, down and right. It takes of the slack: a tile and
    # its channels stay in the cell, in all cells alike; otherwise the misalignment of channels would give the place
    # away.
    channel_jitter: int = 0
    centred: bool = False  # put each tile in the middle of its cell instead; edges then continue at a constant distance

    @property
    def room(self) -> int:
        """The farthest that a tile may lie from its cell's top and left; less than 0: it does not fit."""
        return self.cell - self.tile - self.channel_jitter


def cut_tiles(
    rng: np.random.Generator, square: NDArray[np.uint8], rule: TileRule
) -> tuple[NDArray[np.uint8], NDArray[np.int64]]:
    """The tiles of a square, row by row, and their corners: (n, 3, tile, tile) and (n, 2) top and left.

    Raises:
        ValueError: as :func:`lay_tiles`.
    """
    corners, moves = lay_tiles(rng, rule)
    if not rule.channel_jitter:
        return cut_patches(square, corners, rule.tile), corners
    tiles = np.empty((len(corners), 3, rule.tile, rule.tile), np.uint8)
    for number, channel in np.ndindex(tiles.shape[:2]):
        top, left = corners[number] + moves[number, channel]
        tiles[number, channel] = square[channel, top : top + rule.tile, left : left + rule.tile]
    return tiles, corners


def lay_tiles(rng: np.random.Generator, rule: TileRule) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Where tiles lie in a square, row by row: (n, 2) top and left, and (n, 3, 2) what each channel is moved by.

    Raises:
        ValueError: tiles and the moves of their channels do not fit into the cells.
    """
    if rule.room < 0:
        raise ValueError(f"tiles of {rule.tile} moved by {rule.channel_jitter} do not fit into cells of {rule.cell}")
    places = np.stack(np.meshgrid(np.arange(rule.grid), np.arange(rule.grid), indexing="ij"), axis=-1).reshape(-1, 2)
    jitter = rng.integers(0, rule.room + 1, size=places.shape)  # drawn if centred, too: later draws stay the same
    corners = places * rule.cell + (rule.room // 2 if rule.centred else jitter)
    if not rule.channel_jitter:
        return corners, np.zeros((len(corners), 3, 2), np.int64)
    # Positions, not values, as in the authors' code: misaligned channels are what a lens leaves.
    return corners, rng.integers(0, rule.channel_jitter + 1, size=(len(corners), 3, 2))
