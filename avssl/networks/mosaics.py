"""Four pictures of a batch in one, and a part of that: things beside others, smaller than in their own video."""

from __future__ import annotations

import torch
from torch import Tensor, nn

# Four in a mosaic: a picture and three beside it
SIZE = 4


def companions(count: int) -> Tensor:
    """Which pictures of a batch lie beside each in its mosaic: indices (count, 3).

    The others of its four: puzzles 0 to 3, 4 to 7, …, so that a batch which several processes share has the mosaics of
    one process where each has a multiple of four. What is left over is beside others of the last four.
    """
    index = torch.arange(count)
    size = min(SIZE, count)
    start = torch.minimum(index - index % SIZE, torch.tensor(count - size))
    return torch.stack([start + (index - start + step) % size for step in range(1, SIZE)], 1)


def mosaics(frames: Tensor, places: Tensor) -> Tensor:
    """Pictures (N, K, 3, H, W), some of them in a mosaic with three of their batch (see :func:`companions`).

    Each has a quarter; of the four a square is cut that begins in the corner of the picture's own quarter.

    Args:
        frames: 0..1, as floats.
        places: (N, 3): row and column (0 or 1) of the own quarter, and the side of the square as a share of the
            mosaic's, ½ to 1; 0 leaves the picture as it is.
    """
    n, k, _, height, width = frames.shape
    small = nn.functional.adaptive_avg_pool2d(frames.flatten(0, 1), (height // 2, width // 2))
    tiles = small.reshape(n, k, *small.shape[1:])
    beside = companions(n).to(frames.device).unbind(1)
    rolled = torch.stack([tiles, *(tiles[others] for others in beside)])
    own = (2 * places[:, 0] + places[:, 1]).long()
    row = torch.arange(n, device=frames.device)
    quarters = [rolled[(cell - own) % 4, row] for cell in range(4)]
    whole = torch.cat([torch.cat(quarters[:2], -1), torch.cat(quarters[2:], -1)], -2).flatten(0, 1)
    corner, share = 2 * places[:, :2] - 1, places[:, 2]
    # As affine_grid has them: x before y, the mosaic's sides at -1 and 1.
    zeros, shift = torch.zeros_like(share), corner * (1 - share)[:, None]
    theta = torch.stack([share, zeros, shift[:, 1], zeros, share, shift[:, 0]], 1).view(n, 2, 3)
    grid = nn.functional.affine_grid(theta.repeat_interleave(k, 0), [n * k, 3, height, width], align_corners=False)
    # Within the mosaic a reflection is what a border is, which MPS does not know.
    cut = nn.functional.grid_sample(whole, grid, padding_mode="reflection", align_corners=False)
    return torch.where(share.view(-1, 1, 1, 1, 1) > 0, cut.reshape(frames.shape), frames)
