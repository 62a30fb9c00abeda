"""Vision subnetworks: from uint8 frames to maps, normalisation included."""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import asdict, replace
from typing import Any

import torch
from torch import Tensor

from avssl.networks.config import ALEXNET_STRIDES, MEAN, RESNETS, STD, VisionConfig
from avssl.networks.encoder import ImageEncoder
from avssl.networks.foreign import ForeignTrunk, State, TimmTrunk, TorchvisionTrunk
from avssl.networks.module_trunk import ModuleTrunk
from avssl.networks.photometry import normalised
from avssl.networks.trunks import AlexNetTrunk, NinTrunk, ResNetTrunk, SmallTrunk, Tower, VisionTrunk


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
        # Buffers: statistics of pictures travel with the weights that were trained on pictures so normalised.
        self.register_buffer("mean", torch.tensor(mean).view(3, 1, 1))
        self.register_buffer("std", torch.tensor(std).view(3, 1, 1))

    def see_grey(self) -> None:
        """From now on see lightness alone, so that pictures with colour look like those without."""
        self.config = replace(self.config, grey=True)

    def normalise(self, frames: Tensor) -> Tensor:
        """uint8 0..255 or float 0..1 to the scale that the trunk takes."""
        return normalised(frames, self.get_buffer("mean"), self.get_buffer("std"), self.config.grey)

    def stages(self, frames: Tensor) -> OrderedDict[str, Tensor]:
        return self.trunk.stages(self.normalise(frames))

    def forward(self, frames: Tensor) -> Tensor:
        out: Tensor = self.trunk(self.normalise(frames))
        return out

    def describe(self) -> dict[str, Any]:
        config = asdict(self.config)
        if not config["arguments"]:
            del config["arguments"]  # as it was before there were any, so that digests stay
        return {"type": "vision", "config": config}


def foreign_trunk(config: VisionConfig, state: State | None = None) -> ForeignTrunk:
    """The trunk of "timm:NAME", "torchvision:NAME" or a network of one's own, with weights of a state dict, or random.

    Raises:
        UserError: there is no such network, or the weights are of another.
    """
    library, _, name = config.architecture.partition(":")
    if library == "timm":
        return TimmTrunk(name, config.side, config.arguments, state)
    if library == "module":
        return ModuleTrunk(config.architecture, config.side, state)
    return TorchvisionTrunk(name, config.side, state)


def _trunk(config: VisionConfig) -> VisionTrunk | ForeignTrunk:
    config.check()
    name = config.architecture
    if ":" in name:  # of another library, or a person's own
        return foreign_trunk(config)
    if name in RESNETS:
        return ResNetTrunk(name, config.norm)
    if name in ALEXNET_STRIDES:
        return AlexNetTrunk(ALEXNET_STRIDES[name], config.norm)
    if name == "nin":
        return NinTrunk(config.blocks, config.norm)
    tower = {"blocks": config.blocks, "convs": config.convs, "first_stride": config.first_stride}
    if name == "small":
        return SmallTrunk(config.width, **tower, pools=config.used_pools, norm=config.norm)
    return Tower(3, config.width, **tower, pools=config.used_pools, norm=config.norm)
