"""The puzzle of inpainting and its options."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import numpy as np
from numpy.typing import NDArray

from avssl.errors import UserError
from avssl.networks.config import Bottleneck
from avssl.options import option
from avssl.samplers.holes import Hole
from avssl.tasks.common_options import MapEncoderOptions, check_crops

if TYPE_CHECKING:  # options are read without what reads media
    from avssl.samplers.views import View


@dataclass(frozen=True)
class InpaintingOptions(MapEncoderOptions):
    """Options of ``avssl train inpainting``; the defaults run on a small CPU."""

    hole: Hole = option("centre", "centre (one square), blocks (small squares anywhere), region (a random shape)")
    hole_share: float = option(0.5, "side of the centre square, as a share; of blocks a third", low=0.05, high=0.9)
    fill: Literal["mean", "border"] = option(
        "border",
        "what fills the hole in the input: mean (of training; published) or border (harmonic; the network adds to it)",
    )
    side: int = option(64, "pixels of the square picture; published: 128", low=16)
    # A seam between prediction and picture costs more where what is known is predicted, too (Pathak et al. 2016).
    overlap: int = option(2, "pixels beyond the hole that are predicted, too; authors' code: 4", low=0)
    overlap_weight: float = option(10.0, "weight of those pixels in the loss; published: 10", low=0)
    # The authors train features by the squared error alone, pictures by 0.999 of it and 0.001 of the adversary's.
    adversarial: float = option(
        0.0,
        "weight of the adversarial term, less that of the squared error; published: 0.001 for pictures, 0 for features",
        low=0,
        high=0.999,
    )
    skips: bool = option(True, "the encoder's finer stages and the picture join in the decoder; published: no")
    bottleneck: Bottleneck = option("channel-wise", "from encoder to decoder: channel-wise (published), dense or none")
    crop_low: float = option(0.7, "smallest crop, as a share of the shorter side", low=0.05, high=1)
    crop_high: float = option(1.0, "largest crop; held-out pictures are cut so, in the middle", low=0.05, high=1)
    flip: bool = option(True, "mirror half of the pictures")
    decoder_width: int = option(24, "channels of the decoder's last block", low=1)
    refine: int = option(0, "3×3 convolutions at full size after the decoder; published: none", low=0, high=8)

    def check(self) -> None:
        room = self.side * (1 - self.hole_share) / 2 - self.overlap
        if not 0 < self.hole_share < 1 or self.overlap < 0 or room < 1:
            raise UserError(
                f"--hole-share ({self.hole_share}) and --overlap ({self.overlap}) must leave some picture of "
                f"{self.side} px around the hole"
            )
        check_crops(self.crop_low, self.crop_high)
        self.vision_config(self.side).check()


@dataclass(frozen=True, slots=True)
class InpaintingPuzzle:
    """One picture with a hole."""

    frame: NDArray[np.uint8]  # uint8 (3, side, side): the target
    filled: NDArray[np.uint8]  # uint8 (3, side, side): the input, with the hole filled
    hole: NDArray[np.bool_]  # bool (side, side)
    name: str
    source: str
    seconds: float
    # Of the picture, and for the control of that whose content is the target, where cutting is left to the device; then
    # ``frame`` and ``filled`` are empty.
    views: tuple[View, ...] = ()
