"""Colorization: which colours does this grey picture have? (Zhang, Isola & Efros, 2016; regression as its baseline.)"""

from __future__ import annotations

import copy
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar, Literal

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional as F

from avssl.errors import UserError
from avssl.media.facts import Facts, Media
from avssl.networks.colorization import AB_SCALE, ColorizationNetwork, Colours
from avssl.networks.colour import rgb_to_lab
from avssl.networks.encoder import image_encoder
from avssl.networks.tower import Norm
from avssl.samplers.keys import Key, generator
from avssl.samplers.whole_pictures import draw_picture, enough_for_statistics, item_of, other_item, unusable
from avssl.tasks.base import Answers, Batch, Losses, Task, option
from avssl.tasks.colour_bins import (
    bin_centres,
    bin_statistics,
    decode,
    equal_bins,
    nearest,
    sample,
    soft_encode,
)
from avssl.tasks.images import tower_encoder
from avssl.tasks.registry import register

if TYPE_CHECKING:
    from PIL.Image import Image

_LEAST_VARIANCE = 1.0
"""Squared Lab units: colours that differ by less than one are grey to the eye."""

Target = Literal["classification", "regression", "both"]


@dataclass(frozen=True)
class ColorizationOptions:
    """Options of ``avssl train colorization``; the defaults run on a small CPU."""

    target: Target = option("both", "classification (bins of ab), regression (ab), or both: a head each on one encoder")
    side: int = option(64, "pixels of the square picture; published: 176", low=8)
    stride: int = option(4, "pixels of the picture to one of the colour map; published: 4", low=1)
    sampling: Literal["mean", "nearest"] = option(
        "mean", "colour of the map: mean of the pixels, or one; published: nearest"
    )
    bins: Literal["grid", "equal"] = option(
        "grid",
        "cells of a square grid (published), or cells that hold about as many training pixels each, which want no "
        "weights and a small sigma: --bins equal --no-rebalance --sigma 3",
    )
    colours: int = option(64, "how many bins, where they are equal", low=2, high=4096)
    grid: float = option(20.0, "side of a colour bin of the grid in Lab units; published: 10", low=1, high=100)
    neighbours: int = option(5, "bins that a pixel's colour is shared among; published: 5 (paper), 10 (code)", low=1)
    sigma: float = option(
        10.0, "width of the Gaussian of that sharing, in Lab units; published: 5 with grid 10", low=0.01
    )
    rebalance: bool = option(True, "weigh rare colours more")
    rebalance_mix: float = option(
        0.5, "0: weigh by the inverse of the frequency; 1: all alike; published: 0.5", low=0, high=1
    )
    grey_limit: float = option(5.0, "pictures whose a and b all lie within this teach nothing; 0 takes all", low=0)
    temperature: float = option(
        0.38, "of the annealed mean that decodes bins: 1 the mean, towards 0 the mode", low=0.001
    )
    crop_low: float = option(0.7, "smallest crop, as a share of the shorter side", low=0.05, high=1)
    crop_high: float = option(1.0, "largest crop; held-out pictures are cut so, in the middle", low=0.05, high=1)
    flip: bool = option(True, "mirror half of the pictures")
    contrast: float = option(
        0.0, "largest change of the contrast of the lightness that is fed, as a share", low=0, high=1
    )
    vision: str = option("l3", "vision encoder: l3, small, nin, alexnet, resnet18, resnet34, resnet50, resnet101")
    width: int = option(32, "channels of the first block of l3 and small", low=1)
    convs: int = option(1, "convolutions a block of l3 and small", low=1)
    blocks: int = option(4, "blocks of l3, small and nin", low=1, high=8)
    first_stride: int = option(2, "stride of the first convolution of l3 and small", low=1, high=4)
    vision_pools: int = option(3, "blocks of l3 and small followed by pooling", low=0, high=8)
    norm: Norm = option("batch", "batch, group or none")
    head_width: int = option(96, "channels of the head", low=1)
    head_depth: int = option(1, "3×3 convolutions of the head", low=0)
    dropout: float = option(0.0, "share of the head's channels dropped in training", low=0, high=0.99)


@dataclass(frozen=True, slots=True)
class ColorizationPuzzle:
    """One picture.

    Attributes:
        frame: uint8 (3, side, side): its lightness is the question, its colours are the answer.
        colours_of: the picture whose colours are taught instead (control with shuffled answers); else None.
        contrast: what the lightness is multiplied by around its mean before it is fed.
    """

    frame: NDArray[np.uint8]
    colours_of: NDArray[np.uint8] | None
    contrast: float
    name: str
    source: str
    seconds: float


