"""The puzzle of rotation and its options."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

from avssl.options import option
from avssl.tasks.common_options import EncoderOptions, check_crops

if TYPE_CHECKING:  # options are read without what reads media
    from avssl.samplers.pictures import Crop
    from avssl.samplers.views import Stored


@dataclass(frozen=True)
class RotationOptions(EncoderOptions):
    """Options of ``avssl train rotation``; the defaults run on a small CPU."""

    side: int = option(32, "pixels of the square picture; published: 32 for CIFAR, 224 for ImageNet", low=8)
    views: Literal["four", "one"] = option(
        "four", "of a picture in training: all four rotations in the batch, as published; or one, drawn at random"
    )
    # As the authors' code cuts CIFAR; for ImageNet it cuts squares of random size, by --crop-low.
    pad: int = option(
        4, "as for CIFAR: pad with this many black pixels, then crop a square anywhere; published: 4", low=0
    )
    crop_low: float = option(1.0, "smallest crop, as a share of the shorter side", low=0.05, high=1)
    crop_high: float = option(1.0, "largest crop; held-out pictures are cut so, in the middle", low=0.05, high=1)
    brightness: float = option(0.0, "largest change of brightness, pixels being 0 to 1", low=0, high=1)
    contrast: float = option(0.0, "largest change of contrast, as a share", low=0, high=1)
    # A quarter turn mirrored is the mirrored picture turned by three quarters: 90° and 270° cannot be told apart.
    flip: Literal["before", "after", "off"] = option(
        "before",
        "mirror half of the pictures before turning; after makes 90 and 270 the same puzzle (at most 75 % right)",
    )
    square: bool = option(True, "against black bars: cut a square, then turn; off: turn the whole, boxed in black")
    turn: Literal["exact", "interpolated"] = option(
        "exact",
        "against borders and blur that give the angle away: transpose and flip; interpolated shows the shortcut",
    )
    hidden: tuple[int, ...] = option((), "fully connected layers before the classes; in AlexNet: 4096,4096", low=1)
    pool: int = option(1, "average the encoder's map to this many places a side before the classes", low=1)
    smoothing: float = option(0.0, "label smoothing", low=0, high=0.99)

    def check(self) -> None:
        check_crops(self.crop_low, self.crop_high)
        self.vision_config(self.side).check()


class Unturned(NamedTuple):
    """A square that is still to be cut, lit, moved, turned and mirrored, in this order."""

    picture: Stored
    crop: Crop
    brightness: float  # added, as a share of white
    contrast: float  # multiplied around the mean
    # Pixels that it is moved by; black comes in.
    down: int
    right: int
    turns: tuple[int, ...]  # quarters of each view, counter-clockwise
    mirrored: bool  # the views, once they are turned


@dataclass(frozen=True, slots=True)
class RotationPuzzle:
    """A picture, turned."""

    views: NDArray[np.uint8]  # uint8 (V, 3, side, side): one, or all four
    labels: tuple[int, ...]  # (V,) quarters that each was turned by, counter-clockwise; drawn at random for the control
    name: str
    source: str
    seconds: float
    # Where cutting is left to the device the square, and what is to be done to it; then ``views`` is empty.
    unturned: Unturned | None = None
