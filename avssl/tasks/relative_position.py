"""Relative position: where does the second patch lie, seen from the first? (Doersch, Gupta & Efros 2015)"""

from __future__ import annotations

import copy
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar, Literal

import numpy as np
from numpy.typing import NDArray
from torch import Tensor, nn

from avssl.errors import UserError
from avssl.media.facts import Facts, Media
from avssl.networks.encoder import image_encoder
from avssl.networks.puzzles import PatchNetwork
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
from avssl.samplers.stills import draw_still, with_pixels
from avssl.samplers.whole_pictures import unusable
from avssl.tasks.base import Answers, Batch, Losses, Task, option
from avssl.tasks.images import EncoderOptions, class_losses, encoder
from avssl.tasks.patches import Colours, collate_patches, draw_colours, draw_noise, fed
from avssl.tasks.registry import register

if TYPE_CHECKING:
    from PIL.Image import Image

# Of 96 × 96 = 9216 pixels a patch keeps 100 to 9025 (the authors' code).
_COARSEST, _FINEST = 100 / 9216, 9025 / 9216


@dataclass(frozen=True)
class RelativePositionOptions(EncoderOptions):
    """Options of ``avssl train relative-position``; the defaults run on a small CPU."""

    patch: int = option(32, "pixels of a patch's side; published: 96", low=8)
    gap: int = option(16, "against edges that continue: pixels between neighbours; published: 48, half a patch", low=0)
    jitter: int = option(3, "against long straight lines: pixels that a patch is moved at most; published: 7", low=0)
    colour: Colours = option(
        "project",
        "against chromatic aberration, which tells the place: project (no green against magenta), drop (one channel of "
        "each patch, noise for the others), grey, or keep; published: drop or project",
    )
    normalise: bool = option(True, "against brightness and contrast that tell the place: those of each patch removed")
    coarsen: float = option(
        0.33,
        "share of the patches scaled down and up again in training, against coding noise; published: 0.33",
        low=0,
        high=1,
    )
    pixels_low: int = option(18000, "fewest pixels that the whole picture is scaled to; published: 150000", low=64)
    pixels_high: int = option(26000, "most pixels that the whole picture is scaled to; published: 450000", low=64)
    pixels: Literal["log", "uniform"] = option(
        "log", "how that number is drawn between the two: its logarithm is uniform, or itself; published: uniform"
    )
    grid: int = option(3, "rows and columns of patches at most, of a grid laid on a picture in training")
    grids: int = option(
        1, "grids laid on a picture in training, whose pairs are all asked, each class as often; published: 4", low=1
    )
    flip: bool = option(True, "mirror half of the pictures before patches are cut")
    features: int = option(128, "numbers that a patch is told by; published: 4096", low=1)
    hidden: tuple[int, ...] = option((128,), "fully connected layers over both patches; published: 4096,4096", low=1)
    pool: int = option(2, "average a patch's map to this many places a side", low=1)
    dropout: float = option(0.0, "share of features and hidden numbers dropped in training", low=0, high=0.99)
    affine: bool = option(
        False, "scale and shift in the batch normalisation of the fully connected layers; published: no"
    )
    smoothing: float = option(0.0, "label smoothing", low=0, high=0.99)


@dataclass(frozen=True, slots=True)
class RelativePositionPuzzle:
    """Patches of one picture, and pairs of them.

    Attributes:
        patches: uint8 (P, 3, patch, patch).
        colours: (P, 3, 3) what their pixels are multiplied by.
        noise: int8 as the patches, or None.
        chosen: (M, 2) first and second patch of each pair.
        labels: (M,) class k: the second lies at ``NEIGHBOURS[k]`` of the first.
        picture: uint8 (3, h, w) that they are cut from; for people.
        corners: (P, 2) top and left of each.
    """

    patches: NDArray[np.uint8]
    colours: NDArray[np.float32]
    noise: NDArray[np.int8] | None
    chosen: NDArray[np.int64]
    labels: NDArray[np.int64]
    picture: NDArray[np.uint8]
    corners: NDArray[np.int64]
    name: str
    source: str
    seconds: float


