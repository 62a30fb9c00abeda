"""Jigsaw: which permutation shuffled the nine tiles? (Noroozi & Favaro 2016; at scale Goyal et al. 2019)"""

from __future__ import annotations

import copy
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
from numpy.typing import NDArray
from torch import Tensor, nn

from avssl.errors import UserError
from avssl.media.facts import Facts, Media
from avssl.networks.encoder import image_encoder
from avssl.networks.patch_photometry import Normalise
from avssl.networks.puzzles import PatchNetwork
from avssl.samplers.keys import Key, generator
from avssl.samplers.patches import TileRule, cut_tiles
from avssl.samplers.permutations import check_count, permutation_set
from avssl.samplers.pictures import centre_crop, cut, random_crop
from avssl.samplers.stills import draw_still
from avssl.samplers.whole_pictures import unusable
from avssl.tasks.base import Answers, Batch, Losses, Task, option
from avssl.tasks.images import EncoderOptions, class_losses, encoder
from avssl.tasks.patches import Colours, collate_patches, draw_colours, fed
from avssl.tasks.registry import register

if TYPE_CHECKING:
    from PIL.Image import Image


@dataclass(frozen=True)
class JigsawOptions(EncoderOptions):
    """Options of ``avssl train jigsaw``; the defaults run on a small CPU."""

    permutations: int = option(100, "size of the set that the shuffle is drawn from; published: 1000", low=2)
    set_seed: int = option(0, "names the set of permutations")
    tiles: int = option(3, "tiles a side; published: 3. 2 × 2 is a different, easier puzzle")
    cell: int = option(35, "pixels of a tile's cell; the square has tiles × cell a side; published: 75", low=8)
    tile: int = option(28, "against edges that continue: pixels of a tile, anywhere in its cell; published: 64", low=8)
    centred: bool = option(False, "put each tile in the middle of its cell: edges continue at a known distance")
    normalise: Normalise = option(
        "channel",
        "against light and contrast shared by neighbours: channel (mean and contrast of each tile's channels removed), "
        "patch (one contrast for all channels), off; published: channel",
    )
    grey: float = option(
        0.3, "against chromatic aberration: share of puzzles in grey, 1 to close it; authors' code: 0.5", low=0, high=1
    )
    projection: float = option(
        0.0,
        "against chromatic aberration: share of the others without green against magenta, whose "
        "channels are not moved; authors' code: 0.5",
        low=0,
        high=1,
    )
    channel_jitter: int = option(
        1,
        "against chromatic aberration: pixels by which each channel of a tile is moved at most; authors' code: 2",
        low=0,
    )
    puzzles: int = option(1, "permutations that a picture is shown in, in one batch of training; published: 1", low=1)
    crop_low: float = option(
        0.75, "smallest square, as a share of the shorter side; authors' code: 255/256", low=0.05, high=1
    )
    crop_high: float = option(1.0, "largest square; held-out pictures are cut so, in the middle", low=0.05, high=1)
    flip: bool = option(True, "mirror half of the pictures before they are cut; published: no")
    features: int = option(128, "numbers that a tile is told by; published: 1024", low=1)
    hidden: tuple[int, ...] = option((256,), "fully connected layers over all tiles; published: 4096", low=1)
    pool: int = option(2, "average a tile's map to this many places a side", low=1)
    dropout: float = option(
        0.0, "share of features and hidden numbers dropped in training; published: 0.5", low=0, high=0.99
    )
    smoothing: float = option(0.0, "label smoothing", low=0, high=0.99)


@dataclass(frozen=True, slots=True)
class JigsawPuzzle:
    """The tiles of one picture, and the orders in which they are shown.

    Attributes:
        patches: uint8 (tiles², 3, tile, tile), row by row as they lie in the picture.
        colours: (tiles², 3, 3) what their pixels are multiplied by.
        chosen: (M, tiles²): place k shows tile ``chosen[m, k]``.
        labels: (M,) number of that permutation in the set.
        square: uint8 (3, s, s) that they are cut from; for people.
        corners: (tiles², 2) top and left of each.
    """

    patches: NDArray[np.uint8]
    colours: NDArray[np.float32]
    chosen: NDArray[np.int64]
    labels: NDArray[np.int64]
    square: NDArray[np.uint8]
    corners: NDArray[np.int64]
    name: str
    source: str
    seconds: float
    noise: None = None


