"""The puzzle of Shuffle & Learn and its options."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from avssl.errors import UserError
from avssl.options import option
from avssl.samplers.triplets import Ends
from avssl.tasks.common_options import MapEncoderOptions, check_crops

if TYPE_CHECKING:  # options are read without what reads media
    from avssl.samplers.views import View


@dataclass(frozen=True)
class ShuffleLearnOptions(MapEncoderOptions):
    """Options of ``avssl train shuffle-learn``; the defaults run on a small CPU."""

    # In seconds, not in frames as published: files differ in their rates.
    gap_min: float = option(0.08, "least distance of neighbours among b, c and d, in seconds", low=0)
    tau_max: float = option(0.12, "greatest gap of neighbours among b, c, d, in seconds; published: 60 frames", low=0)
    tau_min: float = option(0.08, "least distance of a from b and e from d, in seconds; published: 15 frames", low=0)
    reach: float = option(0.12, "greatest distance of a from b and e from d, in seconds; not published", low=0)
    motion: bool = option(True, "draw where there is motion; without it anywhere")
    window: float = option(1.0, "seconds of the segment chosen by its motion; the five frames lie in it", low=0.01)
    # About a quarter is best (Misra et al. 2016); held out it is half, or a constant answer would be right in 75 %.
    positives: float = option(0.25, "share of triplets in order in training; held out: half", above=0, below=1)
    ends: Ends = option("fixed", "fixed: wrong triplets change the middle frame alone; shuffled: they are wrong orders")
    reverse: float = option(0.5, "share of triplets reversed, which does not change the label", low=0, high=1)
    # The paper rejects by the sum of squared differences; its threshold is not published.
    look_alike: float = option(
        1.0, "redraw if c differs less than this from a or e (RMS, 0..255; 8 tries)", low=0, high=255
    )
    # Crops or mirrors drawn for each frame would be noise on the very cue, where things are.
    one_crop: bool = option(True, "one crop, flip and change of colours for all frames of a triplet, or each its own")
    blur: float = option(0.0, "Gaussian blur in pixels, against traces of the codec such as sharper key frames", low=0)
    side: int = option(64, "pixels of the square picture; published: 227, the whole frame squeezed", low=8)
    crop_low: float = option(0.85, "smallest crop, as a share of the shorter side", low=0.05, high=1)
    crop_high: float = option(1.0, "largest crop; held-out pictures are cut so, in the middle", low=0.05, high=1)
    flip: bool = option(True, "mirror half of the triplets")
    brightness: float = option(32 / 255, "largest change of brightness, pixels being 0 to 1", low=0, high=1)
    saturation: float = option(0.3, "largest change of saturation, as a share", low=0, high=1)
    width: int = option(24, "channels of the first block of l3 and small", low=1)
    grid: int = option(4, "cells of the map's side after pooling: the answer depends on where things are", low=1)
    features: int = option(128, "features of a frame; published: 4096", low=1)
    feature_layers: int = option(1, "fully connected layers of each frame; published: 2", low=0)
    hidden: int = option(128, "units that compare the frames; published: 0 (linear, which cannot compare)", low=0)
    differences: bool = option(True, "differences of each two frames' features beside the features; published: no")
    dropout: float = option(0.0, "dropout of the fully connected layers; published: 0.5", low=0, high=0.99)

    def check(self) -> None:
        for low, high in (("gap_min", "tau_max"), ("tau_min", "reach")):
            if not 0 < getattr(self, low) <= getattr(self, high):
                names = f"--{low.replace('_', '-')} ({getattr(self, low)}) and --{high.replace('_', '-')}"
                raise UserError(f"{names} ({getattr(self, high)}) must be more than 0, the first at most the second")
        check_crops(self.crop_low, self.crop_high)
        self.vision_config(self.side).check()


@dataclass(frozen=True, slots=True)
class ShuffleLearnPuzzle:
    """One triplet as the network is fed it."""

    frames: NDArray[np.uint8]  # uint8 (3, 3, side, side), in the order in which they are shown
    label: int  # 1 the order is right (forwards or backwards), 0 it is not; drawn at random for the control
    times: tuple[float, float, float]  # of the three frames, in seconds
    five: tuple[float, ...]  # the times of a, b, c, d and e that they were chosen from
    difference: float  # the smaller of the differences of c from a and from e (RMS, 0..255)
    look_alike: bool  # whether that is still too small after all tries: hardly solvable
    name: str
    source: str
    # Augmentation still to be done, on the device.
    brightness: tuple[float, ...]
    saturation: tuple[float, ...]
    # Of each frame, where cutting is left to the device; then ``frames`` is empty, and ``difference`` unknown.
    views: tuple[View, ...] = ()
