"""Options that several tasks have; importing them does not import torch."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from avssl.errors import UserError, did_you_mean
from avssl.networks.config import AUDIO_ARCHITECTURES, Norm, VisionConfig
from avssl.options import option

# What is done to the colours of patches: a lens shifts green against red and blue, more towards its corners, so that
# a patch gives away its place (Doersch, Gupta & Efros 2015).
Colours = Literal["project", "drop", "grey", "keep"]


@dataclass(frozen=True)
class EncoderOptions:
    """The image encoder. A task's options may have a ``check()``: it raises UserError for what does not go together."""

    vision: str = option(
        "small",
        "image encoder: small, l3, nin, alexnet, alexnet-stride2, resnet18 to resnet101, timm:NAME, "
        "torchvision:NAME, module:PACKAGE:FUNCTION",
    )
    width: int = option(32, "channels of the first block of small and l3", low=1)
    blocks: int = option(3, "blocks of small, l3 and nin", low=1, high=8)
    convs: int = option(2, "convolutions a block of small and l3", low=1)
    first_stride: int = option(1, "stride of the first convolution of small and l3", low=1, high=4)
    norm: Norm = option("batch", "batch, group or none")

    def vision_config(self, side: int) -> VisionConfig:
        """The encoder for pictures of ``side`` pixels."""
        return VisionConfig(
            self.vision, self.width, self.convs, self.first_stride, norm=self.norm, side=side, blocks=self.blocks
        )


@dataclass(frozen=True)
class MapEncoderOptions(EncoderOptions):
    """The image encoder of tasks whose answers have a place: its poolings can be left out, so that its map is finer."""

    vision: str = option(
        "l3",
        "image encoder: l3, small, nin, alexnet, resnet18 to resnet101, timm:NAME, torchvision:NAME, "
        "module:PACKAGE:FUNCTION",
    )
    convs: int = option(1, "convolutions a block of l3 and small", low=1)
    blocks: int = option(4, "blocks of l3, small and nin", low=1, high=8)
    first_stride: int = option(2, "stride of the first convolution of l3 and small", low=1, high=4)
    vision_pools: int = option(3, "blocks of l3 and small followed by pooling", low=0, high=8)

    def vision_config(self, side: int) -> VisionConfig:
        return VisionConfig(
            self.vision, self.width, self.convs, self.first_stride, self.vision_pools, self.norm, side, self.blocks
        )


def check_crops(low: float, high: float) -> None:
    """Raise UserError where the smallest crop is larger than the largest."""
    if low > high:
        raise UserError(f"--crop-low ({low:g}) must be at most --crop-high ({high:g})")


def check_audio(architecture: str) -> None:
    """Raise UserError where no audio encoder has this name."""
    if architecture not in AUDIO_ARCHITECTURES:
        raise UserError(f"no audio encoder is called {architecture!r}{did_you_mean(architecture, AUDIO_ARCHITECTURES)}")