@register
class Jigsaw(Task):
    """The task. Class k: place i shows tile ``permutations[k][i]``."""

    name: ClassVar[str] = "jigsaw"
    summary: ClassVar[str] = "which permutation shuffled the nine tiles?"
    Options: ClassVar[type[Any]] = JigsawOptions
    loss_measure: ClassVar[str] = "class_loss"

    options: JigsawOptions

    def __init__(self, options: JigsawOptions) -> None:
        super().__init__(options)
        self.shuffled = False
        self._set: NDArray[np.int64] | None = None
        self.classes = options.permutations  # type: ignore[misc]  # other tasks know it before they have options
        if not 2 <= options.tiles <= 3:
            raise UserError(f"--tiles ({options.tiles}) must be 2 or 3: of 4 × 4 nobody can list all permutations")
        check_count(options.permutations, options.tiles**2)
        if options.channel_jitter < 0 or self.rule().room < 0:
            raise UserError(
                f"--tile ({options.tile}) and --channel-jitter ({options.channel_jitter}, at least 0) must not be more "
                f"than --cell ({options.cell}) together, or channels could not be moved in all cells alike"
            )

    # --- data -------------------------------------------------------------------------------------------

    def unusable(self, facts: Facts) -> str | None:
        return unusable(facts)

    def fit_statistics(self, media: Media, seed: int) -> None:
        """Nothing of the data is learned: the set of permutations is made here once, so that workers need not."""
        self._set = self.permutations

    def needs_statistics(self) -> bool:
        return False

    def state(self) -> dict[str, Any]:
        return {"permutations": self.permutations.tolist()}

    def load_state(self, state: Mapping[str, Any]) -> None:
        self._set = np.array(state["permutations"], np.int64)

    @property
    def permutations(self) -> NDArray[np.int64]:
        """The set, (permutations, tiles²): as the run was trained with, else from ``set_seed``."""
        if self._set is not None:
            return self._set
        return permutation_set(self.options.permutations, self.options.tiles**2, self.options.set_seed)

    def rule(self) -> TileRule:
        """How pictures are cut."""
        options = self.options
        return TileRule(options.tiles, options.cell, options.tile, options.channel_jitter, options.centred)

    def draw(self, media: Media, key: Key) -> JigsawPuzzle:
        options = self.options
        still = draw_still(media, key)
        rng = generator(*key, "jigsaw")
        height, width = still.pixels.shape[-2:]
        crop = centre_crop(height, width, options.crop_high)
        if self.training:
            crop = random_crop(rng, height, width, options.crop_low, options.crop_high, options.flip)
        square = cut(still.pixels, crop, options.tiles * options.cell)
        colour = self._colour(rng)
        # Each channel's contrast, removed of each on its own, would bring green back into a projection of moved ones.
        moved = 0 if colour == "project" else options.channel_jitter
        patches, corners = cut_tiles(rng, square, replace(self.rule(), channel_jitter=moved))
        colours = draw_colours(rng, len(patches), colour)
        count = min(options.puzzles, options.permutations) if self.training else 1
        labels = rng.choice(options.permutations, size=count, replace=False)
        chosen = self.permutations[labels]
        if self.shuffled:
            labels = generator(*key, "shuffled").integers(options.permutations, size=count)
        facts = media.facts(still.item)
        source = facts.source or facts.path
        return JigsawPuzzle(patches, colours, chosen, labels, square, corners, facts.path, source, still.seconds)

    def collate(self, puzzles: Sequence[JigsawPuzzle]) -> Batch:
        return collate_patches(puzzles)

    def clusters(self, puzzle: JigsawPuzzle) -> tuple[str, ...]:
        return (puzzle.source,)

    def held_out(self) -> Jigsaw:
        """One permutation a puzzle, of the middle of the picture; what closes shortcuts stays as in training."""
        task = copy.copy(self)
        task.training, task.shuffled = False, False  # judged on true labels
        return task

    # --- learning ---------------------------------------------------------------------------------------

    def encoders(self) -> dict[str, nn.Module]:
        return {"vision": encoder(self.options, self.options.tile)}

    def network(self, encoders: Mapping[str, nn.Module]) -> nn.Module:
        vision, options = image_encoder(encoders["vision"]), self.options
        return PatchNetwork(
            vision,
            options.tiles**2,
            options.permutations,
            pool=options.pool,
            features=options.features,
            hidden=options.hidden,
            dropout=options.dropout,
        )

    def saved(self, network: nn.Module) -> dict[str, nn.Module]:
        assert isinstance(network, PatchNetwork)
        return {"vision": network.vision}

    def fed(self, batch: Batch) -> Tensor:
        """The tiles as the encoder sees them: float (T, 3, tile, tile)."""
        return fed(batch, self.options.normalise)

    def loss(self, network: nn.Module, batch: Batch) -> Losses:
        return class_losses(network(self.fed(batch), batch["chosen"]), batch["label"], self.options.smoothing)

    def answers(self, network: nn.Module, batch: Batch) -> Answers:
        return Answers(network(self.fed(batch), batch["chosen"]).float(), batch["label"])

    def chance_loss(self) -> float | None:
        return math.log(self.options.permutations)

    def controls(self) -> dict[str, Task]:
        task = copy.copy(self)
        task.shuffled = True
        return {"shuffled-labels": task}

    def sheet(self, puzzles: Sequence[JigsawPuzzle], answers: Answers | None = None) -> Image:
        from avssl.tasks.jigsaw_sheet import draw_sheet

        return draw_sheet(self, puzzles, answers)

    # --- how --------------------------------------------------------------------------------------------

    def _colour(self, rng: np.random.Generator) -> Colours:
        """Of all tiles of a puzzle alike."""
        grey, projected = rng.random(2)
        if grey < self.options.grey:
            return "grey"
        return "project" if projected < self.options.projection else "keep"
