"""Vision subnetworks: from uint8 frames to maps, normalisation included."""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import asdict, dataclass
from typing import Any

import torch
from torch import Tensor, nn

from avssl.errors import UserError
from avssl.networks.tower import Norm, Tower, normalisation

# Mean and standard deviation of natural pictures on the scale 0..1 (those of torchvision's models): only a
# fixed change of scale here, the same for every task, so that tasks can share an encoder.
MEAN = (0.485, 0.456, 0.406)
STD = (0.229, 0.224, 0.225)

RESNETS = ("resnet18", "resnet34", "resnet50", "resnet101")


@dataclass(frozen=True)
class VisionConfig:
    """What rebuilds a vision encoder. ``architecture`` is "l3" or one of torchvision's ResNets."""

    architecture: str = "l3"
    width: int = 64
    convs: int = 2
    first_stride: int = 2
    pools: int = 3
    norm: Norm = "batch"
    side: int = 224


class VisionEncoder(nn.Module):
    """Frames to a map of features.

    Input: (N, 3, H, W), uint8 0..255 or float 0..1. Output: (N, ``channels``, h, w).
    """

    role = "vision"

    def __init__(self, config: VisionConfig) -> None:
        super().__init__()
        self.config = config
        self.register_buffer("mean", torch.tensor(MEAN).view(3, 1, 1))
        self.register_buffer("std", torch.tensor(STD).view(3, 1, 1))
        self.trunk: nn.Module
        if config.architecture == "l3":
            self.trunk = Tower(
                3,
                config.width,
                convs=config.convs,
                first_stride=config.first_stride,
                pools=config.pools,
                norm=config.norm,
            )
            self.channels = self.trunk.channels
        elif config.architecture in RESNETS:
            self.trunk = ResNetTrunk(config.architecture, config.norm)
            self.channels = self.trunk.channels
        else:
            raise UserError(f"no vision encoder is called {config.architecture!r}; there are: l3, {', '.join(RESNETS)}")

    def normalise(self, frames: Tensor) -> Tensor:
        """uint8 0..255 or float 0..1 to the scale that the trunk takes."""
        if not frames.is_floating_point():
            frames = frames.float() / 255
        mean, std = self.get_buffer("mean"), self.get_buffer("std")
        return (frames - mean) / std

    def stages(self, frames: Tensor) -> OrderedDict[str, Tensor]:
        """The map of each stage by name, in order of depth, for probes."""
        maps: OrderedDict[str, Tensor] = self.trunk.stages(self.normalise(frames))  # type: ignore[operator]
        return maps

    def forward(self, frames: Tensor) -> Tensor:
        out: Tensor = self.trunk(self.normalise(frames))
        return out

    def describe(self) -> dict[str, Any]:
        """What :func:`avssl.networks.saving.load_module` needs to rebuild this encoder."""
        return {"type": "vision", "config": asdict(self.config)}


class ResNetTrunk(nn.Module):
    """A torchvision ResNet without its pooling and classifier."""

    def __init__(self, name: str, norm: Norm) -> None:
        super().__init__()
        from torchvision import models  # heavy

        net = models.get_model(name, weights=None, norm_layer=lambda channels: normalisation(norm, channels))
        self.stem = nn.Sequential(net.conv1, net.bn1, net.relu)
        self.maxpool = net.maxpool
        self.layers = nn.ModuleDict({f"layer{k}": getattr(net, f"layer{k}") for k in range(1, 5)})
        self.channels: int = net.fc.in_features

    def stages(self, x: Tensor) -> OrderedDict[str, Tensor]:
        maps: OrderedDict[str, Tensor] = OrderedDict()
        maps["stem"] = self.stem(x)
        x = self.maxpool(maps["stem"])
        for name, layer in self.layers.items():
            x = layer(x)
            maps[name] = x
        return maps

    def forward(self, x: Tensor) -> Tensor:
        return next(reversed(self.stages(x).values()))
