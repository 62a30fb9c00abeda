"""Names of networks, and the config of an image encoder; importing it does not import torch."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from avssl.errors import UserError, did_you_mean
from avssl.networks.own_modules import FORM, check_name

Norm = Literal["batch", "group", "none"]
FusionName = Literal["l3", "ave", "avol"]
# Which items of a memory bank agree (CMA, Morgado et al. 2021): alike in both modalities, in one of both, in one.
Agreement = Literal["consensus", "union", "vision", "audio"]
# Dimensions of the space where picture and sound meet (AVE-Net, Arandjelović & Zisserman 2018).
EMBEDDING = 128
Bottleneck = Literal["channel-wise", "dense", "none"]
# patch: mean of each channel and one contrast for all; channel: mean and contrast of each; off.
Normalise = Literal["patch", "channel", "off"]
FrontEndName = Literal[
    "log-mel",
    "l3",
    "ave",
    "openl3-training-mel256",
    "openl3-training-mel128",
    "openl3-release-mel256",
    "openl3-release-mel128",
    "openl3-mel256",
    "openl3-mel128",
]

# Mean and standard deviation of natural pictures on the scale 0..1 (those of torchvision's models): only a
# fixed change of scale here, the same for every task, so that tasks can share an encoder.
MEAN = (0.485, 0.456, 0.406)
STD = (0.229, 0.224, 0.225)

RESNETS = ("resnet18", "resnet34", "resnet50", "resnet101")

# AlexNets by name and the stride of their first convolution; jigsaw trains with 2 (Noroozi & Favaro 2016).
ALEXNET_STRIDES = {"alexnet": 4, "alexnet-stride2": 2}

# Vision encoders by name.
ARCHITECTURES = ("l3", "small", "nin", *ALEXNET_STRIDES, *RESNETS)

# Whose networks are taken by name: "timm:NAME"; "module" is one's own, see networks.own_modules.
LIBRARIES = ("timm", "torchvision", "module")

AUDIO_ARCHITECTURES = ("l3", *RESNETS)


@dataclass(frozen=True)
class VisionConfig:
    """What rebuilds a vision encoder."""

    # One of ``ARCHITECTURES``, "timm:NAME", "torchvision:NAME" or "module:PACKAGE.MODULE:FUNCTION".
    architecture: str = "l3"
    # Of l3 and small.
    width: int = 64
    convs: int = 2
    first_stride: int = 2
    pools: int = 3
    norm: Norm = "batch"  # of all but those of other libraries
    side: int = 224  # pixels of the pictures it is trained on
    blocks: int = 4  # of l3, small and nin
    grey: bool = False  # sees the lightness of pictures on all three channels, whatever their colours
    arguments: Mapping[str, Any] = field(default_factory=dict)  # further ones for timm.create_model

    @property
    def used_pools(self) -> int:
        """Poolings of l3 and small: none follows the last block."""
        return min(self.pools, self.blocks - 1)

    def check(self) -> None:
        """Refuse what no network can be built of; whether a library knows its NAME is seen when it is built.

        Raises:
            UserError: an encoder that there is not, or pictures too small for it.
        """
        name, side = self.architecture, self.side
        if name.endswith(".onnx"):
            raise UserError(f"{name}: an ONNX file is frozen; it can be evaluated (avssl.encoder), not trained")
        library, colon, _ = name.partition(":")
        if colon and library not in LIBRARIES:
            raise UserError(f"no networks are taken from {library!r}; give timm:NAME or torchvision:NAME, or {FORM}")
        if library == "module":
            check_name(name)
        if colon:
            return
        if name not in ARCHITECTURES:
            known = (*ARCHITECTURES, "timm:NAME", "torchvision:NAME", FORM)
            raise UserError(f"no vision encoder is called {name!r}{did_you_mean(name, known)}")
        if name in ALEXNET_STRIDES:
            least = 7 + 14 * ALEXNET_STRIDES[name]  # its three poolings leave one pixel of so many
            if side < least:
                raise UserError(f"{name} needs pictures of {least} pixels at least, not {side}; try small or l3")
        elif name not in RESNETS and self.blocks < 1:
            raise UserError(f"an encoder of {self.blocks} blocks is none; --blocks must be at least 1")
        elif name in ("small", "l3"):
            # A stride leaves the ceiling, a pooling the floor.
            least = self.first_stride * (2**self.used_pools - 1) + 1
            if side < least:
                raise UserError(
                    f"an encoder with {self.used_pools} poolings and a first stride of {self.first_stride} needs "
                    f"pictures of {least} pixels at least, not {side}; give larger ones, or a smaller --first-stride"
                )
