"""Vision trunks: torchvision's AlexNet and ResNets, RotNet's Network-in-Network, and a small residual CNN for CPUs.

Each maps (N, 3, H, W) to (N, ``channels``, h, w), and ``stages(x)`` names the map of each of its stages.
"""

from __future__ import annotations

from collections import OrderedDict

from torch import Tensor, nn

from avssl.networks.config import Norm
from avssl.networks.tower import Tower, normalisation


class Trunk(nn.Module):
    """Stages one after the other; a pooling may stand between two of them."""

    channels: int

    def __init__(self) -> None:
        super().__init__()
        self.blocks = nn.ModuleDict()
        self.pools = nn.ModuleDict()
        """By the name of the stage that the pooling follows."""

    def stages(self, x: Tensor) -> OrderedDict[str, Tensor]:
        """The map of each stage, before the pooling that follows it, in order of depth."""
        maps: OrderedDict[str, Tensor] = OrderedDict()
        for name, block in self.blocks.items():
            x = block(x)
            maps[name] = x
            if name in self.pools:
                x = self.pools[name](x)
        return maps

    def forward(self, x: Tensor) -> Tensor:
        for name, block in self.blocks.items():
            x = block(x)
            if name in self.pools:
                x = self.pools[name](x)
        return x


class AlexNetTrunk(Trunk):
    """torchvision's AlexNet (the one-column net of Krizhevsky 2014) up to its last pooling, with normalisation.

    With ``norm="none"`` it is torchvision's own. At stride 4 pictures need 63 pixels, at stride 2 35.
    """

    def __init__(self, stride: int, norm: Norm) -> None:
        super().__init__()
        from torchvision import models  # heavy

        features = models.AlexNet().features
        number, name = 0, ""
        for layer in features:
            if isinstance(layer, nn.Conv2d):
                number += 1
                name = f"conv{number}"
                if number == 1:
                    layer.stride = (stride, stride)
                self.blocks[name] = nn.Sequential(layer, normalisation(norm, layer.out_channels), nn.ReLU(inplace=True))
                self.channels = layer.out_channels
            elif isinstance(layer, nn.MaxPool2d):
                self.pools[name] = layer


class NinTrunk(Trunk):
    """The Network-in-Network that RotNet trains on CIFAR (Gidaris, Singh & Komodakis 2018), without its classifier.

    Args:
        blocks: 3, 4 or 5; 4 in the authors' CIFAR code. Each is one spatial and two 1×1 convolutions.
        norm: published: "batch".
    """

    def __init__(self, blocks: int, norm: Norm) -> None:
        super().__init__()
        channels = 3
        for number in range(1, blocks + 1):
            kernel = 5 if number <= 2 else 3
            widths = (192, 160, 96) if number == 1 else (192, 192, 192)
            layers: list[nn.Module] = []
            for k, width in zip((kernel, 1, 1), widths, strict=True):
                conv = nn.Conv2d(channels, width, k, padding=k // 2, bias=norm == "none")
                # N(0, √(2 / (k² · out))), as the authors' code.
                nn.init.kaiming_normal_(conv.weight, mode="fan_out", nonlinearity="relu")
                layers += [conv, normalisation(norm, width), nn.ReLU(inplace=True)]
                channels = width
            self.blocks[f"conv{number}"] = nn.Sequential(*layers)
        self.pools["conv1"] = nn.MaxPool2d(3, 2, padding=1)
        if blocks > 2:
            self.pools["conv2"] = nn.AvgPool2d(3, 2, padding=1)
        self.channels = channels


class ResidualBlock(nn.Module):
    """A 3×3 convolution to ``out`` channels, then ``convs - 1`` more with a way around each of them."""

    def __init__(self, channels: int, out: int, convs: int, stride: int, norm: Norm) -> None:
        super().__init__()
        self.first = _conv(channels, out, stride, norm)
        self.more = nn.ModuleList(_conv(out, out, 1, norm) for _ in range(convs - 1))

    def forward(self, x: Tensor) -> Tensor:
        x = self.first(x)
        for conv in self.more:
            x = x + conv(x)
        return x


class SmallTrunk(Trunk):
    """L3's tower with residual connections around its later convolutions: more accurate at its cost on small pictures.

    Args:
        width: channels of the first block; each block doubles them.
        blocks: number of blocks; a 2×2 max-pooling follows each but the last.
        convs: 3×3 convolutions in a block.
        first_stride: stride of the very first one.
        pools: blocks that a pooling follows, at most ``blocks - 1``.
        norm: "batch", "group" or "none".
    """

    def __init__(self, width: int, *, blocks: int, convs: int, first_stride: int, pools: int, norm: Norm) -> None:
        super().__init__()
        channels = 3
        for number in range(1, blocks + 1):
            out = width * 2 ** (number - 1)
            stride = first_stride if number == 1 else 1
            self.blocks[f"conv{number}"] = ResidualBlock(channels, out, convs, stride, norm)
            if number <= min(pools, blocks - 1):
                self.pools[f"conv{number}"] = nn.MaxPool2d(2)
            channels = out
        self.channels = channels


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


VisionTrunk = Tower | Trunk | ResNetTrunk


def _conv(channels: int, out: int, stride: int, norm: Norm) -> nn.Sequential:
    conv = nn.Conv2d(channels, out, 3, stride, padding=1, bias=norm == "none")
    nn.init.kaiming_normal_(conv.weight, nonlinearity="relu")
    if conv.bias is not None:
        nn.init.zeros_(conv.bias)
    return nn.Sequential(conv, normalisation(norm, out), nn.ReLU(inplace=True))
