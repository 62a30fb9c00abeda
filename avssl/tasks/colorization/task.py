"""Colorization: which colours does this grey picture have? (Zhang, Isola & Efros, 2016; regression as its baseline.)"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, ClassVar

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from avssl.errors import UserError
from avssl.media.facts import Media
from avssl.networks.colorization import AB_SCALE, ColorizationNetwork, Colours
from avssl.networks.colour import rgb_to_lab
from avssl.networks.gather import mean_of_whole_batch
from avssl.samplers.keys import Key, generator
from avssl.samplers.whole_pictures import draw_picture, enough_for_statistics, item_of, other_item
from avssl.tasks.base import Answers, Batch, Losses
from avssl.tasks.colorization.colour_bins import (
    bin_centres,
    bin_statistics,
    decode,
    equal_bins,
    nearest,
    sample,
    soft_encode,
)
from avssl.tasks.colorization.puzzle import ColorizationOptions, ColorizationPuzzle
from avssl.tasks.colorization.sheet import draw_sheet
from avssl.tasks.images import PictureTask, vision_of
from avssl.tasks.left_to_device import stacked_or_left
from avssl.tasks.registry import register

if TYPE_CHECKING:
    from PIL.Image import Image

# Squared Lab units: colours that differ by less than one are grey to the eye.
_LEAST_VARIANCE = 1.0

# Colourings on a sheet that are drawn from the distribution over bins, or of the latent variable.
SAMPLES = 3
# Colourings of the latent variable in an answer: the most that are compared.
IMAGINED = 20


@register
class Colorization(PictureTask):
    """The task. Scores are logits over bins and ab, along one axis: see :meth:`parts`."""

    name: ClassVar[str] = "colorization"
    Options: ClassVar[type[Any]] = ColorizationOptions

    options: ColorizationOptions

    def __init__(self, options: ColorizationOptions) -> None:
        super().__init__(options)
        self._statistics: dict[str, Any] = {}

    def fit_statistics(self, media: Media, seed: int) -> None:
        """How often each bin occurs, the mean colour, and what a constant answer costs."""
        colours = self._training_colours(media, seed)
        ab = colours.double()  # a variance of millions of pixels
        self._statistics = {
            "mean_ab": ab.mean(0).tolist(),
            "variance": max(float(ab.var(0, correction=0).sum()), _LEAST_VARIANCE),
        }
        if self.options.target != "regression":
            self._statistics |= self._of_bins(colours)

    def state(self) -> dict[str, Any]:
        return dict(self._statistics)

    def load_state(self, state: Mapping[str, Any]) -> None:
        self._statistics = dict(state)

    def draw(self, media: Media, key: Key) -> ColorizationPuzzle:
        options = self.options
        item = item_of(media, key)
        rng = generator(*key, "picture")
        augment, left = self.training, self.left_to_device
        picture = draw_picture(media, item, self._cropping, rng, augment=augment, left=left)
        other = None
        if self.shuffled:
            theirs = generator(*key, "shuffled")
            another = other_item(media, item, theirs, key)
            other = draw_picture(media, another, self._cropping, theirs, augment=augment, left=left)
        facts = media.facts(item)
        return ColorizationPuzzle(
            frame=picture.pixels,
            colours_of=other and other.pixels,
            contrast=1 + float(rng.uniform(-options.contrast, options.contrast)) if self.training else 1.0,
            name=facts.path,
            source=facts.source_or_path,
            seconds=picture.seconds,
            views=picture.views,
            views_of_colours=other.views if other else (),
        )

    def collate(self, puzzles: Sequence[ColorizationPuzzle]) -> Batch:
        batch: Batch = {
            "frames": stacked_or_left([p.frame for p in puzzles], [p.views for p in puzzles], self.options.side),
            "contrast": torch.tensor([p.contrast for p in puzzles]),
        }
        other = [p.colours_of for p in puzzles if p.colours_of is not None]
        if other:
            views = [p.views_of_colours for p in puzzles]
            batch["colours_of"] = stacked_or_left(other, views, self.options.side)
        return batch

    @property
    def can_leave(self) -> bool:
        return True

    def network(self, encoders: Mapping[str, nn.Module]) -> nn.Module:
        options = self.options
        vision = vision_of(encoders)
        return ColorizationNetwork(
            vision,
            side=options.side,
            map_side=options.side // options.stride,
            width=options.head_width,
            depth=options.head_depth,
            bins=self.bins if options.target != "regression" else 0,
            regression=options.target != "classification",
            norm=options.norm,
            dropout=options.dropout,
            latent=options.latent,
        )

    def loss(self, network: nn.Module, batch: Batch) -> Losses:
        """Of classification the weighted cross-entropy, of regression the squared error over that of the mean colour.

        Means over the pixels, so that both are about as large for a network that knows nothing at any size.
        """
        lightness, ab, weight = self._input_and_target(batch)
        predicted: Colours = network(lightness, **({"truth": ab} if self.options.latent else {}))
        total = torch.zeros((), device=ab.device)
        measures: dict[str, Tensor] = {}
        if predicted.logits is not None:
            term = self._cross_entropy(predicted.logits, ab, weight)
            total = total + term
            measures["cross_entropy"] = term.detach()
        if predicted.ab is not None:
            squared = (predicted.ab - ab).square().sum(1)
            mean = mean_of_whole_batch((squared * weight).sum(), weight.expand_as(squared).sum())
            total = total + mean / self._variance()
            measures["ab_rmse"] = (mean / 2).sqrt().detach()
        if predicted.divergence is not None:
            each = predicted.divergence.mean(0)
            total = total + self.options.divergence_weight * (each - self.options.free_nats).relu().sum()
            measures["divergence"] = each.detach().sum()  # near 0: the variable is ignored
        return Losses(total, measures)

    def answers(self, network: nn.Module, batch: Batch) -> Answers:
        lightness, ab, _ = self._input_and_target(batch)
        predicted: Colours = network(lightness, **({"variables": self._variables()} if self.options.latent else {}))
        parts = [part for part in (predicted.logits, predicted.ab, predicted.others) if part is not None]
        return Answers(torch.cat(parts, dim=1), ab)

    def chance_loss(self) -> float | None:
        if not self._statistics:
            return None
        # The squared error is a share of that of the mean colour, whose own is 1.
        regression = 0.0 if self.options.target == "classification" else 1.0
        return regression + float(self._statistics.get("constant_cross_entropy", 0.0))

    @property
    def bins(self) -> int:
        """Number of colour bins."""
        return self.options.colours if self.options.bins == "equal" else len(bin_centres(self.options.grid))

    def parts(self, scores: Tensor) -> Colours:
        """Scores (of :meth:`answers`) as logits and ab; None for what ``target`` leaves out."""
        target = self.options.target
        bins = 0 if target == "regression" else self.bins
        logits = scores[:, :bins] if bins else None
        if target == "classification":
            return Colours(logits, None)
        return Colours(
            logits, scores[:, bins : bins + 2], others=scores[:, bins + 2 :] if self.options.latent else None
        )

    def decodings(self, scores: Tensor) -> dict[str, Tensor]:
        """ab (N, 2, h, w) by name: "regression", "classification" (annealed mean), "classification-mean" (T = 1)."""
        predicted = self.parts(scores)
        found = {} if predicted.ab is None else {"regression": predicted.ab}
        if predicted.logits is not None:
            centres = self._centres(scores.device)
            found["classification-mean"] = decode(predicted.logits, centres, 1.0)
            found["classification"] = decode(predicted.logits, centres, self.options.temperature)
        return found

    def samples(self, scores: Tensor, count: int) -> list[Tensor]:
        """``count`` colourings of each picture drawn from the distribution over bins: ab (N, 2, h, w) each.

        Raises:
            UserError: a regression has none to draw from.
        """
        logits = self.parts(scores).logits
        if logits is None:
            raise UserError("a regression gives one colouring; train with --target classification or both for samples")
        centres = self._centres(scores.device)
        return [
            # Always of seed 0: sheets of several runs show the same draws.
            sample(logits, centres, self.options.temperature, generator(0, "colouring", number))
            for number in range(count)
        ]

    def imagined(self, scores: Tensor) -> list[Tensor]:
        """``IMAGINED`` colourings of each picture by the latent variable: ab (N, 2, h, w) each; none without one."""
        others = self.parts(scores).others
        return [] if others is None else list(others.split(2, dim=1))

    def bins_of(self, ab: Tensor) -> Tensor:
        """The bin that each pixel's colour is nearest to: (N, h, w)."""
        return nearest(ab, self._centres(ab.device), 1)[0][:, 0]

    @property
    def mean_colour(self) -> tuple[float, float]:
        """Mean a and b of the training pictures: the constant answer with the least squared error."""
        a, b = self._statistics.get("mean_ab", (0.0, 0.0))
        return float(a), float(b)

    def sheet(self, puzzles: Sequence[ColorizationPuzzle], answers: Answers | None = None) -> Image:
        if answers is None:
            return draw_sheet(puzzles, {})
        scores = answers.scores.float().cpu()
        names = {
            "regression": "regression",
            "classification-mean": "classes, T = 1",
            "classification": f"classes, T = {self.options.temperature:g}",
        }
        colourings = {names[name]: ab for name, ab in self.decodings(scores).items()}
        if self.options.target != "regression":
            colourings |= {f"sample {k}": ab for k, ab in enumerate(self.samples(scores, SAMPLES), start=1)}
        if self.options.latent:
            colourings |= {f"latent {k}": ab for k, ab in enumerate(self.imagined(scores)[:SAMPLES], start=1)}
        return draw_sheet(puzzles, colourings)

    def _variables(self) -> Tensor:
        """The variables that are tried, (IMAGINED, latent): the same for all pictures, or an answer would depend on
        the batch around it."""
        shape = (IMAGINED, self.options.latent)
        return torch.from_numpy(generator(0, "latent").normal(size=shape).astype("float32"))

    def _input_and_target(self, batch: Batch) -> tuple[Tensor, Tensor, Tensor]:
        """Of a batch the lightness that is fed (N, 1, side, side), the colours asked for (N, 2, h, w), and (N, 1, 1):
        1 where a picture has colours to learn, 0 where it is grey."""
        options = self.options
        lab = rgb_to_lab(batch["frames"])  # on the device, in float32 whatever the precision
        lightness = lab[:, :1]
        if self.training and options.contrast:
            middle = lightness.mean((1, 2, 3), keepdim=True)
            lightness = (middle + (lightness - middle) * batch["contrast"].view(-1, 1, 1, 1)).clamp(0, 100)
        ab = rgb_to_lab(batch["colours_of"])[:, 1:] if "colours_of" in batch else lab[:, 1:]
        # Every pixel within the limit, as in the authors' code: one that is coloured makes the picture count.
        coloured = (
            (ab.abs().amax((1, 2, 3)) > options.grey_limit).float()
            if options.grey_limit
            else torch.ones(len(ab), device=ab.device)
        )
        stride = options.stride
        small = ab[:, :, ::stride, ::stride] if options.sampling == "nearest" else F.avg_pool2d(ab, stride)
        return lightness, small, coloured.to(ab).view(-1, 1, 1)

    def _cross_entropy(self, logits: Tensor, ab: Tensor, coloured: Tensor) -> Tensor:
        bins, shares = soft_encode(ab, self._centres(ab.device), self.options.neighbours, self.options.sigma)
        each = -(shares * torch.log_softmax(logits, dim=1).gather(1, bins)).sum(1)
        # A constant weight on each pixel's loss: the gradient of the published layer, without a backward of its own.
        weight = self._weights().to(each.device, non_blocking=True)[bins[:, 0]] * coloured
        return mean_of_whole_batch((each * weight).sum(), coloured.expand_as(each).sum())

    def _weights(self) -> Tensor:
        """What each bin counts in the loss, float32 (Q,); all alike as long as there are no statistics."""
        return torch.tensor(self._statistics.get("weights", [1.0] * self.bins), dtype=torch.float32)

    def _variance(self) -> float:
        return float(self._statistics.get("variance", 2 * AB_SCALE**2))

    def _centres(self, device: torch.device | str) -> Tensor:
        """a and b of each bin, (Q, 2). Equal bins are there once :meth:`fit_statistics` has looked at the pictures."""
        if self.options.bins == "equal":
            centres = torch.tensor(self._statistics["centres"], dtype=torch.float32)
        else:
            centres = torch.from_numpy(bin_centres(self.options.grid).copy())
        return centres.to(device, non_blocking=True)

    def _training_colours(self, media: Media, seed: int) -> Tensor:
        """a and b of every pixel of the colour maps of some training pictures: (n, 2).

        Raises:
            UserError: all of them are grey.
        """
        plain = self.held_out()
        count = enough_for_statistics(media)
        colours = []
        for first in range(0, count, 64):
            # Epoch -1: of no training puzzle.
            keys = [Key(seed, -1, index) for index in range(first, min(first + 64, count))]
            _, ab, coloured = plain._input_and_target(plain.collate([plain.draw(media, key) for key in keys]))
            colours.append(ab[coloured[:, 0, 0] > 0].movedim(1, -1).reshape(-1, 2))
        found = torch.cat(colours)
        if not len(found):
            raise UserError("every training picture is grey: there is no colour to learn; give coloured pictures")
        return found

    def _of_bins(self, colours: Tensor) -> dict[str, Any]:
        """Statistics of the bins: prior and weight of each, and the centres of bins of equal weight."""
        options = self.options
        centres, kept = bin_centres(options.grid), {}
        if options.bins == "equal":
            try:
                centres = equal_bins(colours.numpy(), options.colours)
            except ValueError as error:
                raise UserError(f"--colours {options.colours}: {error}; give fewer, or --bins grid") from error
            kept = {"centres": centres.tolist()}
        mix = options.rebalance_mix if options.rebalance else None
        return kept | bin_statistics(colours, centres, options.neighbours, options.sigma, mix)
