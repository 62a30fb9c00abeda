"""The puzzle of audio-visual correspondence and its options."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import numpy as np
from numpy.typing import NDArray

from avssl.errors import UserError
from avssl.networks.config import FrontEndName, FusionName, Norm, VisionConfig
from avssl.options import option
from avssl.samplers.correspondence import Alignment, NegativeSounds, Pair
from avssl.tasks.common_options import check_audio, check_crops

if TYPE_CHECKING:  # options are read without what reads media
    from avssl.samplers.views import View

Negatives = Literal["drawn", "batch"]


@dataclass(frozen=True)
class PairOptions:
    """Options of tasks that pair a picture with the sound around it; the defaults run on a small CPU."""

    # "Published" is L3-Net (Arandjelović & Zisserman 2017), or AVE-Net of 2018 where it differs.
    vision: str = option(
        "l3", "image encoder: l3, resnet18 to resnet101, timm:NAME, torchvision:NAME, module:PACKAGE:FUNCTION"
    )
    audio: str = option("l3", "audio encoder: l3, resnet18 to resnet101")
    width: int = option(24, "channels of the first block of the l3 encoders; published: 64", low=1)
    convs: int = option(1, "convolutions a block of the l3 encoders; published: 2", low=1)
    first_stride: int = option(2, "first stride of the l3 encoders: 1 in L3-Net, 2 in AVE- and AVOL-Net", low=1, high=4)
    vision_pools: int = option(3, "pooled blocks of the vision encoder; published: 3; 2 doubles the map", low=0, high=3)
    norm: Norm = option("batch", "batch, group or none")
    front_end: FrontEndName = option(
        "log-mel",
        "spectrogram: log-mel; l3 (linear, 257×199 for a second) or ave (257×200), as published; openl3-training-… as "
        "OpenL3 was trained with, openl3-release-… as its package computes it; openl3-mel…: neither, for old runs",
    )
    rate: int = option(16000, "samples a second of the sound; published: 48000", low=4000, high=192000)
    bands: int = option(64, "bands of log-mel", low=16, high=512)
    seconds: float = option(1.0, "length of the sound", low=0.2, high=60)
    side: int = option(112, "pixels of the square picture; published: 224", low=16)
    frames: int = option(1, "frames of a puzzle; their maps are max-pooled", low=1)
    alignment: Alignment = option("centre", "centre: the frame is the midpoint of its sound; overlap: anywhere in it")
    crop_low: float = option(0.75, "smallest crop, as a share of the shorter side; paper: 224/256", low=0.05, high=1)
    crop_high: float = option(1.0, "largest crop", low=0.05, high=1)
    flip: bool = option(True, "mirror half of the pictures")
    # The papers say "jitter"; the amounts are those of marl/l3embedding, the gain that of the paper.
    brightness: float = option(32 / 255, "largest change of brightness, pixels being 0 to 1", low=0, high=1)
    saturation: float = option(0.5, "largest change of saturation, as a share", low=0, high=1)
    gain: float = option(0.1, "largest change of loudness, as a share", low=0, high=1)
    masking: float = option(0.0, "widest gap in the spectrogram, in frequency and in time, as a share", low=0, high=1)
    transpose: float = option(0.0, "largest shift of the spectrogram's bands, as a share of them", low=0, high=1)
    grey: float = option(0.0, "share of the pictures that lose their colours", low=0, high=1)
    min_loudness_db: float | None = option(None, "redraw moments quieter than this (RMS, dBFS)", high=0)

    def check(self) -> None:
        check_crops(self.crop_low, self.crop_high)
        self.vision_config().check()
        check_audio(self.audio)

    def vision_config(self) -> VisionConfig:
        """The image encoder."""
        return VisionConfig(
            self.vision,
            width=self.width,
            convs=self.convs,
            first_stride=self.first_stride,
            pools=self.vision_pools,
            norm=self.norm,
            side=self.side,
        )


@dataclass(frozen=True)
class CorrespondenceOptions(PairOptions):
    """Options of ``avssl train av-correspondence``."""

    # What earlier versions did by default was to tell pairs apart alone; now it is to point and to know silence, too.
    fusion: FusionName = option(
        "avol",
        "avol (map of products, maximum: the one that points), ave (distance of 128-d embeddings), l3 (concatenated)",
        earlier="ave",
    )
    vision_pools: int = option(
        2, "pooled blocks of the vision encoder; published: 3; 2 doubles the map", low=0, high=3, earlier=3
    )
    min_loudness_db: float | None = option(
        -45.0, "redraw moments quieter than this (RMS, dBFS); null: none", high=0, earlier=None
    )
    negatives: Negatives = option("batch", "batch: every other sound of the batch; drawn: one a puzzle, as published")
    negative_sounds: NegativeSounds = option(
        "moments",
        "sounds of drawn negatives: moments, as those of positives; anywhere: off the frame grid, a leak to test",
    )
    hard_negatives: float = option(0.0, "share of drawn negatives from another time of the same video", low=0, high=1)
    contrastive: float = option(1.0, "weight of InfoNCE over the batch's pairs; 0 leaves the published loss", low=0)
    logistic: float = option(1.0, "weight of the logistic loss (negatives: batch); 0 leaves InfoNCE alone", low=0)
    # As in AVID (Morgado et al. 2021) and PIRL.
    temperature: float = option(0.07, "temperature of InfoNCE (ave, l3; avol learns its scale)", low=0.001)
    mosaic: float = option(
        0.5,
        "share of the pictures that are seen smaller, beside three others of the batch (with negatives: batch)",
        low=0,
        high=1,
        earlier=0.0,
    )
    # For localization: silence and the noise of rooms then belong to no place in a picture.
    silent_rows: float = option(
        0.125,
        "share of a batch's puzzles that add a second of noise alone, which belongs to no picture (with the logistic "
        "loss of negatives: batch)",
        low=0,
        high=1,
        earlier=0.0,
    )

    def check(self) -> None:
        if self.negatives == "drawn" and self.logistic != 1:
            raise UserError("--logistic weighs a loss of --negatives batch; with --negatives drawn leave it out")
        if self.negatives == "batch" and not self.logistic and not self.contrastive:
            raise UserError("--logistic 0 and --contrastive 0 leave nothing to learn from; give one of them a weight")
        if self.negatives == "batch" and self.hard_negatives:
            raise UserError("--hard-negatives are drawn: give --negatives drawn, or --hard-negatives 0")
        super().check()


@dataclass(frozen=True, slots=True)
class CorrespondencePuzzle:
    """One pair as the network is fed it."""

    frames: NDArray[np.uint8]  # uint8 (frames, 3, side, side)
    waveform: NDArray[np.float32]  # float32 (samples,)
    label: int  # 1 they belong together, 0 they do not
    pair: Pair  # where the two come from
    names: tuple[str, str]
    sources: tuple[str, str]
    # Augmentation to be applied on the device.
    brightness: float
    saturation: float
    masks: tuple[float, float, float, float]
    transpose: float
    # Row and column of the picture's quarter in a mosaic, and the share of it that is cut; a share of 0: no mosaic.
    mosaic: tuple[float, float, float] = (0.0, 0.0, 0.0)
    silence: NDArray[np.float32] | None = None  # noise that belongs to no picture, if this puzzle adds one
    views: tuple[View, ...] = ()  # of each frame, where cutting is left to the device; then ``frames`` is empty
