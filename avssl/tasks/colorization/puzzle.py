"""The puzzle of colorization and its options."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import numpy as np
from numpy.typing import NDArray

from avssl.errors import UserError
from avssl.options import option
from avssl.tasks.common_options import MapEncoderOptions, check_crops

if TYPE_CHECKING:  # options are read without what reads media
    from avssl.samplers.views import View

Target = Literal["classification", "regression", "both"]


@dataclass(frozen=True)
class ColorizationOptions(MapEncoderOptions):
    """Options of ``avssl train colorization``; the defaults run on a small CPU."""

    # "Published" is Zhang, Isola & Efros 2016. A grid of 20 has 56 bins, which little data can fill.
    target: Target = option("both", "classification (bins of ab), regression (ab), or both: a head each on one encoder")
    latent: int = option(
        0, "dimensions of a latent variable of the regression: several colourings; 0: one; published: 64", low=0
    )
    divergence_weight: float = option(0.01, "latent: weight of its divergence from the prior, a nat", low=0)
    # Kingma et al., Improved variational inference with inverse autoregressive flow (2016), appendix C.8: nothing is
    # gained by a dimension that carries less, so that none is given up before it is used.
    free_nats: float = option(0.1, "latent: nats of each dimension that cost nothing", low=0)
    side: int = option(64, "pixels of the square picture; published: 176", low=8)
    stride: int = option(4, "pixels of the picture to one of the colour map; published: 4", low=1)
    sampling: Literal["mean", "nearest"] = option("mean", "colour of a cell: its pixels' mean, or nearest (published)")
    bins: Literal["grid", "equal"] = option(
        "grid",
        "cells of a square grid (published), or cells that hold about as many training pixels each, which need no "
        "weights and a small sigma: --bins equal --no-rebalance --sigma 3",
    )
    colours: int = option(64, "how many bins, where they are equal", low=2, high=4096)
    grid: float = option(20.0, "side of a colour bin of the grid in Lab units; published: 10", low=1, high=100)
    neighbours: int = option(5, "bins that a pixel's colour is shared among; published: 5 (paper), 10 (code)", low=1)
    sigma: float = option(10.0, "width of the Gaussian of that sharing, in Lab units; published: 5, grid 10", low=0.01)
    rebalance: bool = option(True, "weigh rare colours more")
    rebalance_mix: float = option(0.5, "0: weights of inverse frequency; 1: uniform; published: 0.5", low=0, high=1)
    # As in the authors' code: grey photographs would teach that everything is grey.
    grey_limit: float = option(5.0, "leave pictures whose a and b lie within this out of the loss; 0: none", low=0)
    # 0.38 is published.
    temperature: float = option(0.38, "of the annealed mean of bins: 1 the mean, towards 0 the mode", low=0.001)
    crop_low: float = option(0.7, "smallest crop, as a share of the shorter side", low=0.05, high=1)
    crop_high: float = option(1.0, "largest crop; held-out pictures are cut so, in the middle", low=0.05, high=1)
    flip: bool = option(True, "mirror half of the pictures")
    contrast: float = option(0.0, "largest change of the contrast of the input lightness, as a share", low=0, high=1)
    head_width: int = option(96, "channels of the head", low=1)
    head_depth: int = option(1, "3×3 convolutions of the head", low=0)
    dropout: float = option(0.0, "share of the head's channels dropped in training", low=0, high=0.99)

    def check(self) -> None:
        if self.latent and self.target == "classification":
            raise UserError(f"--latent {self.latent} is of the regression; give --target regression or both")
        if self.side % self.stride:
            raise UserError(f"--side ({self.side}) must be a multiple of --stride ({self.stride})")
        check_crops(self.crop_low, self.crop_high)
        self.vision_config(self.side).check()


@dataclass(frozen=True, slots=True)
class ColorizationPuzzle:
    """One picture."""

    frame: NDArray[np.uint8]  # uint8 (3, side, side): its lightness is the input, its colours are the target
    # The picture whose colours are the target instead (control "shuffled-labels"); else None.
    colours_of: NDArray[np.uint8] | None
    contrast: float  # what the lightness is multiplied by around its mean before it is fed
    name: str
    source: str
    seconds: float
    # Of the two pictures, where cutting is left to the device; then these are empty.
    views: tuple[View, ...] = ()
    views_of_colours: tuple[View, ...] = ()
