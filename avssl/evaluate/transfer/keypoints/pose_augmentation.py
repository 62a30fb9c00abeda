"""Views of people for the network: the square around each, in training rotated, scaled, shifted and flipped.

The square is cut out once with a margin (``canvas``); views are taken from there on the device. What lies beyond the
picture has the mean colour of natural pictures.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor, nn

from avssl.evaluate.transfer.keypoints.people import Indices, People
from avssl.media.decoding.images import read_image
from avssl.networks.config import MEAN

# The most that cut-out people may take in memory; beyond that each is read again when it is shown
KEPT_BYTES = 2**30

BEYOND = tuple(round(255 * value) for value in MEAN)


@dataclass(frozen=True)
class PoseAugmentation:
    """How views differ in training."""

    turn: float = 30.0  # degrees either way
    zoom: tuple[float, float] = (0.8, 1.25)  # smallest and largest side of a view, in sides of the square
    shift: float = 0.08  # how far a view may lie off the square, in its sides, each way
    flip: bool = True  # mirror half of the views, and exchange left and right


class PoseInputs:
    """Views of people, of ``side`` pixels.

    Raises:
        MediaError: when a picture cannot be read.
    """

    def __init__(self, people: People, side: int, changes: PoseAugmentation | None = None) -> None:
        self.people, self.side = people, side
        self.changes = changes or PoseAugmentation()
        # Views that reach farther see the border of the canvas repeated.
        self.margin = side // 4
        self._kept: dict[int, NDArray[np.uint8]] = {}
        self._room = KEPT_BYTES // (3 * (side + 2 * self.margin) ** 2)
        self._picture = lru_cache(maxsize=4)(read_image)  # people of one picture mostly come together

    def evaluation(self, items: Indices) -> Tensor:
        """The square of each person: uint8 (items, 3, side, side)."""
        inner = slice(self.margin, self.margin + self.side)
        return torch.from_numpy(np.stack([self.canvas(int(i))[:, inner, inner] for i in items]))

    def training(
        self, items: Indices, rng: np.random.Generator, device: torch.device | str = "cpu"
    ) -> tuple[Tensor, Tensor]:
        """A random view of each person, float 0..1 (items, 3, side, side), and its joints in it, shares 0..1 of the
        view (items, joints, 2), NaN where they are not annotated."""
        count = len(items)
        matrix, shift, mirrored = self._drawn(count, rng)
        reach = (self.side + 2 * self.margin) / self.side
        canvases = torch.from_numpy(np.stack([self.canvas(int(i)) for i in items])).to(device).float() / 255
        theta = np.concatenate([matrix, shift[..., None]], axis=2) / reach
        size = [count, 3, self.side, self.side]
        grid = nn.functional.affine_grid(torch.from_numpy(theta).float().to(device), size, align_corners=False)
        frames = nn.functional.grid_sample(canvases, grid, padding_mode="border", align_corners=False)
        # A point of the view o is the point matrix @ o + shift of the square, both −1..1 from edge to edge.
        placed = 2 * self.people.in_box[items] - 1 - shift[:, None]
        joints = (np.einsum("nij,nkj->nki", np.linalg.inv(matrix), placed) + 1) / 2
        joints[mirrored] = joints[mirrored][:, self.people.skeleton.mirrored]
        return frames, torch.from_numpy(joints).float().to(device)

    def canvas(self, item: int) -> NDArray[np.uint8]:
        """The square of a person with a margin on each side: uint8 (3, side + 2 margin, side + 2 margin)."""
        found = self._kept.get(item)
        if found is None:
            picture = self._picture(self.people.pictures[item])
            share = self.margin / self.side
            left, top, size = self.people.boxes[item]
            found = cut_beyond(
                picture, (left - share * size, top - share * size), (1 + 2 * share) * size, self.side + 2 * self.margin
            )
            if len(self._kept) < self._room:
                self._kept[item] = found
        return found

    def _drawn(
        self, count: int, rng: np.random.Generator
    ) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.bool_]]:
        """Matrices (count, 2, 2), shifts (count, 2) and which are mirrored, (count,)."""
        changes = self.changes
        angles = np.deg2rad(rng.uniform(-changes.turn, changes.turn, count))
        smallest, largest = changes.zoom
        # Even on a logarithmic scale: as often smaller as larger.
        zoom = smallest * (largest / smallest) ** rng.uniform(0, 1, count)
        shift = 2 * rng.uniform(-changes.shift, changes.shift, (count, 2))
        mirrored = rng.integers(2, size=count).astype(bool) & changes.flip
        sine, cosine = np.sin(angles), np.cos(angles)
        turned = np.stack([np.stack([cosine, -sine], 1), np.stack([sine, cosine], 1)], 1)
        # The x of a mirrored view runs the other way.
        turned[:, :, 0] *= np.where(mirrored, -1, 1)[:, None]
        return turned * zoom[:, None, None], shift, mirrored


def cut_beyond(picture: NDArray[np.uint8], corner: Sequence[float], size: float, side: int) -> NDArray[np.uint8]:
    """A square of a picture that may reach beyond it, scaled with antialiasing: uint8 (3, side, side).

    ``corner`` (left, upper edge) and ``size`` are in pixels from the edge of the picture (3, h, w).
    """
    _, height, width = picture.shape
    first = np.floor(corner).astype(int) - 1
    last = np.ceil(np.asarray(corner) + size).astype(int) + 1
    piece = np.empty((last[1] - first[1], last[0] - first[0], 3), np.uint8)
    piece[:] = BEYOND
    left, top = np.clip(first, 0, (width, height))
    right, bottom = np.clip(last, 0, (width, height))
    part = picture[:, top:bottom, left:right].transpose(1, 2, 0)
    piece[top - first[1] : bottom - first[1], left - first[0] : right - first[0]] = part
    box = (corner[0] - first[0], corner[1] - first[1], corner[0] - first[0] + size, corner[1] - first[1] + size)
    scaled = Image.fromarray(piece).resize((side, side), Image.Resampling.BILINEAR, box=box)
    return np.ascontiguousarray(np.asarray(scaled).transpose(2, 0, 1))
