"""The puzzle of video colorization and its options."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from avssl.errors import UserError
from avssl.networks.config import Norm
from avssl.options import option
from avssl.tasks.common_options import MapEncoderOptions, check_crops

if TYPE_CHECKING:  # options are read without what reads media
    from avssl.samplers.views import View


@dataclass(frozen=True)
class VideoColorizationOptions(MapEncoderOptions):
    """Options of ``avssl train video-colorization``; the defaults run on a small CPU."""

    # "Published" is Vondrick, Shrivastava, Fathi, Guadarrama & Murphy 2018.
    references: int = option(3, "frames whose colours are known; published: 3", low=1, high=16)
    interval: float = option(1 / 6, "seconds from frame to frame, rounded to whole frames; published: 1/6", above=0)
    motion: bool = option(True, "draw where there is motion; without it anywhere")
    reverse: float = option(0.5, "share of training clips played backwards", low=0, high=1)
    colours: int = option(
        16, "clusters of a and b, fitted to training frames by k-means; published: 16", low=2, high=256
    )
    side: int = option(96, "pixels of the square frame; published: 256", low=8)
    stride: int = option(4, "pixels of the frame to one of the map of places; published: 8", low=1)
    width: int = option(16, "channels of the first block of l3 and small", low=1)
    vision_pools: int = option(1, "blocks of l3 and small followed by pooling: the map must stay fine", low=0, high=8)
    # Not by the batch: a random network beside a trained one has no statistics of batches.
    norm: Norm = option("group", "batch, group or none")
    head_width: int = option(64, "channels in which the encoder's stages are combined", low=1)
    dimensions: int = option(64, "of the embedding of each place; published: 64", low=1)
    unit: bool = option(True, "embeddings of length 1, so that products are cosines; published: no")
    temperature: float = option(0.1, "that products are divided by before the softmax; published: 1", low=0.001)
    crop_low: float = option(0.7, "smallest crop, as a share of the shorter side", low=0.05, high=1)
    crop_high: float = option(1.0, "largest crop; held-out frames are cut so, in the middle", low=0.05, high=1)
    flip: bool = option(True, "mirror half of the clips")
    light: float = option(
        0.1, "largest change of brightness and contrast of each grey frame, as a share", low=0, high=1
    )

    def check(self) -> None:
        if self.side % self.stride:
            raise UserError(f"--side ({self.side}) must be a multiple of --stride ({self.stride})")
        check_crops(self.crop_low, self.crop_high)
        self.vision_config(self.side).check()


@dataclass(frozen=True, slots=True)
class VideoColorizationPuzzle:
    """One clip: references, then the target."""

    frames: NDArray[np.uint8]  # uint8 (references + 1, 3, side, side): fed in grey; the last is the target
    # The frame (1, 3, side, side) whose colours are the target's instead (control "shuffled-labels"); else None.
    colours_of: NDArray[np.uint8] | None
    times: tuple[float, ...]  # of the frames, in seconds
    # Of each frame, done to its grey in this order: a multiple of it around its mean, and what is added, of 1.
    contrast: tuple[float, ...]
    brightness: tuple[float, ...]
    name: str
    source: str
    # Of the frames, where cutting is left to the device; then these are empty.
    views: tuple[View, ...] = ()
    views_of_colours: tuple[View, ...] = ()
