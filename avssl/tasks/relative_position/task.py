"""Relative position: where does the second patch lie relative to the first? (Doersch, Gupta & Efros 2015)"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
from numpy.typing import NDArray
from torch import nn

from avssl.media.facts import Media
from avssl.networks.config import Normalise
from avssl.samplers.keys import Key, generator
from avssl.samplers.patches import (
    NEIGHBOURS,
    GridRule,
    coarsened,
    cut_patches,
    lay_grid,
    neighbour_pairs,
    of_each_class,
)
from avssl.samplers.stills import draw_still, resized, size_with_pixels
from avssl.samplers.views import View, patch_views
from avssl.tasks.base import Answers, Batch
from avssl.tasks.left_to_device import collect
from avssl.tasks.patches import PatchPuzzle, PatchTask, draw_colours, draw_noise
from avssl.tasks.registry import register
from avssl.tasks.relative_position.puzzle import RelativePositionOptions
from avssl.tasks.relative_position.sheet import draw_sheet

if TYPE_CHECKING:
    from PIL.Image import Image

# Of 96 × 96 = 9216 pixels a patch keeps 100 to 9025 (the authors' code).
_COARSEST, _FINEST = 100 / 9216, 9025 / 9216


@register
class RelativePosition(PatchTask):
    """The task. Classes 0 to 7: the places around the first patch, row by row."""

    name: ClassVar[str] = "relative-position"
    Options: ClassVar[type[Any]] = RelativePositionOptions
    classes: ClassVar[int | None] = len(NEIGHBOURS)

    options: RelativePositionOptions

    @property
    def input_side(self) -> int:
        return self.options.patch

    @property
    def normalise(self) -> Normalise:
        return "patch" if self.options.normalise else "off"

    def draw(self, media: Media, key: Key) -> PatchPuzzle:
        options = self.options
        still = draw_still(media, key, self.left_to_device)
        # In this order: size, mirror, grid, coarsening, colours. A new draw comes last, or old runs would not continue.
        rng = generator(*key, "patches")
        rule = GridRule(options.patch, options.gap, options.jitter, options.grid)
        height, width = size_with_pixels(still.picture.height, still.picture.width, self._pixels(rng), rule.side(2))
        flip = self.training and options.flip and bool(rng.integers(2))
        corners, chosen, labels = self._lay(rng, height, width, rule)
        coarse = self._coarse(rng, len(corners)) if self.training and options.coarsen else [0] * len(corners)
        views: tuple[View, ...] = ()
        if self.left_to_device == "nothing":
            picture = resized(still.pixels, height, width)[..., :: -1 if flip else 1]
            patches = cut_patches(picture, corners, options.patch)
            if any(coarse):
                patches = np.stack([coarsened(p, side) if side else p for p, side in zip(patches, coarse, strict=True)])
        else:
            views = tuple(patch_views(still.picture, height, width, corners, options.patch, flip, coarse))
            picture, patches = np.empty(0, np.uint8), np.empty((len(corners), 0), np.uint8)
        colours = draw_colours(rng, len(patches), options.colour)
        noise = draw_noise(rng, colours, options.patch) if options.colour == "drop" else None
        if self.shuffled:
            labels = generator(*key, "shuffled").integers(len(NEIGHBOURS), size=len(labels))
        facts = media.facts(still.item)
        where = facts.path, facts.source_or_path, still.seconds
        return PatchPuzzle(patches, colours, noise, chosen, labels, picture, corners, *where, views)

    def collate(self, puzzles: Sequence[PatchPuzzle]) -> Batch:
        batch = super().collate(puzzles)
        views = [view for p in puzzles for view in p.views]
        return batch | {"patches": collect(views, self.options.patch)} if views else batch

    @property
    def can_leave(self) -> bool:
        return True

    def network(self, encoders: Mapping[str, nn.Module]) -> nn.Module:
        return self.patch_network(encoders, 2, len(NEIGHBOURS), affine=self.options.affine)

    def sheet(self, puzzles: Sequence[PatchPuzzle], answers: Answers | None = None) -> Image:
        return draw_sheet(puzzles, self.fed_each(puzzles), answers)

    def _lay(
        self, rng: np.random.Generator, height: int, width: int, rule: GridRule
    ) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.int64]]:
        """Corners of patches, pairs of their indices, and the pairs' classes."""
        if not self.training:
            grid = lay_grid(rng, height, width, rule)
            pairs = neighbour_pairs(grid.rows, grid.columns)
            # The class first: pairs of one class may be more than of another, and classes are to be even.
            label = int(rng.integers(len(NEIGHBOURS)))
            of_class = pairs[pairs[:, 2] == label]
            first, second, _ = of_class[rng.integers(len(of_class))]
            return grid.corners[[first, second]], np.array([[0, 1]]), np.array([label])
        corners, chosen, labels, laid = [], [], [], 0
        for _ in range(self.options.grids):
            grid = lay_grid(rng, height, width, rule)
            pairs = of_each_class(rng, neighbour_pairs(grid.rows, grid.columns))
            corners.append(grid.corners)
            chosen.append(pairs[:, :2] + laid)
            labels.append(pairs[:, 2])
            laid += len(grid.corners)
        return np.concatenate(corners), np.concatenate(chosen), np.concatenate(labels)

    def _pixels(self, rng: np.random.Generator) -> float:
        """How many pixels the picture is scaled to; held out the middle of what is drawn in training."""
        low, high = float(self.options.pixels_low), float(self.options.pixels_high)
        # Uniform in the logarithm: each doubling of the size is as frequent as any other.
        if self.options.pixels == "log":
            low, high = math.log(low), math.log(high)
        count = float(rng.uniform(low, high)) if self.training else (low + high) / 2
        return math.exp(count) if self.options.pixels == "log" else count

    def _coarse(self, rng: np.random.Generator, count: int) -> list[int]:
        """Pixels a side that each patch is scaled down to, and up again; 0: it is not."""
        chosen = rng.random(count) < self.options.coarsen
        pixels = rng.uniform(_COARSEST, _FINEST, size=count) * self.options.patch**2
        return [max(round(math.sqrt(n)), 2) if coarse else 0 for n, coarse in zip(pixels, chosen, strict=True)]
