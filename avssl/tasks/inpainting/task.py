"""Inpainting: what was in the hole? (Context encoders, Pathak et al. 2016.)"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional as F

from avssl.media.facts import Media
from avssl.networks.gather import mean_of_whole_batch
from avssl.networks.inpainting import Discriminator, InpaintingNetwork
from avssl.samplers.holes import draw_hole, fill_weights, filled_by, filled_from_rim, grown
from avssl.samplers.keys import Key, generator
from avssl.samplers.whole_pictures import Picture, draw_picture, enough_for_statistics, item_of, other_item
from avssl.tasks.base import Answers, Batch, Losses
from avssl.tasks.cards import Row, draw_table, origin
from avssl.tasks.filling import FillingTask
from avssl.tasks.images import vision_of
from avssl.tasks.inpainting.puzzle import InpaintingOptions, InpaintingPuzzle
from avssl.tasks.left_to_device import collect
from avssl.tasks.registry import register

if TYPE_CHECKING:
    from PIL.Image import Image


@register
class Inpainting(FillingTask):
    """The task. Scores are whole pictures (N, 3, side, side) on 0..1: as fed, with the prediction in the hole."""

    name: ClassVar[str] = "inpainting"
    Options: ClassVar[type[Any]] = InpaintingOptions

    options: InpaintingOptions

    def fit_statistics(self, media: Media, seed: int) -> None:
        """Mean colour of the training pictures, and how far the holes' pixels are from what is fed there."""
        plain = self.held_out()
        count = enough_for_statistics(media)
        # Epoch -1: of no training puzzle.
        pictures = [plain._picture(media, Key(seed, -1, index)).pixels for index in range(count)]
        self.set_mean([p.mean((1, 2)) for p in pictures])
        plain = self.held_out()  # a copy made before the mean was known would fill the holes without it
        puzzles = [plain.draw(media, Key(seed, -1, index)) for index in range(count)]
        errors = [np.square((p.frame.astype(float) - p.filled.astype(float))[:, p.hole] / 255).mean() for p in puzzles]
        self.set_variance(float(np.mean(errors)))

    def draw(self, media: Media, key: Key) -> InpaintingPuzzle:
        options = self.options
        picture = self._picture(media, key)
        hole = draw_hole(options.hole, options.side, round(options.side * options.hole_share), generator(*key, "hole"))
        left = self.left_to_device != "nothing"
        frame = picture.pixels
        filled = frame if left else self._fill(frame, hole)
        views = picture.views
        if self.shuffled:
            # The target is another picture's content.
            rng = generator(*key, "shuffled")
            item = other_item(media, picture.item, rng, key)
            other = self._cut(media, item, rng)
            views += other.views
            frame = frame if left else np.where(grown(hole, options.overlap), other.pixels, frame)
        facts = media.facts(picture.item)
        return InpaintingPuzzle(frame, filled, hole, facts.path, facts.source_or_path, picture.seconds, views)

    def collate(self, puzzles: Sequence[InpaintingPuzzle]) -> Batch:
        asked = [grown(p.hole, self.options.overlap) for p in puzzles]
        views = [view for p in puzzles for view in p.views]
        pictures: Batch = {
            "frames": torch.from_numpy(np.stack([p.frame for p in puzzles])),
            "filled": torch.from_numpy(np.stack([p.filled for p in puzzles])),
        }
        return (pictures if not views else {"frames": collect(views, self.options.side)}) | {
            "hole": torch.from_numpy(np.stack([p.hole for p in puzzles]))[:, None].to(torch.uint8),
            "asked": torch.from_numpy(np.stack(asked))[:, None].to(torch.uint8),
        }

    @property
    def can_leave(self) -> bool:
        """Not where each hole has equations of its own."""
        return self.options.fill == "mean" or self.options.hole == "centre"

    def finish(self, batch: Batch) -> Batch:
        finished = super().finish(batch)
        # One picture a puzzle, or two: for the control the target lies in the second.
        pictures = finished["frames"].unflatten(0, (len(batch["hole"]), -1))
        first, last = pictures[:, 0], pictures[:, -1]
        frames = torch.where(batch["asked"].bool(), last, first)
        return finished | {"frames": frames, "filled": self._filled(first, batch["hole"].bool())}

    def network(self, encoders: Mapping[str, nn.Module]) -> nn.Module:
        options = self.options
        vision = vision_of(encoders)
        return InpaintingNetwork(
            vision,
            side=options.side,
            widths=options.decoder_width,
            norm=options.norm,
            skips=options.skips,
            bottleneck=options.bottleneck,
            residual=options.fill == "border",
            refine=options.refine,
            discriminator_side=self._discriminator_side() if options.adversarial else 0,
        )

    def loss(self, network: nn.Module, batch: Batch) -> Losses:
        """Squared error over the hole and the weighted rim beyond it, as a share of that of the fill alone.

        With an adversarial term the value is the squared error's still, so that runs compare; the gradient is that of
        both: see :meth:`_adversarial`.
        """
        assert isinstance(network, InpaintingNetwork)
        truth = batch["frames"].float() / 255
        predicted = network(batch["filled"], batch["hole"])
        hole, asked = batch["hole"].float(), batch["asked"].float()
        squared = (predicted - truth).square().mean(1, keepdim=True)
        weight = hole + (asked - hole) * self.options.overlap_weight
        loss = mean_of_whole_batch((squared * weight).sum(), weight.sum()) / self._variance
        each = (squared * hole).sum((1, 2, 3)) / hole.sum((1, 2, 3))
        measures = {"psnr": (-10 * each.detach().clamp(min=1e-10).log10()).mean()}
        if network.discriminator is not None:
            discriminating, deceiving, right = self._adversarial(network.discriminator, predicted, truth, hole)
            measures["discriminator_accuracy"] = right
            game = discriminating + self.options.adversarial * deceiving
            # x - x.detach() is 0 with the gradient of x: the logged value stays that of the squared error.
            loss = loss - self.options.adversarial * (loss - loss.detach()) + game - game.detach()
        return Losses(loss, measures)

    def answers(self, network: nn.Module, batch: Batch) -> Answers:
        predicted = network(batch["filled"], batch["hole"]).clamp(0, 1)
        # What is known of the picture is not predicted: only the hole is.
        pasted = torch.where(batch["hole"].bool(), predicted, batch["filled"].float() / 255)
        return Answers(pasted, batch["frames"].float() / 255)

    def chance_loss(self) -> float | None:
        """The loss of a network that adds nothing to the fill."""
        rim_free = self.options.overlap == 0 or self.options.overlap_weight == 0
        return 1.0 if rim_free else None

    def sheet(self, puzzles: Sequence[InpaintingPuzzle], answers: Answers | None = None) -> Image:
        headings = ["masked", "filled from the rim", "filled by the network", "truth"]
        rows = []
        for number, puzzle in enumerate(puzzles):
            masked = puzzle.filled.copy()
            masked[:, puzzle.hole] = 255  # white, unlike any fill, so that the hole is seen as one
            pictures = [masked, filled_from_rim(puzzle.filled, puzzle.hole), puzzle.frame]
            if answers is not None:
                pictures.insert(2, (answers.scores[number].float().cpu().numpy() * 255).round().astype(np.uint8))
            rows.append(Row([picture.transpose(1, 2, 0) for picture in pictures], origin(puzzle.name, puzzle.seconds)))
        if answers is None:
            headings.remove("filled by the network")
        return draw_table("What was in the hole?", headings, rows, cell=144, across=2)

    def _picture(self, media: Media, key: Key) -> Picture:
        return self._cut(media, item_of(media, key), generator(*key, "picture"))

    def _cut(self, media: Media, item: int, rng: np.random.Generator) -> Picture:
        return draw_picture(media, item, self._cropping, rng, augment=self.training, left=self.left_to_device)

    def _fill(self, frame: NDArray[np.uint8], hole: NDArray[np.bool_]) -> NDArray[np.uint8]:
        if self.options.fill == "border":
            return filled_from_rim(frame, hole)
        return filled_by(frame, hole, np.array(self.mean))

    def _filled(self, frames: Tensor, hole: Tensor) -> Tensor:
        """Pictures (N, 3, side, side) on the device with their holes (N, 1, side, side) filled."""
        if self.options.fill == "mean":
            colour = torch.tensor(self.mean).round().clamp(0, 255).to(torch.uint8)
            return torch.where(hole, colour.to(frames.device, non_blocking=True).view(3, 1, 1), frames)
        inside, rim, weights = _fill_on(
            self.options.side, round(self.options.side * self.options.hole_share), frames.device
        )
        filled = frames.flatten(2)
        smooth = (filled[:, :, rim].float() @ weights).round().clamp(0, 255).to(torch.uint8)
        return filled.index_copy(2, inside, smooth).view(frames.shape)

    def _discriminator_side(self) -> int:
        """Of the patch that the discriminator sees: the centre square, or the whole picture."""
        options = self.options
        return round(options.side * options.hole_share) if options.hole == "centre" else options.side

    def _adversarial(
        self, discriminator: Discriminator, predicted: Tensor, truth: Tensor, hole: Tensor
    ) -> tuple[Tensor, Tensor, Tensor]:
        """The discriminator's loss, the network's, and the discriminator's accuracy.

        Both sides take a step at once: the discriminator's loss does not reach the network, nor the network's the
        discriminator. The network's is the one that does not vanish where it loses: minus the log of the probability
        that its patch is real (Goodfellow et al. 2014, and the authors' code). The
        discriminator sees the hole alone, or the whole picture where holes have no fixed shape.
        """
        side, whole = self._discriminator_side(), predicted.shape[-1]
        # The patch without its surroundings: with them a discriminator would go by the seam.
        first = (whole - side) // 2
        window = (..., slice(first, first + side), slice(first, first + side))
        painted = torch.where(hole.bool(), predicted, truth)[window]
        real, fake = discriminator(truth[window]), discriminator(painted.detach())
        discriminating = (F.softplus(-real).mean() + F.softplus(fake).mean()) / 2
        deceiving = F.softplus(-discriminator.as_it_stands(painted)).mean()
        return discriminating, deceiving, ((real > 0).float().mean() + (fake <= 0).float().mean()).detach() / 2


@lru_cache(maxsize=4)
def _fill_on(side: int, size: int, device: torch.device) -> tuple[Tensor, Tensor, Tensor]:
    """Of the hole in the middle the pixels (flat), those of its rim, and (rim, hole) what each takes of these."""
    inside, rim, weights = fill_weights(draw_hole("centre", side, size, np.random.default_rng()))
    return tuple(torch.from_numpy(array).to(device) for array in (inside, rim, weights.T.copy()))  # type: ignore[return-value]
