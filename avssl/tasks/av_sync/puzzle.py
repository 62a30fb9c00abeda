"""The puzzle of synchronization and its options."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from avssl.errors import UserError
from avssl.options import option
from avssl.samplers.correspondence import NegativeSounds
from avssl.tasks.common_options import EncoderOptions, check_audio, check_crops

if TYPE_CHECKING:  # options are read without what reads media
    from avssl.samplers.synchronization import Shifted


@dataclass(frozen=True)
class SyncOptions(EncoderOptions):
    """Options of ``avssl train av-sync``; the defaults run on a small CPU.

    Kinds of negatives and their order are those of Korbar, Tran & Torresani 2018.
    """

    seconds: float = option(0.6, "length of the clip and of the sound", low=0.2, high=10)
    steps_a_clip: int = option(15, "frames of a clip, evenly spaced", low=2, high=250)
    easy_epochs: int = option(5, "epochs whose negatives are all easy: the sound of another video", low=0)
    hard: float = option(0.25, "share of negatives from another time of the video, after these epochs", low=0, high=1)
    super_hard: float = option(0.0, "share of negatives that overlap the clip's own sound, after them", low=0, high=1)
    least_shift: float = option(0.12, "seconds by which these are out of step, at least", low=0.02)
    negative_sounds: NegativeSounds = option(
        "moments", "negatives' sounds are drawn as positives' are; anywhere: off the frame grid, a leak kept for probes"
    )
    min_loudness_db: float | None = option(None, "redraw moments quieter than this (RMS, dBFS)", high=0)
    side: int = option(48, "pixels of the square frames, which are grey", low=16)
    crop_low: float = option(0.85, "smallest crop, as a share of the shorter side", low=0.05, high=1)
    crop_high: float = option(1.0, "largest crop; held-out clips are cut so, in the middle", low=0.05, high=1)
    flip: bool = option(True, "mirror half of the clips")
    brightness: float = option(32 / 255, "largest change of brightness, pixels being 0 to 1", low=0, high=1)
    gain: float = option(0.3, "largest change of loudness, as a share", low=0, high=1)
    width: int = option(16, "channels of the first block of small and l3", low=1)
    convs: int = option(1, "convolutions a block of small and l3", low=1)
    first_stride: int = option(2, "stride of the first convolution of small and l3", low=1, high=4)
    audio: str = option("l3", "audio encoder: l3, resnet18, resnet34, resnet50, resnet101")
    audio_width: int = option(12, "channels of the first block of its l3", low=1)
    audio_pools: int = option(1, "poolings of its l3: each halves what is known of the time of a sound", low=0, high=3)
    rate: int = option(16000, "samples a second of the sound", low=4000, high=192000)
    bands: int = option(64, "bands of the log-mel spectrogram", low=16, high=512)
    features: int = option(64, "features of a step of time, of either modality", low=1)

    def check(self) -> None:
        if self.hard + self.super_hard > 1:
            raise UserError("--hard and --super-hard are shares of the negatives: together they must be at most 1")
        if self.least_shift >= self.seconds:
            raise UserError("--least-shift must be less than --seconds: super-hard negatives overlap their clip")
        check_audio(self.audio)
        check_crops(self.crop_low, self.crop_high)
        self.vision_config(self.side).check()


@dataclass(frozen=True, slots=True)
class SyncPuzzle:
    """One clip and one sound as the network is fed them."""

    frames: NDArray[np.uint8]  # uint8 (steps + 2, side, side), lightness; the first and the last are neighbours alone
    waveform: NDArray[np.float32]  # float32 (samples,)
    label: int  # 1 in step, 0 not
    shifted: Shifted  # where the two come from
    names: tuple[str, str]
    sources: tuple[str, str]
    brightness: float  # to be added on the device
