"""Shared by the tasks on patches: colours without shortcuts, batches, network and its input."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from avssl.networks.config import Normalise
from avssl.networks.photometry import GREY, KEEP, PROJECTION, fed_patches, keep_channel
from avssl.networks.puzzles import PatchNetwork
from avssl.samplers.views import View
from avssl.tasks.base import Batch
from avssl.tasks.common_options import Colours
from avssl.tasks.images import ClassTask, vision_of


@dataclass(frozen=True, slots=True)
class PatchPuzzle:
    """Patches of one picture, and the puzzles that are made of them."""

    patches: NDArray[np.uint8]  # uint8 (P, 3, p, p); of a jigsaw its tiles, row by row as they lie in the picture
    colours: NDArray[np.float32]  # (P, 3, 3) the colour matrix that each patch's pixels are multiplied by
    # Int8 as the patches, in dropped channels, ±127 for ±half a grey level; None: no channel is dropped.
    noise: NDArray[np.int8] | None
    # (M, patches of a puzzle) indices of its patches in order: place k shows ``chosen[m, k]``.
    chosen: NDArray[np.int64]
    labels: NDArray[np.int64]  # (M,) the class of each puzzle
    # Uint8 (3, h, w) that they are cut from, and ``corners`` (P, 2) top and left of each; for the sheet.
    picture: NDArray[np.uint8]
    corners: NDArray[np.int64]
    name: str
    source: str
    seconds: float
    # Where cutting is left to the device (then ``patches`` and ``picture`` are empty) those of the patches; of a jigsaw
    # of the square that its tiles lie in, and ``tiles`` (P, 3, 2) top and left of their channels.
    views: tuple[View, ...] = ()
    tiles: NDArray[np.int64] | None = None


def draw_colours(rng: np.random.Generator, count: int, kind: Colours) -> NDArray[np.float32]:
    """A matrix (count, 3, 3) for each patch; which channel is kept is drawn for each patch."""
    if kind == "drop":
        return np.stack([keep_channel(int(channel)) for channel in rng.integers(3, size=count)])
    matrix = {"project": PROJECTION, "grey": GREY, "keep": KEEP}[kind]
    return np.repeat(matrix[None], count, axis=0)


def draw_noise(rng: np.random.Generator, colours: NDArray[np.float32], side: int) -> NDArray[np.int8]:
    """Noise (P, 3, side, side) for the channels that these matrices put to 0; 0 in the others."""
    # int8 in the loader: a quarter of the memory of floats on the way to the device.
    noise = rng.integers(-127, 128, size=(len(colours), 3, side, side), dtype=np.int8)
    # Channels that a matrix keeps have a row that is not 0.
    noise[np.abs(colours).sum(2) > 0] = 0
    return noise


class PatchTask(ClassTask):
    """A task whose puzzles are patches of one picture, put together in some way."""

    @property
    @abstractmethod
    def normalise(self) -> Normalise:
        """What is removed of each patch before the encoder sees it."""

    def patch_network(
        self, encoders: Mapping[str, nn.Module], patches: int, classes: int, affine: bool = True
    ) -> nn.Module:
        """A :class:`PatchNetwork` as large as the task's options say."""
        options = self.options
        return PatchNetwork(
            vision_of(encoders),
            patches,
            classes,
            pool=options.pool,
            features=options.features,
            hidden=options.hidden,
            dropout=options.dropout,
            affine=affine,
        )

    def collate(self, puzzles: Sequence[PatchPuzzle]) -> Batch:
        """All patches of a batch in one tensor, and the puzzles as indices into it."""
        # Each patch once, however many puzzles it is part of: the encoder's work is by far the largest.
        firsts = np.cumsum([0, *(len(p.patches) for p in puzzles)])
        batch: Batch = {
            "patches": torch.from_numpy(np.concatenate([p.patches for p in puzzles])),
            "colours": torch.from_numpy(np.concatenate([p.colours for p in puzzles])),
            "chosen": torch.from_numpy(
                np.concatenate([p.chosen + first for p, first in zip(puzzles, firsts, strict=False)])
            ),
            "label": torch.from_numpy(np.concatenate([p.labels for p in puzzles])),
        }
        if any(p.noise is not None for p in puzzles):
            noises = [np.zeros(p.patches.shape, np.int8) if p.noise is None else p.noise for p in puzzles]
            batch["noise"] = torch.from_numpy(np.concatenate(noises))
        return batch

    def fed(self, batch: Batch) -> Tensor:
        """The patches of a batch as the encoder is fed them: float (T, 3, p, p) on the scale of pictures 0..1."""
        return fed_patches(batch["patches"], batch["colours"], batch.get("noise"), self.normalise)

    def fed_each(self, puzzles: Sequence[PatchPuzzle]) -> list[Tensor]:
        """Of each puzzle its patches as the encoder is fed them."""
        return [self.fed(self.collate([puzzle])) for puzzle in puzzles]

    def logits(self, network: nn.Module, batch: Batch) -> Tensor:
        scores: Tensor = network(self.fed(batch), batch["chosen"])
        return scores