@register
class Colorization(Task):
    """The task. Scores are logits over bins and ab, along one axis: see :meth:`parts`."""

    name: ClassVar[str] = "colorization"
    summary: ClassVar[str] = "which colours does this grey picture have?"
    Options: ClassVar[type[Any]] = ColorizationOptions

    options: ColorizationOptions

    def __init__(self, options: ColorizationOptions) -> None:
        super().__init__(options)
        if options.side % options.stride:
            raise UserError(f"--side ({options.side}) must be a multiple of --stride ({options.stride})")
        for name in ("grid", "sigma", "temperature"):
            if not getattr(options, name) > 0:
                raise UserError(f"--{name} ({getattr(options, name)}) must be more than 0")
        self.shuffled = False
        self._statistics: dict[str, Any] = {}

    # --- data -------------------------------------------------------------------------------------------

    def unusable(self, facts: Facts) -> str | None:
        return unusable(facts)

    def fit_statistics(self, media: Media, seed: int) -> None:
        """How often each bin occurs, the mean colour, and what a constant answer costs."""
        colours = self._training_colours(media, seed)
        ab = colours.double()
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
        picture = draw_picture(
            media, item, rng, options.side, options.crop_low, options.crop_high,
            augment=self.training, flip=options.flip,
        )  # fmt: skip
        colours = None
        if self.shuffled:
            theirs = generator(*key, "shuffled")
            colours = draw_picture(
                media, other_item(media, item, theirs), theirs, options.side, options.crop_low, options.crop_high,
                augment=self.training, flip=options.flip,
            ).pixels  # fmt: skip
        facts = media.facts(item)
        return ColorizationPuzzle(
            frame=picture.pixels,
            colours_of=colours,
            contrast=1 + float(rng.uniform(-options.contrast, options.contrast)) if self.training else 1.0,
            name=facts.path,
            source=facts.source or facts.path,
            seconds=picture.seconds,
        )

    def collate(self, puzzles: Sequence[ColorizationPuzzle]) -> Batch:
        batch: Batch = {
            "frames": torch.from_numpy(np.stack([p.frame for p in puzzles])),
            "contrast": torch.tensor([p.contrast for p in puzzles]),
        }
        other = [p.colours_of for p in puzzles if p.colours_of is not None]
        if other:
            batch["colours_of"] = torch.from_numpy(np.stack(other))
        return batch

    def clusters(self, puzzle: ColorizationPuzzle) -> tuple[str, ...]:
        return (puzzle.source,)

    def held_out(self) -> Colorization:
        task = copy.copy(self)
        task.training = task.shuffled = False
        return task

    # --- learning ---------------------------------------------------------------------------------------

    def encoders(self) -> dict[str, nn.Module]:
        return {"vision": tower_encoder(self.options)}

    def network(self, encoders: Mapping[str, nn.Module]) -> nn.Module:
        options = self.options
        vision = image_encoder(encoders["vision"])
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
        )

    def saved(self, network: nn.Module) -> dict[str, nn.Module]:
        assert isinstance(network, ColorizationNetwork)
        return {"vision": network.vision}

    def loss(self, network: nn.Module, batch: Batch) -> Losses:
        """Of classification the weighted cross-entropy, of regression the squared error over that of the mean colour.

        Means over the pixels, so that both are about as large for a network that knows nothing at any size.
        """
        lightness, ab, weight = self._look(batch)
        said: Colours = network(lightness)
        total = torch.zeros((), device=ab.device)
        measures: dict[str, Tensor] = {}
        if said.logits is not None:
            term = self._cross_entropy(said.logits, ab, weight)
            total = total + term
            measures["cross_entropy"] = term.detach()
        if said.ab is not None:
            squared = (said.ab - ab).square().sum(1)
            mean = (squared * weight).sum() / weight.expand_as(squared).sum().clamp(min=1)
            total = total + mean / self._variance()
            measures["ab_rmse"] = (mean / 2).sqrt().detach()
        return Losses(total, measures)

    def answers(self, network: nn.Module, batch: Batch) -> Answers:
        lightness, ab, _ = self._look(batch)
        said: Colours = network(lightness)
        parts = [part for part in (said.logits, said.ab) if part is not None]
        return Answers(torch.cat(parts, dim=1), ab)

    def chance_loss(self) -> float | None:
        if not self._statistics:
            return None
        regression = 0.0 if self.options.target == "classification" else 1.0
        return regression + float(self._statistics.get("constant_cross_entropy", 0.0))

    def controls(self) -> dict[str, Task]:
        control = copy.copy(self)
        control.shuffled = self.training
        return {"shuffled-labels": control}

    # --- decoding ---------------------------------------------------------------------------------------

    @property
    def bins(self) -> int:
        """How many colours there are to choose from."""
        return self.options.colours if self.options.bins == "equal" else len(bin_centres(self.options.grid))

    def parts(self, scores: Tensor) -> Colours:
        """Scores (of :meth:`answers`) as logits and ab; the one that the target has not is None."""
        target = self.options.target
        if target == "regression":
            return Colours(None, scores)
        return Colours(scores[:, : self.bins], scores[:, self.bins :] if target == "both" else None)

    def decodings(self, scores: Tensor) -> dict[str, Tensor]:
        """ab (N, 2, h, w) by name: "regression", "classification" (annealed mean), "classification-mean" (T = 1)."""
        said = self.parts(scores)
        found = {} if said.ab is None else {"regression": said.ab}
        if said.logits is not None:
            centres = self._centres(scores.device)
            found["classification-mean"] = decode(said.logits, centres, 1.0)
            found["classification"] = decode(said.logits, centres, self.options.temperature)
        return found

    def samples(self, scores: Tensor, count: int, seed: int = 0) -> list[Tensor]:
        """``count`` colourings of each picture drawn from the distribution over bins: ab (N, 2, h, w) each.

        Raises:
            UserError: a regression has none to draw from.
        """
        logits = self.parts(scores).logits
        if logits is None:
            raise UserError("a regression gives one colouring; train with --target classification or both for samples")
        centres = self._centres(scores.device)
        return [
            sample(logits, centres, self.options.temperature, generator(seed, "colouring", number))
            for number in range(count)
        ]

    def bins_of(self, ab: Tensor) -> Tensor:
        """The bin that each pixel's colour is nearest to: (N, h, w)."""
        return nearest(ab, self._centres(ab.device), 1)[0][:, 0]

    @property
    def mean_colour(self) -> tuple[float, float]:
        """Mean a and b of the training pictures: the constant answer with the least squared error."""
        a, b = self._statistics.get("mean_ab", (0.0, 0.0))
        return float(a), float(b)

    # --- people -----------------------------------------------------------------------------------------

    def sheet(self, puzzles: Sequence[ColorizationPuzzle], answers: Answers | None = None) -> Image:
        from avssl.tasks.colorization_sheet import draw_sheet

        return draw_sheet(self, puzzles, answers)

    # --- how --------------------------------------------------------------------------------------------

    def _look(self, batch: Batch) -> tuple[Tensor, Tensor, Tensor]:
        """Of a batch the lightness that is fed (N, 1, side, side), the colours asked for (N, 2, h, w), and (N, 1, 1):
        1 where a picture has colours to learn, 0 where it is grey."""
        options = self.options
        lab = rgb_to_lab(batch["frames"])
        lightness = lab[:, :1]
        if self.training and options.contrast:
            middle = lightness.mean((1, 2, 3), keepdim=True)
            lightness = (middle + (lightness - middle) * batch["contrast"].view(-1, 1, 1, 1)).clamp(0, 100)
        ab = rgb_to_lab(batch["colours_of"])[:, 1:] if "colours_of" in batch else lab[:, 1:]
        coloured = (
            (ab.abs().amax((1, 2, 3)) > options.grey_limit).float() if options.grey_limit else torch.ones(len(ab))
        )
        stride = options.stride
        small = ab[:, :, ::stride, ::stride] if options.sampling == "nearest" else F.avg_pool2d(ab, stride)
        return lightness, small, coloured.to(ab).view(-1, 1, 1)

    def _cross_entropy(self, logits: Tensor, ab: Tensor, coloured: Tensor) -> Tensor:
        bins, shares = soft_encode(ab, self._centres(ab.device), self.options.neighbours, self.options.sigma)
        each = -(shares * torch.log_softmax(logits, dim=1).gather(1, bins)).sum(1)
        # A constant weight on each pixel's loss: the gradient of the published layer, without a backward of its own.
        weight = self._weights().to(each.device)[bins[:, 0]] * coloured
        return (each * weight).sum() / coloured.expand_as(each).sum().clamp(min=1)

    def _weights(self) -> Tensor:
        """What each bin counts in the loss, float32 (Q,); all alike as long as there are no statistics."""
        return torch.tensor(self._statistics.get("weights", [1.0] * self.bins), dtype=torch.float32)

    def _variance(self) -> float:
        return float(self._statistics.get("variance", 2 * AB_SCALE**2))

    def _centres(self, device: torch.device | str) -> Tensor:
        """a and b of each bin, (Q, 2). Equal bins are there once :meth:`fit_statistics` has looked at the pictures."""
        if self.options.bins == "equal":
            return torch.tensor(self._statistics["centres"], dtype=torch.float32, device=device)
        return torch.from_numpy(bin_centres(self.options.grid).copy()).to(device)

    def _training_colours(self, media: Media, seed: int) -> Tensor:
        """a and b of every pixel of the colour maps of some training pictures: (n, 2).

        Raises:
            UserError: all of them are grey.
        """
        plain = self.held_out()
        count = enough_for_statistics(media)
        colours = []
        for first in range(0, count, 64):
            keys = [Key(seed, -1, index) for index in range(first, min(first + 64, count))]
            _, ab, coloured = plain._look(plain.collate([plain.draw(media, key) for key in keys]))
            colours.append(ab[coloured[:, 0, 0] > 0].movedim(1, -1).reshape(-1, 2))
        found = torch.cat(colours)
        if not len(found):
            raise UserError("every training picture is grey: there is no colour to learn; give coloured pictures")
        return found

    def _of_bins(self, colours: Tensor) -> dict[str, Any]:
        """What the statistics say of bins: how often each occurs and counts, and where those of equal weight lie."""
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
