"""Operations on whole batches of squares on the device, uint8 in and out, equal to those of the samplers."""

from __future__ import annotations

import torch
from torch import Tensor


def relit(squares: Tensor, brightness: Tensor, contrast: Tensor) -> Tensor:
    """Squares (N, 3, s, s), contrast (N,) multiplied around their mean, then lighter by a share (N,) of white."""
    pixels = squares.float()
    middle = pixels.mean((1, 2, 3), keepdim=True)
    lit = (pixels - middle) * contrast.view(-1, 1, 1, 1) + (middle + 255 * brightness.view(-1, 1, 1, 1))
    return lit.clamp(0, 255).round().to(torch.uint8)


def moved(squares: Tensor, moves: Tensor) -> Tensor:
    """Squares (N, 3, s, s) moved by pixels, int64 (N, 2) down and right, black where they have left."""
    count, _, side, _ = squares.shape
    source = torch.arange(side, device=squares.device) - moves[:, :, None]
    within = (source >= 0) & (source < side)
    rows, columns = source.clamp(0, side - 1).unbind(1)
    inside = within[:, 0, :, None] & within[:, 1, None, :]
    number = torch.arange(count, device=squares.device)
    # Indices on both sides of the slice: the channels come last.
    found = squares[number[:, None, None], :, rows[:, :, None], columns[:, None, :]].permute(0, 3, 1, 2)
    return found * inside[:, None]


def turned(squares: Tensor, quarters: Tensor) -> Tensor:
    """Each square (N, 3, s, s) turned counter-clockwise by some quarters, int64 (N, V): (N, V, 3, s, s)."""
    all_four = torch.stack([squares.rot90(quarter, (-2, -1)) for quarter in range(4)], 1)
    number = torch.arange(len(squares), device=squares.device)
    return all_four[number[:, None], quarters]


def tiles_at(squares: Tensor, square: Tensor, corners: Tensor, tile: int) -> Tensor:
    """Tiles (P, 3, tile, tile) of squares (N, 3, s, s).

    Args:
        square: int64 (P,) which square each tile is of.
        corners: int64 (P, 3, 2) top and left of each of its channels.
    """
    along = torch.arange(tile, device=squares.device)
    rows, columns = (corners[:, :, axis, None] + along for axis in (0, 1))
    channel = torch.arange(3, device=squares.device)[:, None, None]
    return squares[square[:, None, None, None], channel, rows[..., :, None], columns[..., None, :]]
