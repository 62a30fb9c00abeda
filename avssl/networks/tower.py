"""The convolutional tower that the published vision and audio subnetworks share."""

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


class Tower(nn.Module):
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
        self.blocks = nn.ModuleDict()
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
        self.pools = pools
        self.pool = nn.MaxPool2d(2)
        self.channels = channels
        self.apply(_he_normal)

    def stages(self, x: Tensor) -> OrderedDict[str, Tensor]:
        """The map after each block, before its pooling: {"conv1": (N, C1, h, w), …}."""
        maps: OrderedDict[str, Tensor] = OrderedDict()
        for number, (name, block) in enumerate(self.blocks.items()):
            x = block(x)
            maps[name] = x
            if number < self.pools:
                x = self.pool(x)
        return maps

    def forward(self, x: Tensor) -> Tensor:
        for number, block in enumerate(self.blocks.values()):
            x = block(x)
            if number < self.pools:
                x = self.pool(x)
        return x


def _he_normal(module: nn.Module) -> None:
    # He-normal, as the most careful re-implementation of L3-Net uses (marl/l3embedding).
    if isinstance(module, nn.Conv2d):
        nn.init.kaiming_normal_(module.weight, nonlinearity="relu")
        if module.bias is not None:
            nn.init.zeros_(module.bias)
