"""Converting trunks of torchvision's architectures to torchvision's parameter names and back.

A batch normalisation behind a convolution of AlexNet, which torchvision's has not, is folded into that convolution:
with the statistics of training fixed, the two are one convolution. ResNets keep theirs.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn.utils.fusion import fuse_conv_bn_eval

from avssl.errors import UserError
from avssl.networks.audio import AudioEncoder
from avssl.networks.config import ALEXNET_STRIDES, RESNETS, Norm
from avssl.networks.trunks import AlexNetTrunk, ResNetTrunk, normalisation
from avssl.networks.vision import VisionEncoder

# Numbers of the five convolutions in ``features`` of torchvision's AlexNet.
ALEXNET_CONVOLUTIONS = (0, 3, 6, 8, 10)

_RESNET_ORDER = ("conv1", "bn1", "relu", "maxpool", "layer1", "layer2", "layer3", "layer4")
_RESNET = {"conv1": "stem.0", "bn1": "stem.1"} | {f"layer{k}": f"layers.layer{k}" for k in range(1, 5)}


@dataclass(frozen=True)
class TorchvisionBackbone:
    """An encoder's weights as torchvision names them."""

    state: dict[str, Tensor]  # all weights of the network but its classifier
    # Lines of Python that make ``net``, the network that takes them with ``net.load_state_dict(state)``.
    recipe: tuple[str, ...]
    net: nn.Module  # that network, weights loaded, in eval mode

    def maps(self, x: Tensor) -> Tensor:
        """The network's last map (N, C, h, w) of normalised pictures, or of spectrograms."""
        for name in ("features",) if hasattr(self.net, "features") else _RESNET_ORDER:
            x = self.net.get_submodule(name)(x)
        return x


def torchvision_backbone(encoder: VisionEncoder | AudioEncoder) -> TorchvisionBackbone:
    """The weights of an encoder in torchvision's names; UserError if torchvision has no such architecture."""
    name, trunk, norm = encoder.config.architecture, encoder.trunk, encoder.config.norm
    if isinstance(trunk, ResNetTrunk):
        state = {_renamed(key): tensor for key, tensor in trunk.state_dict().items()}
        recipe = _resnet_recipe(name, norm, isinstance(encoder, AudioEncoder))
    elif isinstance(trunk, AlexNetTrunk):
        state = _alexnet_state(trunk, norm)
        recipe = _alexnet_recipe(ALEXNET_STRIDES[name])
    else:
        known = ", ".join((*RESNETS, *ALEXNET_STRIDES))
        raise UserError(
            f"torchvision has no network like the encoder {name!r}, so its weights have no name there (it has names "
            f"for {known}); export it as .onnx or .pt2"
        )
    state = {key: tensor.detach().cpu().contiguous() for key, tensor in state.items()}
    net = _built(name, norm, isinstance(encoder, AudioEncoder))
    net.load_state_dict(state)
    return TorchvisionBackbone(state, recipe, net.eval())


def resnet_state(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """torchvision's names of a ResNet's weights to those of :class:`ResNetTrunk`; the classifier is left out."""
    found: dict[str, Tensor] = {}
    for name, tensor in state.items():
        first, _, rest = name.partition(".")
        if first in _RESNET:
            found[f"{_RESNET[first]}.{rest}"] = tensor
    return found


def alexnet_trunk_state(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """torchvision's names of AlexNet's weights to those of :class:`AlexNetTrunk` without normalisation."""
    names = {f"features.{number}": f"blocks.conv{k}.0" for k, number in enumerate(ALEXNET_CONVOLUTIONS, start=1)}
    pairs = ((*name.rpartition("."), tensor) for name, tensor in state.items())
    return {f"{names[layer]}.{kind}": tensor for layer, _, kind, tensor in pairs if layer in names}


def _renamed(key: str) -> str:
    theirs, ours = next(pair for pair in _RESNET.items() if key.startswith(f"{pair[1]}."))
    return theirs + key.removeprefix(ours)


def _alexnet_state(trunk: AlexNetTrunk, norm: Norm) -> dict[str, Tensor]:
    state: dict[str, Tensor] = {}
    for block, number in zip(trunk.blocks.values(), ALEXNET_CONVOLUTIONS, strict=True):
        assert isinstance(block, nn.Sequential)
        convolution, normal = block[0], block[1]
        assert isinstance(convolution, nn.Conv2d)
        if isinstance(normal, nn.BatchNorm2d):
            convolution = fuse_conv_bn_eval(convolution.eval(), normal.eval())
        elif not isinstance(normal, nn.Identity):
            raise UserError(
                f"this AlexNet has {norm} normalisation, which torchvision's has not and which cannot be folded into "
                "its convolutions; export it as .onnx or .pt2"
            )
        assert convolution.bias is not None
        state[f"features.{number}.weight"], state[f"features.{number}.bias"] = convolution.weight, convolution.bias
    return state


def _built(name: str, norm: Norm, sound: bool) -> nn.Module:
    """The network that the recipe makes."""
    from torchvision import models  # heavy

    if name in ALEXNET_STRIDES:
        net = models.alexnet()
        net.features[0].stride = (ALEXNET_STRIDES[name],) * 2
        net.classifier = nn.Identity()
        return net  # type: ignore[no-any-return]
    net = models.get_model(name, weights=None, norm_layer=lambda channels: normalisation(norm, channels))
    net.fc = nn.Identity()
    if sound:
        net.conv1 = nn.Conv2d(1, 64, 7, 2, 3, bias=False)
    return net  # type: ignore[no-any-return]


_NORM_LAYERS: dict[Norm, str] = {
    "batch": "",
    "group": "norm_layer=lambda channels: torch.nn.GroupNorm(8, channels)",  # all its widths are multiples of 8
    "none": "norm_layer=lambda channels: torch.nn.Identity()",
}


def _resnet_recipe(name: str, norm: Norm, sound: bool) -> tuple[str, ...]:
    lines = [f"net = torchvision.models.{name}({_NORM_LAYERS[norm]})", "net.fc = torch.nn.Identity()"]
    if sound:
        lines.insert(1, "net.conv1 = torch.nn.Conv2d(1, 64, 7, 2, 3, bias=False)")
    return tuple(lines)


def _alexnet_recipe(stride: int) -> tuple[str, ...]:
    lines = ["net = torchvision.models.alexnet()", "net.classifier = torch.nn.Identity()"]
    if stride != 4:
        lines.insert(1, f"net.features[0].stride = ({stride}, {stride})")
    return tuple(lines)


@torch.no_grad()
def difference(backbone: TorchvisionBackbone, encoder: VisionEncoder | AudioEncoder, x: Tensor) -> tuple[float, float]:
    """(largest difference between the maps of network and encoder, largest value) on prepared inputs ``x``."""
    ours, theirs = encoder.trunk(x), backbone.maps(x)
    return float((ours - theirs).abs().max()), float(ours.abs().max())
