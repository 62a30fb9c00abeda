"""Vision subnetworks: from uint8 frames to maps, normalisation included."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from typing import Any

import torch
from torch import Tensor

from avssl.errors import UserError, did_you_mean
from avssl.networks.encoder import ImageEncoder
from avssl.networks.foreign import ForeignTrunk, State, TimmTrunk, TorchvisionTrunk
from avssl.networks.photometry import normalised
from avssl.networks.tower import Norm, Tower
from avssl.networks.trunks import ALEXNET_STRIDES, RESNETS, AlexNetTrunk, NinTrunk, ResNetTrunk, SmallTrunk, VisionTrunk

# Mean and standard deviation of natural pictures on the scale 0..1 (those of torchvision's models): only a
# fixed change of scale here, the same for every task, so that tasks can share an encoder.
MEAN = (0.485, 0.456, 0.406)
STD = (0.229, 0.224, 0.225)

ARCHITECTURES = ("l3", "small", "nin", *ALEXNET_STRIDES, *RESNETS)
"""Vision encoders by name."""


@dataclass(frozen=True)
class VisionConfig:
    """What rebuilds a vision encoder.

    Attributes:
        architecture: one of ``ARCHITECTURES``, "timm:NAME" or "torchvision:NAME".
        width, convs, first_stride, pools: of l3 and small.
        blocks: of l3, small and nin.
        norm: of all.
        side: pixels of the pictures it is trained on.
        grey: sees the lightness of pictures on all three channels, whatever their colours.
        arguments: further ones that timm builds a network with.
    """

    architecture: str = "l3"
    width: int = 64
    convs: int = 2
    first_stride: int = 2
    pools: int = 3
    norm: Norm = "batch"
    side: int = 224
    blocks: int = 4
    grey: bool = False
    arguments: Mapping[str, Any] = field(default_factory=dict)


class VisionEncoder(ImageEncoder):
    """Frames to a map of features.

    Input: (N, 3, H, W), uint8 0..255 or float 0..1. Output: (N, ``channels``, h, w).
    """

    def __init__(self, config: VisionConfig) -> None:
        super().__init__()
        self.config, self.side = config, config.side
        self.trunk = _trunk(config)
        self.channels = self.trunk.channels
        mean, std = MEAN, STD
        if isinstance(self.trunk, ForeignTrunk):
            mean, std, self.multiple = self.trunk.mean, self.trunk.std, self.trunk.multiple
        self.register_buffer("mean", torch.tensor(mean).view(3, 1, 1))
        self.register_buffer("std", torch.tensor(std).view(3, 1, 1))

    def see_grey(self) -> None:
        """From now on see lightness alone, so that pictures with colour look like those without."""
        self.config = replace(self.config, grey=True)

    def normalise(self, frames: Tensor) -> Tensor:
        """uint8 0..255 or float 0..1 to the scale that the trunk takes."""
        return normalised(frames, self.get_buffer("mean"), self.get_buffer("std"), self.config.grey)

    def stages(self, frames: Tensor) -> OrderedDict[str, Tensor]:
        """The map of each stage by name, in order of depth, for probes."""
        return self.trunk.stages(self.normalise(frames))

    def forward(self, frames: Tensor) -> Tensor:
        out: Tensor = self.trunk(self.normalise(frames))
        return out

    def describe(self) -> dict[str, Any]:
        """What :func:`avssl.networks.saving.load_module` needs to rebuild this encoder."""
        config = asdict(self.config)
        if not config["arguments"]:
            del config["arguments"]  # as it was before there were any, so that digests stay
        return {"type": "vision", "config": config}


def foreign_trunk(config: VisionConfig, state: State | None = None) -> ForeignTrunk:
    """The trunk of "timm:NAME" or "torchvision:NAME", with weights from a state dict of that library, or random ones.

    Raises:
        UserError: there is no such network, or the weights are of another.
    """
    library, _, name = config.architecture.partition(":")
    if library == "timm":
        return TimmTrunk(name, config.side, config.arguments, state)
    if library == "torchvision":
        return TorchvisionTrunk(name, config.side, state)
    raise UserError(f"no networks are taken from {library!r}; give timm:NAME or torchvision:NAME")


def _trunk(config: VisionConfig) -> VisionTrunk | ForeignTrunk:
    name = config.architecture
    if name.endswith(".onnx"):
        raise UserError(f"{name}: an ONNX file is frozen and cannot be trained; avssl.encoder takes it to be evaluated")
    if ":" in name:
        return foreign_trunk(config)
    if name in RESNETS:
        return ResNetTrunk(name, config.norm)
    if name in ALEXNET_STRIDES:
        least = 7 + 14 * ALEXNET_STRIDES[name]  # its three poolings leave one pixel of so many
        if config.side < least:
            raise UserError(f"{name} needs pictures of {least} pixels at least, not {config.side}; try small or l3")
        return AlexNetTrunk(ALEXNET_STRIDES[name], config.norm)
    if config.blocks < 1:
        raise UserError(f"an encoder of {config.blocks} blocks is none; --blocks must be at least 1")
    if name == "nin":
        return NinTrunk(config.blocks, config.norm)
    tower = {"blocks": config.blocks, "convs": config.convs, "first_stride": config.first_stride}
    pools = min(config.pools, config.blocks - 1)
    least = config.first_stride * (2**pools - 1) + 1  # a stride leaves the ceiling, a pooling the floor
    if name in ("small", "l3") and config.side < least:
        raise UserError(
            f"an encoder with {pools} poolings and a first stride of {config.first_stride} needs pictures of {least} "
            f"pixels at least, not {config.side}; give larger ones, or a smaller --first-stride"
        )
    if name == "small":
        return SmallTrunk(config.width, **tower, pools=pools, norm=config.norm)
    if name == "l3":
        return Tower(3, config.width, **tower, pools=pools, norm=config.norm)
    known = (*ARCHITECTURES, "timm:NAME", "torchvision:NAME")
    raise UserError(f"no vision encoder is called {name!r}{did_you_mean(name, known)}")
