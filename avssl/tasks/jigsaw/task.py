"""Jigsaw: which permutation shuffled the nine tiles? (Noroozi & Favaro 2016; at scale Goyal et al. 2019)"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import cached_property
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from avssl.media.facts import Media
from avssl.networks.config import Normalise
from avssl.networks.squares import tiles_at
from avssl.samplers.keys import Key, generator
from avssl.samplers.patches import cut_tiles, lay_tiles
from avssl.samplers.permutations import permutation_set
from avssl.samplers.pictures import Cropping
from avssl.samplers.stills import draw_still
from avssl.samplers.views import cut_or_leave
from avssl.tasks.base import Answers, Batch
from avssl.tasks.common_options import Colours
from avssl.tasks.jigsaw.puzzle import JigsawOptions
from avssl.tasks.jigsaw.sheet import draw_sheet
from avssl.tasks.left_to_device import collect
from avssl.tasks.patches import PatchPuzzle, PatchTask, draw_colours
from avssl.tasks.registry import register

if TYPE_CHECKING:
    from PIL.Image import Image


@register
class Jigsaw(PatchTask):
    """The task. Class k: place i shows tile ``permutations[k][i]``."""

    name: ClassVar[str] = "jigsaw"
    Options: ClassVar[type[Any]] = JigsawOptions

    options: JigsawOptions

    def __init__(self, options: JigsawOptions) -> None:
        super().__init__(options)
        self._set: NDArray[np.int64] | None = None
        self.classes = options.permutations  # type: ignore[misc]  # other tasks know it before they have options

    @cached_property
    def _cropping(self) -> Cropping:
        options = self.options
        return Cropping(options.tiles * options.cell, options.crop_low, options.crop_high, options.flip)

    @property
    def input_side(self) -> int:
        return self.options.tile

    @property
    def normalise(self) -> Normalise:
        return self.options.normalise

    def fit_statistics(self, media: Media, seed: int) -> None:
        """Nothing of the data is learned: the set of permutations is made here once, so that workers need not."""
        self._set = self.permutations

    def needs_statistics(self) -> bool:
        return False

    def state(self) -> dict[str, Any]:
        # The set itself, not its seed: another version of NumPy might draw another one.
        return {"permutations": self.permutations.tolist()}

    def load_state(self, state: Mapping[str, Any]) -> None:
        self._set = np.array(state["permutations"], np.int64)

    @property
    def permutations(self) -> NDArray[np.int64]:
        """The set, (permutations, tiles²): as the run was trained with, else from ``set_seed``."""
        if self._set is not None:
            return self._set
        return permutation_set(self.options.permutations, self.options.tiles**2, self.options.set_seed)

    def draw(self, media: Media, key: Key) -> PatchPuzzle:
        options = self.options
        still = draw_still(media, key, self.left_to_device)
        rng = generator(*key, "jigsaw")
        crop = self._cropping.place(rng if self.training else None, still.picture.height, still.picture.width)
        (square,), views = cut_or_leave([still.picture], crop, self._cropping.side, self.left_to_device)
        colour = self._colour(rng)
        # Each channel's contrast, removed of each on its own, would bring green back into a projection of moved ones.
        moved = 0 if colour == "project" else options.channel_jitter
        rule = replace(options.rule(), channel_jitter=moved)
        if views:
            corners, moves = lay_tiles(rng, rule)
            patches, tiles = np.empty((len(corners), 0), np.uint8), corners[:, None] + moves
        else:
            (patches, corners), tiles = cut_tiles(rng, square, rule), None
        colours = draw_colours(rng, len(patches), colour)
        # Held out each picture counts once.
        count = min(options.puzzles, options.permutations) if self.training else 1
        # Different ones: two puzzles of one picture with one answer would be one.
        labels = rng.choice(options.permutations, size=count, replace=False)
        chosen = self.permutations[labels]
        if self.shuffled:
            labels = generator(*key, "shuffled").integers(options.permutations, size=count)
        facts = media.facts(still.item)
        where = facts.path, facts.source_or_path, still.seconds
        return PatchPuzzle(patches, colours, None, chosen, labels, square, corners, *where, views, tiles)

    def collate(self, puzzles: Sequence[PatchPuzzle]) -> Batch:
        batch = super().collate(puzzles)
        tiles = [p.tiles for p in puzzles if p.tiles is not None]
        if tiles:
            batch["patches"] = collect([view for p in puzzles for view in p.views], self._cropping.side)
            batch["tiles"] = torch.from_numpy(np.concatenate(tiles))
        return batch

    @property
    def can_leave(self) -> bool:
        return True

    def finish(self, batch: Batch) -> Batch:
        finished = super().finish(batch)
        corners = finished.pop("tiles")
        squares = finished["patches"]
        square = torch.arange(len(squares), device=corners.device).repeat_interleave(self.options.tiles**2)
        return finished | {"patches": tiles_at(squares, square, corners, self.options.tile)}

    def network(self, encoders: Mapping[str, nn.Module]) -> nn.Module:
        return self.patch_network(encoders, self.options.tiles**2, self.options.permutations)

    def sheet(self, puzzles: Sequence[PatchPuzzle], answers: Answers | None = None) -> Image:
        return draw_sheet(puzzles, self.fed_each(puzzles), self.permutations, answers)

    def _colour(self, rng: np.random.Generator) -> Colours:
        """Of all tiles of a puzzle alike."""
        grey, projected = rng.random(2)  # both always: the draws after them do not depend on the shares
        if grey < self.options.grey:
            return "grey"
        return "project" if projected < self.options.projection else "keep"
