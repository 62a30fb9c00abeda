"""Instance discrimination: which is another view of the same picture?

SimCLR (Chen, Kornblith, Norouzi & Hinton 2020), MoCo v2 (Chen, Fan, Girshick & He 2020) and PIRL (Misra & van der
Maaten 2020) by ``--method``. Of sounds by ``--of sounds``: :mod:`avssl.tasks.instance_contrast.sounds`.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, ClassVar, Self, cast

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from avssl.errors import UserError
from avssl.media.facts import Media
from avssl.networks.contrast import BankNetwork, MomentumNetwork, PairNetwork
from avssl.networks.contrastive import info_nce_terms, nt_xent, queue_loss, similarities
from avssl.networks.gather import gather_with_gradient
from avssl.networks.recolour import recoloured
from avssl.networks.squares import tiles_at
from avssl.samplers.keys import Key, generator
from avssl.samplers.patches import lay_tiles
from avssl.samplers.pictures import Cropping
from avssl.samplers.stills import Still, draw_still, still_of
from avssl.samplers.two_views import (
    Jitter,
    cut_rectangle,
    draw_recolouring,
    random_rectangle,
    rectangle_view,
)
from avssl.samplers.views import View
from avssl.samplers.whole_pictures import other_item
from avssl.tasks.base import Answers, Batch, Losses
from avssl.tasks.images import PictureTask, vision_of
from avssl.tasks.instance_contrast.puzzle import TILES, ContrastPuzzle, InstanceContrastOptions
from avssl.tasks.instance_contrast.sheet import draw_sheet
from avssl.tasks.left_to_device import stacked_or_left
from avssl.tasks.registry import register

if TYPE_CHECKING:
    from PIL.Image import Image

# The batch that the loss at chance supposes, since no task knows its size: that loss grows with its logarithm alone.
_USUAL_BATCH = 64


@register
class InstanceContrast(PictureTask):
    """The task. Scores are the two embeddings of each puzzle, (N, 2, D) of unit length."""

    name: ClassVar[str] = "instance-contrast"
    Options: ClassVar[type[Any]] = InstanceContrastOptions
    loss_measure: ClassVar[str] = "relative_loss"

    options: InstanceContrastOptions

    def __new__(cls, options: InstanceContrastOptions | None = None) -> Self:
        # One name for what is one task to whoever trains it. Without options: a copy, or one that is unpickled.
        if cls is InstanceContrast and options is not None and options.of == "sounds":
            from avssl.tasks.instance_contrast.sounds import SoundContrast

            return cast(Self, object.__new__(SoundContrast))
        return object.__new__(cls)

    def __init__(self, options: InstanceContrastOptions) -> None:
        super().__init__(options)
        self.recipe = options.recipe
        self._jitter = Jitter(self.recipe.jitter, self.recipe.jitter_share, options.grey, self.recipe.blur)
        self._pictures = 0  # of the training data: rows of the bank

    def sound_rate(self) -> int | None:
        return None  # the option is of sounds alone

    def stored_side(self) -> int | None:
        sides = [Cropping(self.options.side, math.sqrt(self.recipe.area_low)).stored_side()]
        if self.options.method == "pirl":
            sides.append(Cropping(TILES * self.options.cell, math.sqrt(self.options.tiles_area_low)).stored_side())
        return max(sides)

    def fit_statistics(self, media: Media, seed: int) -> None:
        """How many pictures there are: the bank has a row for each."""
        if len(media) < 2:
            raise UserError("another picture is the negative: give two pictures at least")
        self._pictures = len(media) if self.options.method == "pirl" else 0

    def needs_statistics(self) -> bool:
        return self.options.method == "pirl" and not self._pictures

    def state(self) -> dict[str, Any]:
        return {"pictures": self._pictures} if self._pictures else {}

    def load_state(self, state: Mapping[str, Any]) -> None:
        self._pictures = int(state.get("pictures", 0))

    def held_out(self) -> Self:
        # Changed colours and crops are the puzzle: they stay. So does the control: networks of any weights find views
        # of a picture by their colours, so that only pairs of different pictures show what else gives them away.
        return super().held_out().variant(shuffled=self.shuffled)

    def draw(self, media: Media, key: Key) -> ContrastPuzzle:
        options, rng = self.options, generator(*key, "views")
        one = other = draw_still(media, key, self.left_to_device)
        item = one.item
        if self.shuffled:
            theirs = generator(*key, "shuffled")
            other = still_of(media, other_item(media, item, theirs, key), self.left_to_device, *key, "their frame")
            item = int(theirs.integers(len(media)))  # nor is the bank's row the picture's own
        side, low, views = options.side, self.recipe.area_low, 2
        first = self._cut(rng, one, side, low)
        tiles = None
        if options.method == "pirl":
            side, low, views = TILES * options.cell, options.tiles_area_low, 1 + TILES**2
        second = self._cut(rng, other, side, low)
        if options.method == "pirl":
            corners = rng.permutation(lay_tiles(rng, options.rule())[0])
            tiles = np.column_stack([corners, rng.integers(2, size=len(corners)) * options.flip])
        colours = np.stack([draw_recolouring(rng, self._jitter) for _ in range(views)])
        facts = media.facts(one.item)
        found = [each for each in (first, second) if isinstance(each, View)]
        left, right = (np.empty((3, 0, 0), np.uint8) if isinstance(each, View) else each for each in (first, second))
        where = facts.path, facts.source_or_path, one.seconds
        return ContrastPuzzle(left, right, colours, tiles, item, *where, tuple(found))

    def _cut(self, rng: np.random.Generator, still: Still, side: int, low: float) -> NDArray[np.uint8] | View:
        # A square of PIRL is not mirrored, but its tiles are.
        flip = self.options.flip and side == self.options.side
        place = random_rectangle(rng, still.picture.height, still.picture.width, low, flip)
        if self.left_to_device != "nothing":
            return rectangle_view(still.picture, place, side)
        return cut_rectangle(still.pixels, place, side)

    def collate(self, puzzles: Sequence[ContrastPuzzle]) -> Batch:
        second_side = TILES * self.options.cell if self.options.method == "pirl" else self.options.side
        batch: Batch = {
            "first": stacked_or_left([p.first for p in puzzles], [p.views[:1] for p in puzzles], self.options.side),
            "second": stacked_or_left([p.second for p in puzzles], [p.views[1:] for p in puzzles], second_side),
            "colours": torch.from_numpy(np.stack([p.colours for p in puzzles])),
            "item": torch.tensor([p.item for p in puzzles]),
        }
        tiles = [p.tiles for p in puzzles if p.tiles is not None]
        if tiles:
            batch["tiles"] = torch.from_numpy(np.stack(tiles))
        return batch

    @property
    def can_leave(self) -> bool:
        return True

    def views(self, batch: Batch) -> tuple[Tensor, Tensor]:
        """The views as the network is fed them, float 0..1: (N, 3, s, s) each, the second of PIRL (N, 9, 3, p, p)."""
        colours, second = batch["colours"], batch["second"]
        first = recoloured(batch["first"], colours[:, 0])
        if "tiles" not in batch:
            return first, recoloured(second, colours[:, 1])
        tiles = batch["tiles"].flatten(0, 1)
        square = torch.arange(len(second), device=second.device).repeat_interleave(TILES**2)
        cut = tiles_at(second, square, tiles[:, None, :2].expand(-1, 3, 2), self.options.tile)
        cut = torch.where(tiles[:, 2, None, None, None] > 0, cut.flip(-1), cut)
        return first, recoloured(cut, colours[:, 1:].flatten(0, 1)).unflatten(0, (-1, TILES**2))

    def network(self, encoders: Mapping[str, nn.Module]) -> nn.Module:
        options, vision = self.options, vision_of(encoders)
        hidden, dimensions = options.hidden or vision.channels, options.dimensions
        if options.method == "simclr":
            return PairNetwork(vision, hidden, dimensions, norm=options.norm == "batch")
        if options.method == "moco":
            queue, momentum, groups = options.queue, options.key_momentum, options.shuffle
            return MomentumNetwork(vision, hidden, dimensions, queue=queue, momentum=momentum, groups=groups)
        return BankNetwork(
            vision, dimensions, tiles=TILES**2, pictures=max(self._pictures, 1), momentum=options.bank_momentum
        )

    def features(self, network: nn.Module) -> Mapping[str, nn.Module]:
        """The embeddings of first and of second views, which the loss pulls together."""
        return {name: module for name, module in network.named_children() if name in ("first", "second")}

    def positives(self, network: nn.Module, batch: Batch) -> Tensor | None:
        return torch.ones(len(batch["item"]), dtype=torch.bool, device=batch["item"].device)

    def loss(self, network: nn.Module, batch: Batch) -> Losses:
        """The published loss in training; held out, where there is neither queue nor bank, the relative one alone.

        The relative loss is InfoNCE among the pictures of the batch over ln N: 1 at chance, whatever N.
        """
        first, second = network(*self.views(batch))
        logits = similarities(first, second, self.recipe.temperature)
        relative = torch.stack(info_nce_terms(logits)).mean() / math.log(max(len(logits), 2))
        found = logits.argmax(1) == torch.arange(len(logits), device=logits.device)
        measures = {"accuracy": found.float().mean(), "relative_loss": relative.detach()}
        if not self.training:
            return Losses(relative, measures)
        return Losses(self._published(network, first, second, batch["item"]), measures)

    def _published(self, network: nn.Module, first: Tensor, second: Tensor, items: Tensor) -> Tensor:
        temperature = self.recipe.temperature
        if isinstance(network, MomentumNetwork):
            loss = queue_loss(first, second, network.queue.rows.clone(), temperature)
            network.keep(second)
            return loss
        if isinstance(network, BankNetwork):
            negatives = network.draw_negatives(self.options.bank_negatives)
            # Both as much: the tiles, whose loss sets the constant of both, and the picture itself.
            terms = [network.against_bank(each, items, negatives, temperature) for each in (second, first)]
            network.keep(items, first)
            return torch.stack(terms).mean()
        first, second = gather_with_gradient(first), gather_with_gradient(second)
        if len(first) < 2:
            raise UserError(
                "the negatives are the other pictures of a batch (with --accumulate: of a piece of it), and there are "
                "none: give a --batch-size of two or more a piece"
            )
        return nt_xent(first, second, temperature)

    def after_step(self, network: nn.Module) -> None:
        assert isinstance(network, PairNetwork)
        network.after_step()

    def answers(self, network: nn.Module, batch: Batch) -> Answers:
        return Answers(torch.stack(network(*self.views(batch)), 1).float(), batch["item"])

    def chance_loss(self) -> float | None:
        return 1.0

    def training_chance_loss(self) -> float:
        if self.options.method == "moco":
            return math.log(self.options.queue + 1)
        if self.options.method == "pirl":  # of M negatives: −log(1 / (1 + M)) − M log(M / (1 + M))
            return 1 + math.log(min(self.options.bank_negatives, max(self._pictures, 2)))
        return math.log(2 * _USUAL_BATCH - 1)

    def sheet(self, puzzles: Sequence[ContrastPuzzle], answers: Answers | None = None) -> Image:
        return draw_sheet(puzzles, *self.views(self.collate(puzzles)), answers)
