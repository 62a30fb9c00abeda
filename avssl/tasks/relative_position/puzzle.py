"""The options of relative position."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from avssl.errors import UserError
from avssl.options import option
from avssl.tasks.common_options import Colours, EncoderOptions


@dataclass(frozen=True)
class RelativePositionOptions(EncoderOptions):
    """Options of ``avssl train relative-position``; the defaults run on a small CPU."""

    # "Published" is Doersch, Gupta & Efros 2015 with the authors' code; gap and jitter keep their share of the patch.
    patch: int = option(32, "pixels of a patch's side; published: 96", low=8)
    gap: int = option(16, "against edges that continue: pixels between neighbours; published: 48, half a patch", low=0)
    jitter: int = option(3, "against long straight lines: largest shift of a patch, in pixels; published: 7", low=0)
    colour: Colours = option(
        "project",
        "against chromatic aberration, which gives the place away: project (no green against magenta), drop (one "
        "channel of each patch, noise for the others), grey, or keep; published: drop or project",
    )
    normalise: bool = option(True, "against brightness and contrast that give the place away: remove each patch's")
    coarsen: float = option(0.33, "share of patches scaled down and up in training; published: 0.33", low=0, high=1)
    pixels_low: int = option(18000, "fewest pixels that the whole picture is scaled to; published: 150000", low=64)
    pixels_high: int = option(26000, "most pixels that the whole picture is scaled to; published: 450000", low=64)
    pixels: Literal["log", "uniform"] = option(
        "log", "how that number is drawn between the two: its logarithm is uniform, or itself; published: uniform"
    )
    grid: int = option(3, "rows and columns of patches at most, of a grid laid on a picture in training")
    grids: int = option(1, "grids laid on a picture in training, all of whose pairs are puzzles; published: 4", low=1)
    flip: bool = option(True, "mirror half of the pictures before patches are cut")
    features: int = option(128, "features of a patch; published: 4096", low=1)
    hidden: tuple[int, ...] = option((128,), "fully connected layers over both patches; published: 4096,4096", low=1)
    pool: int = option(2, "average a patch's map to this many places a side", low=1)
    dropout: float = option(0.0, "share of features and hidden units dropped in training", low=0, high=0.99)
    # With them a network can silence a layer, which is how training died early in the authors' hands.
    affine: bool = option(False, "scale and shift in the fully connected layers' batch norms; published: no")
    smoothing: float = option(0.0, "label smoothing", low=0, high=0.99)

    def check(self) -> None:
        if self.grid < 2:
            raise UserError(f"--grid ({self.grid}) must be at least 2, or no patch has a neighbour")
        if not 0 < self.pixels_low <= self.pixels_high:
            raise UserError(f"--pixels-low ({self.pixels_low}) must be 1 to --pixels-high ({self.pixels_high})")
        self.vision_config(self.patch).check()
