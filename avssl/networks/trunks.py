"""Trunks: L3-Net's tower, torchvision's AlexNet and ResNets, RotNet's Network-in-Network, a small residual CNN.

Each maps (N, 3, H, W) to (N, ``channels``, h, w), and ``stages(x)`` names the map of each of its stages.
"""

from __future__ import annotations

from collections import OrderedDict

from torch import Tensor, nn

from avssl.networks.config import Norm


def normalisation(norm: Norm, channels: int) -> nn.Module:
    """A layer that normalises ``channels`` maps; "group" holds no statistics of the batch."""
    if norm == "batch":
        return nn.BatchNorm2d(channels)
    if norm == "group":
        groups = next(g for g in (8, 6, 4, 3, 2, 1) if channels % g == 0)
        return nn.GroupNorm(groups, channels)
    return nn.Identity()


class Trunk(nn.Module):
    """Stages one after the other; a pooling may stand between two of them."""

    channels: int

    def __init__(self) -> None:
        super().__init__()
        self.blocks = nn.ModuleDict()
        self.pools = nn.ModuleDict()  # by the name of the stage that the pooling follows

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


class Tower(Trunk):
    """Blocks of 3×3 convolutions, each with normalisation and ReLU; 2×2 max-pooling after the first ``pools`` blocks.

    With ``width=64, convs=2, first_stride=1, pools=3`` it is a tower of L3-Net (Arandjelović & Zisserman 2017);
    ``first_stride=2`` that of AVE-Net and AVOL-Net (2018). There is no pooling at the end: the map is the output.

    Args:
        in_channels: of the input.
        width: channels of the first block; each block doubles them.
        blocks: number of blocks; the output has ``width * 2 ** (blocks - 1)`` channels.
        convs: convolutions in a block.
        first_stride: stride of the very first convolution.
        pools: blocks that a pooling follows.
        norm: "batch", "group" or "none".
    """

    def __init__(
        self,
        in_channels: int,
        width: int,
        *,
        blocks: int = 4,
        convs: int = 2,
        first_stride: int = 1,
        pools: int = 3,
        norm: Norm = "batch",
    ) -> None:
        super().__init__()
        channels = in_channels
        for block in range(blocks):
            out = width * 2**block
            layers: list[nn.Module] = []
            for conv in range(convs):
                stride = first_stride if block == conv == 0 else 1
                layers += [
                    nn.Conv2d(channels, out, 3, stride, padding=1, bias=norm == "none"),
                    normalisation(norm, out),
                    nn.ReLU(inplace=True),
                ]
                channels = out
            self.blocks[f"conv{block + 1}"] = nn.Sequential(*layers)
            if block < pools:
                self.pools[f"conv{block + 1}"] = nn.MaxPool2d(2)
        self.channels = channels
        self.apply(_he_normal)  # after all layers: what torch draws for them first is part of what a seed gives


class AlexNetTrunk(Trunk):
    """torchvision's AlexNet (the one-column net of Krizhevsky 2014) up to its last pooling, with normalisation.

    With ``norm="none"`` it is torchvision's own. At stride 4 pictures need 63 pixels, at stride 2 35.
    """

    def __init__(self, stride: int, norm: Norm) -> None:
        super().__init__()
        from torchvision import models  # heavy

        features = models.AlexNet().features
        number, name = 0, ""  # stages are named by their convolutions, the pooling after one by that one
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

    Args: those of :class:`Tower`, but that no pooling follows the last block.
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
    """A torchvision ResNet (He et al. 2016, with the stride in its 3×3 convolutions) without pooling and classifier."""

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


VisionTrunk = Trunk | ResNetTrunk


def _conv(channels: int, out: int, stride: int, norm: Norm) -> nn.Sequential:
    conv = nn.Conv2d(channels, out, 3, stride, padding=1, bias=norm == "none")
    _he_normal(conv)
    return nn.Sequential(conv, normalisation(norm, out), nn.ReLU(inplace=True))


def _he_normal(module: nn.Module) -> None:
    # He-normal, as the most careful re-implementation of L3-Net uses (marl/l3embedding).
    if isinstance(module, nn.Conv2d):
        nn.init.kaiming_normal_(module.weight, nonlinearity="relu")
        if module.bias is not None:
            nn.init.zeros_(module.bias)
