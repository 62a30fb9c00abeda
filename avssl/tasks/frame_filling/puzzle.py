"""The puzzle of frame filling and its options."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import numpy as np
from numpy.typing import NDArray

from avssl.errors import UserError
from avssl.options import option
from avssl.samplers.clips import ClipRule
from avssl.tasks.common_options import MapEncoderOptions, check_crops

if TYPE_CHECKING:  # options are read without what reads media
    from avssl.samplers.views import View

Hide = Literal["frame", "tubes"]


@dataclass(frozen=True)
class FrameFillingOptions(MapEncoderOptions):
    """Options of ``avssl train frame-filling``; the defaults run on a small CPU."""

    hide: Hide = option("frame", "frame: the middle one of three; tubes: patches of a clip, as masked autoencoders do")
    # Of neighbouring frames of a video that differ little the mean is nearly right: nothing is learned from them.
    spacing_min: float = option(0.12, "least distance of a clip's neighbouring frames, in seconds", above=0)
    spacing_max: float = option(0.2, "its greatest distance, in seconds", above=0)
    motion: bool = option(True, "draw clips where there is motion; without it anywhere")
    side: int = option(64, "pixels of the square picture; published (VideoMAE): 224", low=16)
    crop_low: float = option(0.85, "smallest crop, as a share of the shorter side", low=0.05, high=1)
    crop_high: float = option(1.0, "largest crop; held-out clips are cut so, in the middle", low=0.05, high=1)
    flip: bool = option(True, "mirror half of the clips")
    width: int = option(24, "channels of the first block of l3 and small", low=1)
    head_width: int = option(32, "channels of the head at each stage (frame), or of its tokens (tubes)", low=1)
    reach: int = option(2, "frame: cells of a stage by which a motion is corrected, each way", low=1, high=8)
    frames: int = option(8, "tubes: frames of a clip; published: 16", low=2)
    patch: int = option(8, "tubes: pixels of a patch's side; published: 16", low=2)
    hidden_share: float = option(0.75, "tubes: share of patches that are hidden; published: 0.9", above=0, below=1)
    # What one frame hides the next shows, where patches are drawn for each frame (Tong et al. 2022, section 3.2).
    same_patches: bool = option(True, "tubes: hide the same patches in all frames, or of each frame its own")
    layers: int = option(2, "tubes: transformer layers of the head; published: 4", low=1)

    def check(self) -> None:
        if self.spacing_min > self.spacing_max:
            raise UserError(
                f"--spacing-min ({self.spacing_min:g}) must be at most --spacing-max ({self.spacing_max:g})"
            )
        if self.hide == "tubes":
            if self.side % self.patch:
                raise UserError(f"--patch ({self.patch}) must divide --side ({self.side})")
            if not 0 < self.hidden_patches < self.grid**2:
                raise UserError(
                    f"--hidden-share {self.hidden_share:g} of {self.grid**2} patches hides {self.hidden_patches}; "
                    "it must hide one at least, and leave one"
                )
        check_crops(self.crop_low, self.crop_high)
        self.vision_config(self.side).check()

    @property
    def grid(self) -> int:
        """Patches of a side."""
        return self.side // self.patch

    @property
    def hidden_patches(self) -> int:
        """Hidden patches of a frame."""
        return round(self.hidden_share * self.grid**2)

    @property
    def rule(self) -> ClipRule:
        """How clips are drawn."""
        count = 3 if self.hide == "frame" else self.frames
        return ClipRule(count, self.spacing_min, self.spacing_max, self.motion)


@dataclass(frozen=True, slots=True)
class FrameFillingPuzzle:
    """A clip, and what of it is hidden."""

    frames: NDArray[np.uint8]  # uint8 (k, 3, side, side): the clip
    # The target of the control that is trained on another clip's content: uint8 (t, 3, side, side) of the frames that
    # hide something; else none (0, …), and the target is the clip itself.
    target: NDArray[np.uint8]
    hidden: NDArray[np.bool_]  # bool (k, grid, grid), True where a patch is hidden; of a hidden frame (3, 1, 1)
    times: tuple[float, ...]  # of the frames, in seconds
    name: str
    source: str
    # Of the frames, and of the target, where cutting is left to the device; then ``frames`` and ``target`` are empty.
    views: tuple[View, ...] = ()
