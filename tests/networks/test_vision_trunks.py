"""The vision encoders by name: their maps, their normalisation, their files."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from avssl.errors import UserError
from avssl.networks.config import ARCHITECTURES, VisionConfig
from avssl.networks.saving import load_module, save_module
from avssl.networks.vision import VisionEncoder

LIGHT = [name for name in ARCHITECTURES if name not in ("resnet34", "resnet50", "resnet101")]


def encoder(name: str, **options) -> VisionEncoder:
    torch.manual_seed(0)
    return VisionEncoder(VisionConfig(name, **{"width": 4, "side": 64, **options})).eval()


@pytest.mark.parametrize("name", LIGHT)
@pytest.mark.parametrize("norm", ["batch", "group", "none"])
def test_every_encoder_names_its_maps_and_the_norm_is_as_asked(name, norm):
    vision = encoder(name, norm=norm)
    frames = torch.randint(0, 256, (2, 3, 64, 64), dtype=torch.uint8)
    with torch.no_grad():
        stages, out = vision.stages(frames), vision(frames)
    assert len(stages) >= 4 and out.shape[:2] == (2, vision.channels)
    areas = [x.shape[2] * x.shape[3] for x in stages.values()]
    assert areas == sorted(areas, reverse=True)
    kinds = {type(m) for m in vision.modules()}
    assert (nn.BatchNorm2d in kinds) == (norm == "batch") and (nn.GroupNorm in kinds) == (norm == "group")


@pytest.mark.parametrize("name", LIGHT)
def test_every_encoder_is_rebuilt_from_its_files(tmp_path, name):
    vision = encoder(name)
    save_module(vision, tmp_path / "vision")
    again = load_module(tmp_path / "vision")
    frames = torch.rand(1, 3, 64, 64)
    with torch.no_grad():
        assert torch.equal(vision(frames), again(frames))


def test_the_network_in_network_has_the_published_layers():
    vision = encoder("nin", side=32)
    shapes = {name: tuple(x.shape[1:]) for name, x in vision.stages(torch.zeros(1, 3, 32, 32)).items()}
    assert shapes == {"conv1": (96, 32, 32), "conv2": (192, 16, 16), "conv3": (192, 8, 8), "conv4": (192, 8, 8)}
    convs = [m for m in vision.modules() if isinstance(m, nn.Conv2d)]
    assert [(c.kernel_size[0], c.out_channels) for c in convs[:6]] == [
        *((5, 192), (1, 160), (1, 96)),
        *((5, 192), (1, 192), (1, 192)),
    ]
    assert all(c.bias is None for c in convs)
    assert len(encoder("nin", blocks=5).stages(torch.zeros(1, 3, 32, 32))) == 5


def test_alexnet_without_norm_is_torchvisions():
    from torchvision import models

    vision, theirs = encoder("alexnet", norm="none", side=224), models.alexnet().eval()
    weights = dict(zip(vision.trunk.state_dict(), theirs.features.state_dict().values(), strict=True))
    vision.trunk.load_state_dict(weights)
    x = torch.rand(1, 3, 224, 224)
    with torch.no_grad():
        assert torch.allclose(vision(x), theirs.features(vision.normalise(x)), atol=1e-6)
    assert vision(x).shape[1:] == (256, 6, 6)
    assert encoder("alexnet-stride2", side=64)(torch.rand(1, 3, 64, 64)).shape[1:] == (256, 2, 2)


def test_the_number_of_blocks_is_an_option_of_the_towers():
    for name in ("l3", "small"):
        vision = encoder(name, blocks=3, first_stride=1, convs=2)
        shapes = [tuple(x.shape[1:]) for x in vision.stages(torch.zeros(1, 3, 32, 32)).values()]
        assert shapes == [(4, 32, 32), (8, 16, 16), (16, 8, 8)]
        assert vision(torch.zeros(1, 3, 32, 32)).shape[1:] == (16, 8, 8)


def test_pictures_too_small_for_alexnet_and_unknown_names_are_one_line():
    with pytest.raises(UserError, match="63 pixels"):
        encoder("alexnet", side=36)
    with pytest.raises(UserError, match="did you mean 'resnet18'"):
        encoder("resnet8")


def test_the_deep_resnets_are_torchvisions():
    for name, channels in (("resnet34", 512), ("resnet50", 2048), ("resnet101", 2048)):
        with torch.device("meta"):
            assert VisionEncoder(VisionConfig(name)).channels == channels
