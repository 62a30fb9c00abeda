"""Where the cells of a map lie: measured on a mean of windows, and true of the network itself."""

from __future__ import annotations

import pytest
import torch

from avssl.networks.config import ARCHITECTURES, VisionConfig
from avssl.networks.detector import EncoderBackbone, detector
from avssl.networks.geometry import LENGTH, WIDTH, Geometry, geometries, padded_to
from avssl.networks.vision import VisionEncoder

LIGHT = [name for name in ARCHITECTURES if name not in ("resnet34", "resnet50", "resnet101")]


def encoder(name: str) -> VisionEncoder:
    torch.manual_seed(0)
    return VisionEncoder(VisionConfig(name, width=4, side=64)).eval()


def test_known_architectures_have_their_known_strides():
    found = {name: list(geometries(encoder(name)).values())[-1] for name in ("small", "nin", "alexnet", "resnet18")}
    assert {name: (one.stride, one.offset) for name, one in found.items()} == {
        "small": (16, 7.0),
        "nin": (4, 0.0),
        "alexnet": (16, 15.0),
        "resnet18": (32, 0.0),
    }
    for name in ("small", "nin"):
        one = found[name]
        stage = list(encoder(name).stages(torch.zeros(1, 3, LENGTH, WIDTH)).values())[-1]
        assert one.lost == LENGTH // one.stride - stage.shape[2], name
        assert one.channels == stage.shape[1], name


def test_a_border_is_as_wide_as_the_first_cell_lies_inside_and_as_the_map_is_too_short():
    picture = torch.arange(12.0).view(1, 1, 3, 4)
    padded = padded_to(picture, Geometry(channels=1, stride=4, offset=2.5, lost=3))
    assert padded.shape == (1, 1, 2 + 3 + 16, 2 + 4 + 16), "a stride more than the cells that are lost"
    assert torch.equal(padded[0, 0, 2:5, 2:6], picture[0, 0])
    assert (padded[0, 0, :2, :2] == 0).all() and (padded[0, 0, 5:, 6:] == 11).all()


@pytest.mark.parametrize("name", LIGHT)
def test_a_cell_is_moved_most_by_the_pixels_about_its_centre(name):
    vision = encoder(name)
    for one in vision.trunk.parameters():
        one.data.abs_()  # so that no part of the window is heavier by chance
    stage, geometry = list(geometries(vision).items())[-2]
    frames = torch.rand(1, 3, 256, 64, requires_grad=True)
    cell = round(128 / geometry.stride)
    vision.stages(frames)[stage][0, :, cell].sum().backward()
    strength = frames.grad.sum((0, 1, 3))
    centre = float((strength * torch.arange(256)).sum() / strength.sum())
    assert abs(centre - (geometry.stride * cell + geometry.offset)) < max(0.5, geometry.stride / 4)


@pytest.mark.parametrize("name", LIGHT)
def test_every_encoder_gives_a_detector_a_map_whose_first_cell_lies_on_the_first_pixel(name):
    backbone = EncoderBackbone(encoder(name)).eval()
    height, width = 64, 96
    stride = backbone.geometry.stride
    with torch.no_grad():
        maps = backbone(torch.rand(1, 3, height, width))
    assert maps.shape == (1, backbone.out_channels, height // stride, width // stride)
    padded = padded_to(
        torch.arange(height).float().view(1, 1, height, 1).expand(1, 3, height, width), backbone.geometry
    )
    assert padded[0, 0, int(backbone.geometry.offset), 0] == 0  # the pixel that the first cell is centred on


def test_a_frozen_encoder_stays_in_eval_mode_and_learns_nothing_and_another_learns():
    pictures = [torch.rand(3, 64, 64)]
    targets = [{"boxes": torch.tensor([[8.0, 8.0, 40.0, 40.0]]), "labels": torch.tensor([1])}]
    for frozen in (True, False):
        network = detector(
            encoder("small"), 1, side=64, anchors=(16, 32), frozen=frozen, width=8, representation=8
        ).train()
        assert network.backbone.encoder.training is not frozen
        sum(network(pictures, targets).values()).backward()
        touched = [one.grad is not None for one in network.backbone.encoder.parameters()]
        assert any(touched) is not frozen
        assert network.backbone.mix[0].weight.grad.abs().sum() > 0