@register
class RelativePosition(Task):
    """The task. Classes 0 to 7: the places around the first patch, row by row."""

    name: ClassVar[str] = "relative-position"
    summary: ClassVar[str] = "where does the second patch lie, seen from the first?"
    Options: ClassVar[type[Any]] = RelativePositionOptions
    classes: ClassVar[int | None] = len(NEIGHBOURS)
    loss_measure: ClassVar[str] = "class_loss"

    options: RelativePositionOptions

    def __init__(self, options: RelativePositionOptions) -> None:
        super().__init__(options)
        self.shuffled = False
        if options.grid < 2:
            raise UserError(f"--grid ({options.grid}) must be at least 2, or no patch has a neighbour")
        if not 0 < options.pixels_low <= options.pixels_high:
            raise UserError(
                f"--pixels-low ({options.pixels_low}) must lie between 1 and --pixels-high ({options.pixels_high})"
            )

    # --- data -------------------------------------------------------------------------------------------

    def unusable(self, facts: Facts) -> str | None:
        return unusable(facts)

    def draw(self, media: Media, key: Key) -> RelativePositionPuzzle:
        options = self.options
        still = draw_still(media, key)
        rng = generator(*key, "patches")
        rule = GridRule(options.patch, options.gap, options.jitter, options.grid)
        picture = with_pixels(still.pixels, self._pixels(rng), rule.side(2))
        if self.training and options.flip and bool(rng.integers(2)):
            picture = picture[..., ::-1]
        corners, chosen, labels = self._lay(rng, picture, rule)
        patches = cut_patches(picture, corners, options.patch)
        if self.training and options.coarsen:
            patches = self._coarsened(rng, patches)
        colours = draw_colours(rng, len(patches), options.colour)
        noise = draw_noise(rng, colours, options.patch) if options.colour == "drop" else None
        if self.shuffled:
            labels = generator(*key, "shuffled").integers(len(NEIGHBOURS), size=len(labels))
        facts = media.facts(still.item)
        source = facts.source or facts.path
        return RelativePositionPuzzle(
            patches, colours, noise, chosen, labels, picture, corners, facts.path, source, still.seconds
        )

    def collate(self, puzzles: Sequence[RelativePositionPuzzle]) -> Batch:
        return collate_patches(puzzles)

    def clusters(self, puzzle: RelativePositionPuzzle) -> tuple[str, ...]:
        return (puzzle.source,)

    def held_out(self) -> RelativePosition:
        """One pair a puzzle, each class as often; gap, jitter and colours as in training."""
        task = copy.copy(self)
        task.training, task.shuffled = False, False  # judged on true labels
        return task

    # --- learning ---------------------------------------------------------------------------------------

    def encoders(self) -> dict[str, nn.Module]:
        return {"vision": encoder(self.options, self.options.patch)}

    def network(self, encoders: Mapping[str, nn.Module]) -> nn.Module:
        vision, options = image_encoder(encoders["vision"]), self.options
        return PatchNetwork(
            vision,
            2,
            len(NEIGHBOURS),
            pool=options.pool,
            features=options.features,
            hidden=options.hidden,
            dropout=options.dropout,
            affine=options.affine,
        )

    def saved(self, network: nn.Module) -> dict[str, nn.Module]:
        assert isinstance(network, PatchNetwork)
        return {"vision": network.vision}

    def fed(self, batch: Batch) -> Tensor:
        """The patches as the encoder sees them: float (T, 3, patch, patch)."""
        return fed(batch, "patch" if self.options.normalise else "off")

    def loss(self, network: nn.Module, batch: Batch) -> Losses:
        return class_losses(network(self.fed(batch), batch["chosen"]), batch["label"], self.options.smoothing)

    def answers(self, network: nn.Module, batch: Batch) -> Answers:
        return Answers(network(self.fed(batch), batch["chosen"]).float(), batch["label"])

    def chance_loss(self) -> float | None:
        return math.log(len(NEIGHBOURS))

    def controls(self) -> dict[str, Task]:
        task = copy.copy(self)
        task.shuffled = True
        return {"shuffled-labels": task}

    def sheet(self, puzzles: Sequence[RelativePositionPuzzle], answers: Answers | None = None) -> Image:
        from avssl.tasks.relative_position_sheet import draw_sheet

        return draw_sheet(self, puzzles, answers)

    # --- how --------------------------------------------------------------------------------------------

    def _lay(
        self, rng: np.random.Generator, picture: NDArray[np.uint8], rule: GridRule
    ) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.int64]]:
        """Corners of patches, pairs of their numbers, and the pairs' classes."""
        height, width = picture.shape[-2:]
        if not self.training:
            grid = lay_grid(rng, height, width, rule)
            pairs = neighbour_pairs(grid.rows, grid.columns)
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
        if self.options.pixels == "log":
            low, high = math.log(low), math.log(high)
        count = float(rng.uniform(low, high)) if self.training else (low + high) / 2
        return math.exp(count) if self.options.pixels == "log" else count

    def _coarsened(self, rng: np.random.Generator, patches: NDArray[np.uint8]) -> NDArray[np.uint8]:
        side = self.options.patch
        chosen = rng.random(len(patches)) < self.options.coarsen
        pixels = rng.uniform(_COARSEST, _FINEST, size=len(patches)) * side**2
        return np.stack(
            [
                coarsened(patch, max(round(math.sqrt(count)), 2)) if coarse else patch
                for patch, coarse, count in zip(patches, chosen, pixels, strict=True)
            ]
        )
