"""The puzzle of Shuffle & Learn and its options."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from avssl.errors import UserError
from avssl.options import option
from avssl.samplers.triplets import Ends
from avssl.samplers.views import View
from avssl.tasks.common_options import MapEncoderOptions, check_crops


@dataclass(frozen=True)
class ShuffleLearnOptions(MapEncoderOptions):
    """Options of ``avssl train shuffle-learn``; the defaults run on a small CPU."""

    gap_min: float = option(0.08, "least distance of neighbours among b, c and d, in seconds", low=0)
    tau_max: float = option(
        0.12, "greatest distance of neighbours among b, c and d, in seconds; published: 60 frames", low=0
    )
    tau_min: float = option(
        0.08, "least distance of the wrong middle frame from b and d, in seconds; published: 15 frames", low=0
    )
    reach: float = option(0.12, "its greatest distance, in seconds; not published", low=0)
    motion: bool = option(True, "draw where there is motion; without it anywhere")
    window: float = option(
        1.0, "seconds of the segment that is chosen by its motion; the five frames lie in it", low=0.01
    )
    positives: float = option(
        0.25, "share of triplets in the right order; held-out ones are half and half", above=0, below=1
    )
    ends: Ends = option("fixed", "fixed: wrong triplets change the middle frame alone; shuffled: they are wrong orders")
    reverse: float = option(0.5, "share of triplets reversed, which does not change the label", low=0, high=1)
    look_alike: float = option(
        1.0, "draw again where c differs less than this from a or e (RMS, 0..255; 8 tries); 0: never", low=0, high=255
    )
    one_crop: bool = option(True, "one crop, flip and change of colours for all frames of a triplet, or each its own")
    blur: float = option(0.0, "Gaussian blur in pixels, against traces of the codec such as sharper key frames", low=0)
    side: int = option(64, "pixels of the square picture; published: 227, the whole frame squeezed", low=8)
    crop_low: float = option(0.85, "smallest crop, as a share of the shorter side", low=0.05, high=1)
    crop_high: float = option(1.0, "largest crop; held-out pictures are cut so, in the middle", low=0.05, high=1)
    flip: bool = option(True, "mirror half of the triplets")
    brightness: float = option(32 / 255, "largest change of brightness, of 1", low=0, high=1)
    saturation: float = option(0.3, "largest change of saturation, as a share", low=0, high=1)
    width: int = option(24, "channels of the first block of l3 and small", low=1)
    grid: int = option(4, "cells of the map's side after pooling: the answer depends on where things are", low=1)
    features: int = option(128, "features of a frame; published: 4096", low=1)
    feature_layers: int = option(1, "fully connected layers of each frame; published: 2", low=0)
    hidden: int = option(
        128, "units that compare the frames; published: 0, a linear layer, which cannot compare", low=0
    )
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
    """One triplet as the network is fed it.

    Attributes:
        frames: uint8 (3, 3, side, side), in the order in which they are shown.
        label: 1 the order is right (forwards or backwards), 0 it is not; drawn at random for the control.
        times: of the three frames, in seconds.
        five: the times of a, b, c, d and e that they were chosen from.
        difference: the smaller of the differences of c from a and from e (RMS, 0..255).
        look_alike: whether that is still too small after all tries: hardly solvable.
        brightness, saturation: augmentation still to be done, on the device.
        views: of each frame, where cutting is left to the device; then ``frames`` is empty, and ``difference`` unknown.
    """

    frames: NDArray[np.uint8]
    label: int
    times: tuple[float, float, float]
    five: tuple[float, ...]
    difference: float
    look_alike: bool
    name: str
    source: str
    brightness: tuple[float, ...]
    saturation: tuple[float, ...]
    views: tuple[View, ...] = ()
