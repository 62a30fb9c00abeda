"""Cropping stored pictures on the device: JPEGs decoded, crops scaled with antialiasing and flipped.

A square is ``rows @ picture @ columns.T``: each of its rows is a weighted sum of some of the picture's, each column
likewise, with the weights that the host scales by (Pillow's triangle). So pictures of one batch may have any size,
crops any place, and a batch takes two batched products of matrices.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

from avssl.errors import UserError

# Pixels that are computed with together: 256 MB as float32.
FLOATS_AT_ONCE = 1 << 26


class Jpegs(NamedTuple):
    """The bytes of pictures one after the other, uint8 (bytes,), and how many each has, int64 (P,). On the host."""

    data: Tensor
    lengths: Tensor


class Views(NamedTuple):
    """Squares that are to be cut."""

    pictures: Tensor | Jpegs  # uint8 (P, h, w, 3 or 4), RGB, smaller ones in the top left corner; or JPEGs
    picture: Tensor  # int64 (N,) the picture of each square
    # Float32 (N, 8): top and left, pixels of the picture from one of the square to the next (down, right), 1 to mirror
    # it, pixels a side to scale it down to and up again (0: not), height and width of the picture.
    places: Tensor
    side: int  # pixels of the squares
    coarsens: bool = False  # whether any square is scaled down and up again

    def to(self, device: torch.device) -> Views:
        """On the device, but for JPEGs, which are decoded from the host's memory."""
        pictures = self.pictures
        if isinstance(pictures, Tensor):
            pictures = pictures.to(device, non_blocking=True)
        return self._replace(
            pictures=pictures,
            picture=self.picture.to(device, non_blocking=True),
            places=self.places.to(device, non_blocking=True),
        )


@torch.no_grad()
def cut_views(views: Views) -> Tensor:
    """The squares, uint8 (N, 3, side, side), on the device of ``views.places``; within 2 levels of those of the host.

    Raises:
        UserError: a JPEG cannot be decoded.
    """
    pictures, places = views.pictures, views.places
    if not isinstance(pictures, Tensor):
        pictures = _in_one(decoded(pictures, places.device))
    squares = places.new_empty((len(places), 3, views.side, views.side), dtype=torch.uint8)
    count = max(1, FLOATS_AT_ONCE // pictures[0].numel())
    for first in range(0, len(places), count):
        some = slice(first, first + count)
        squares[some] = _cut(pictures[views.picture[some]], places[some], views.side, views.coarsens)
    return squares


def decoded(jpegs: Jpegs, device: torch.device) -> list[Tensor]:
    """Each JPEG as uint8 (3, h, w), RGB; on a CUDA device by nvJPEG, all at once.

    Raises:
        UserError: one cannot be decoded, or this torchvision has no decoder for this device.
    """
    try:
        from torchvision.io import ImageReadMode, decode_jpeg
    except ImportError as error:  # deprecated since 0.29
        raise UserError("this torchvision decodes no JPEGs any more; give --augment host") from error
    parts = list(torch.split(jpegs.data, jpegs.lengths.tolist()))
    if device.type == "cuda":
        # It writes on a stream of its own, into memory in which work queued on this one may still read.
        torch.cuda.current_stream(device).synchronize()
    try:
        found: list[Tensor] = decode_jpeg(parts, mode=ImageReadMode.RGB, device=device)
    except RuntimeError as error:
        reason = str(error).partition("\n")[0]
        raise UserError(f"torchvision decodes no JPEGs on {device.type} ({reason}); give --augment host") from error
    return [picture.to(device) for picture in found]  # only CUDA decodes by itself


def axis_weights(start: Tensor, step: Tensor, length: Tensor, pixels: int, side: int) -> Tensor:
    """What each pixel of a square takes of each pixel of a picture along one axis: (N, side, pixels), rows sum to 1.

    A triangle over two pixels, wider where the square is smaller, cut off at the picture's border: the weights of
    Pillow's ``precompute_coeffs`` and of :mod:`avssl.samplers.resampling`, which round them to 22 bits.

    Args:
        start, step: (N,) where the square begins, and pixels of the picture from one of its pixels to the next.
        length: (N,) pixels of the picture; at most ``pixels``.
    """
    at = torch.arange(pixels, device=start.device) + 0.5
    centres = start[:, None] + (torch.arange(side, device=start.device) + 0.5) * step[:, None]
    support = step.clamp(min=1)[:, None, None]
    weights = (1 - (at - centres[..., None]).abs() / support).clamp(min=0)
    weights = weights.masked_fill(at > length[:, None, None], 0)
    return weights / weights.sum(2, keepdim=True).clamp(min=1e-6)


def _cut(pictures: Tensor, places: Tensor, side: int, coarsens: bool) -> Tensor:
    n, height, width, channels = pictures.shape
    top, left, down, right, flip, coarse, lower, farther = places.unbind(1)
    rows = axis_weights(top, down, lower, height, side)
    columns = axis_weights(left, right, farther, width, side)
    columns = torch.where(flip[:, None, None] > 0, columns.flip(1), columns)
    if coarsens:
        again = _coarsening(torch.where(coarse > 0, coarse, float(side)), side)
        rows, columns = again @ rows, again @ columns
    # Rounded between the axes as the host does; whole levels are exact in TF32, too.
    lines = (rows @ pictures.float().reshape(n, height, width * channels)).round()
    lines = lines.view(n, side, width, channels)[..., :3].permute(0, 3, 1, 2).reshape(n, 3 * side, width)
    return (lines @ columns.mT).round().clamp(0, 255).to(torch.uint8).view(n, 3, side, side)


def _coarsening(coarse: Tensor, side: int) -> Tensor:
    """Along one axis: scaled down to ``coarse`` (N,) pixels, and up to ``side`` again, (N, side, side)."""
    nothing, whole = torch.zeros_like(coarse), torch.full_like(coarse, side)
    smaller = axis_weights(nothing, side / coarse, whole, side, side)
    return axis_weights(nothing, coarse / side, coarse, side, side) @ smaller


def _in_one(pictures: list[Tensor]) -> Tensor:
    """Pictures (3, h, w) of any sizes as (P, h, w, 3), smaller ones in the top left corner."""
    height, width = (max(picture.shape[axis] for picture in pictures) for axis in (1, 2))
    if all(picture.shape[1:] == (height, width) for picture in pictures):
        return torch.stack(pictures).permute(0, 2, 3, 1)
    padded = pictures[0].new_zeros((len(pictures), 3, height, width))
    for place, picture in zip(padded, pictures, strict=True):
        place[:, : picture.shape[1], : picture.shape[2]] = picture
    return padded.permute(0, 2, 3, 1)
