"""Networks of timm and torchvision as encoders: their maps, their weights from local files, other sizes of picture."""

from __future__ import annotations

import json
import sys

import pytest
import torch
from safetensors.torch import save_file

import avssl
from avssl.errors import UserError
from avssl.evaluate.data.encoders import random_twin
from avssl.networks.config import VisionConfig
from avssl.networks.dense import stage_channels, stage_scales
from avssl.networks.detector import EncoderBackbone
from avssl.networks.geometry import geometries
from avssl.networks.normals import NormalsNetwork
from avssl.networks.pose import PoseNetwork
from avssl.networks.saving import load_module, save_module
from avssl.networks.vision import VisionEncoder

timm = pytest.importorskip("timm", reason="the extra [timm] is not installed")
torchvision_models = pytest.importorskip("torchvision.models")

VIT, CNN = "timm:test_vit", "timm:test_efficientnet"


def encoder(name: str, side: int = 32) -> VisionEncoder:
    torch.manual_seed(0)
    return VisionEncoder(VisionConfig(name, side=side)).eval()


def normalised(frames, cfg):
    return (frames / 255 - torch.tensor(cfg["mean"]).view(3, 1, 1)) / torch.tensor(cfg["std"]).view(3, 1, 1)


def test_a_vit_of_timm_gives_the_map_of_its_patches_after_each_block():
    vit = encoder(VIT, 48)
    frames = torch.randint(0, 256, (2, 3, 48, 48), dtype=torch.uint8)
    with torch.no_grad():
        tokens = vit.trunk.net.forward_features(normalised(frames, vit.trunk.net.pretrained_cfg))
        stages = vit.stages(frames)
    assert list(stages) == [f"blocks-{k}" for k in range(len(stages))]
    last = stages[f"blocks-{len(stages) - 1}"]
    assert last.shape == (2, 64, 3, 3) and vit.channels == 64
    torch.testing.assert_close(last.flatten(2).transpose(1, 2), tokens[:, 1:])
    torch.testing.assert_close(vit(frames), last)


def test_its_positions_are_interpolated_to_other_pictures_and_a_rest_is_filled_up():
    vit = encoder(VIT)
    with torch.no_grad():
        assert vit(torch.rand(1, 3, 32, 80)).shape == (1, 64, 2, 5)
        frames = torch.rand(1, 3, 40, 32)
        longer = torch.cat([frames, frames[:, :, -1:].expand(-1, -1, 8, -1)], dim=2)
        torch.testing.assert_close(vit(frames), vit(longer))


def test_a_network_of_one_size_alone_says_so_in_one_line():
    mixer = encoder("timm:mixer_s32_224", 32)
    with pytest.raises(UserError, match="of one size alone"):
        mixer(torch.rand(1, 3, 64, 64))


def test_a_cnn_of_timm_gives_its_stages():
    cnn = encoder(CNN, 64)
    maps = cnn.stages(torch.rand(1, 3, 64, 64))
    assert [one.shape[-1] for one in maps.values()] == [32, 16, 8, 4, 2]
    assert maps[list(maps)[-1]].shape[1] == cnn.channels


@pytest.mark.parametrize(
    ("name", "why"),
    [
        ("timm:vit_smal_patch16_224", "did you mean .*vit_small_patch16_224"),
        ("torchvision:vit_b_61", "did you mean .*vit_b_16"),
        ("timn:resnet18", "give timm:NAME or torchvision:NAME"),
        (VIT, "patches of 16 px, so that their side must be 48 or 64 px"),
    ],
)
def test_what_is_no_encoder_is_refused_in_one_line(name, why):
    with pytest.raises(UserError, match=why) as caught:
        encoder(name, side=50)
    assert "\n" not in str(caught.value)


def test_without_timm_the_command_that_installs_it_is_named(monkeypatch):
    monkeypatch.setitem(sys.modules, "timm", None)
    with pytest.raises(UserError, match="needs the package timm: pip install"):
        encoder(VIT)


@pytest.mark.parametrize("name", [VIT, CNN, "torchvision:mobilenet_v3_small"])
def test_it_is_saved_and_rebuilt_and_every_weight_of_it_is_reached(name, tmp_path):
    made = encoder(name).train()
    save_module(made.eval(), tmp_path / "vision")
    again = load_module(tmp_path / "vision")
    frames = torch.rand(2, 3, 32, 32)
    assert torch.equal(made(frames), again(frames))
    made.train()(torch.rand(4, 3, 64, 64)).square().mean().backward()
    assert [key for key, weight in made.named_parameters() if weight.grad is None] == []


def test_random_twins_differ_by_the_seed_alone():
    vit, frames = encoder(VIT), torch.rand(1, 3, 32, 32)
    vit.get_buffer("mean").fill_(0.4)
    one, same, other = (random_twin(vit, seed) for seed in (0, 0, 1))
    assert torch.equal(one(frames), same(frames)) and not torch.equal(one(frames), other(frames))
    assert torch.equal(one.get_buffer("mean"), vit.get_buffer("mean")), "how pictures are normalised is no knowledge"


# --- weights ----------------------------------------------------------------------------------------------------


def published(name: str, classes: int = 10, seed: int = 3):
    """A network as its authors would train it, with a classifier."""
    torch.manual_seed(seed)
    return timm.create_model(name, num_classes=classes).eval()


@pytest.mark.parametrize("suffix", [".safetensors", ".pth"])
@pytest.mark.parametrize("name", ["test_vit", "test_efficientnet"])
def test_local_weights_under_timms_names_give_what_timm_gives(name, suffix, tmp_path):
    theirs, file = published(name), tmp_path / f"weights{suffix}"
    if suffix == ".pth":
        torch.save({"state_dict": {f"module.{key}": value for key, value in theirs.state_dict().items()}}, file)
    else:
        save_file(theirs.state_dict(), file)
    ours = avssl.encoder(f"timm:{name}", file)
    assert ours.side == 160, "what these were published with"
    frames = torch.randint(0, 256, (1, 3, 160, 160), dtype=torch.uint8)
    fed = normalised(frames, theirs.pretrained_cfg)
    with torch.no_grad():
        wanted = theirs.forward_intermediates(fed, norm=True, intermediates_only=True)[-1]
        torch.testing.assert_close(ours(frames), wanted)
        assert torch.equal(avssl.encoder(f"timm:{name}:{file}")(frames), ours(frames))


def test_a_vits_positions_are_interpolated_to_the_side_that_is_asked_for(tmp_path):
    theirs, file = published("test_vit"), tmp_path / "weights.safetensors"
    save_file(theirs.state_dict(), file)
    ours = avssl.encoder(VIT, file, side=48)
    assert ours.trunk.net.pos_embed.shape[1] == 9 + 1
    assert torch.equal(ours.trunk.net.blocks[0].attn.qkv.weight, theirs.blocks[0].attn.qkv.weight)


def test_weights_of_another_network_are_refused_in_one_line(tmp_path):
    file = tmp_path / "weights.safetensors"
    save_file(published("test_efficientnet").state_dict(), file)
    lacking = published("test_vit").state_dict()
    del lacking["blocks.1.attn.qkv.weight"]
    save_file(lacking, tmp_path / "lacking.safetensors")
    (tmp_path / "text.pth").write_text("no weights")
    torch.save([1, 2], tmp_path / "list.pth")
    for name, why in {
        "weights.safetensors": "does not take these weights",
        "lacking.safetensors": "blocks.1.attn.qkv.weight",
        "text.pth": "holds no weights that can be read",
        "list.pth": "tensors by name",
        "none.pth": "no such file of weights",
    }.items():
        with pytest.raises(UserError, match=why) as caught:
            avssl.encoder(VIT, tmp_path / name)
        assert "\n" not in str(caught.value)


def test_a_file_whose_reading_would_run_code_is_refused(tmp_path):
    class Trap:
        def __reduce__(self):
            return (print, ("code ran",))

    torch.save({"weight": Trap()}, tmp_path / "trap.pth")
    with pytest.raises(UserError, match="without running code"):
        avssl.encoder(VIT, tmp_path / "trap.pth")


def test_a_folder_that_timm_saved_for_the_hub_says_network_and_normalisation_itself(tmp_path):
    torch.manual_seed(0)
    theirs = timm.create_model("test_vit", num_classes=5, img_size=64, depth=2).eval()
    save_file(theirs.state_dict(), tmp_path / "model.safetensors")
    about = {"input_size": [3, 64, 64], "mean": [0.1, 0.2, 0.3], "std": [0.5, 0.6, 0.7], "num_classes": 5}
    config = {"architecture": "test_vit", "pretrained_cfg": about, "model_args": {"depth": 2}}
    (tmp_path / "config.json").write_text(json.dumps(config))
    ours = avssl.encoder(tmp_path)
    frames = torch.randint(0, 256, (1, 3, 64, 64), dtype=torch.uint8)
    with torch.no_grad():
        wanted = theirs.forward_features(normalised(frames, about))[:, 1:]
    assert ours.side == 64 and len(ours.stages(frames)) == 2
    torch.testing.assert_close(ours(frames).flatten(2).transpose(1, 2), wanted)
    save_module(ours, tmp_path / "saved" / "vision")
    torch.testing.assert_close(load_module(tmp_path / "saved" / "vision")(frames), ours(frames))


@pytest.mark.parametrize("name", ["resnet18", "alexnet", "convnext_tiny", "mobilenet_v3_small"])
def test_local_weights_of_torchvision_give_the_features_of_its_networks(name, tmp_path):
    torch.manual_seed(1)
    theirs = torchvision_models.get_model(name, weights=None, num_classes=7).eval()
    torch.save(theirs.state_dict(), tmp_path / "weights.pth")
    ours = avssl.encoder(f"torchvision:{name}", tmp_path / "weights.pth", side=96)
    frames = torch.randint(0, 256, (1, 3, 96, 96), dtype=torch.uint8)
    imagenet = {"mean": (0.485, 0.456, 0.406), "std": (0.229, 0.224, 0.225)}
    theirs.avgpool, theirs.fc, theirs.classifier = (torch.nn.Identity() for _ in range(3))
    with torch.no_grad():
        torch.testing.assert_close(ours(frames).flatten(1), theirs(normalised(frames, imagenet)).flatten(1))


def test_a_vit_of_torchvision_gives_the_map_of_its_patches():
    torch.manual_seed(0)
    net = torchvision_models.VisionTransformer(32, 16, 2, 2, 8, 16)
    vit = encoder("torchvision:vit_b_16", 32)
    vit.trunk.net, vit.trunk.names = net.eval(), ["layer1", "layer2"]
    x = torch.rand(2, 3, 32, 32)
    tokens = torch.cat([net.class_token.expand(2, -1, -1), net._process_input(x)], dim=1)
    wanted = net.encoder(tokens)[:, 1:].transpose(1, 2).reshape(2, 8, 2, 2)
    maps = vit.trunk.stages(x)
    torch.testing.assert_close(maps["layer2"], wanted)
    assert vit.trunk(torch.rand(1, 3, 32, 64)).shape == (1, 8, 2, 4), "positions are interpolated"


# --- where cells lie --------------------------------------------------------------------------------------------


def test_a_cell_of_a_vit_lies_in_the_middle_of_its_patch():
    assert {(one.stride, one.offset, one.channels, one.lost) for one in geometries(encoder(VIT)).values()} == {
        (16, 7.5, 64, 0)
    }


@pytest.mark.parametrize(("name", "stride", "offset"), [("resnet18", 16, 0.0), ("small", 4, 1.5)])
def test_where_cells_lie_is_measured_for_modules_of_any_make(name, stride, offset):
    own = encoder(name, 224)
    stage, known = list(geometries(own).items())[-2]
    module = avssl.encoder(own.trunk, side=224, features=lambda trunk, x: trunk.stages(x))
    measured = geometries(module)[stage]
    assert (measured.stride, measured.channels) == (known.stride, known.channels)
    assert abs(measured.offset - known.offset) <= known.stride / 8


def test_heads_for_boxes_joints_and_normals_stand_on_a_vit():
    vit, pictures = encoder(VIT, 64), torch.rand(2, 3, 64, 96)
    backbone = EncoderBackbone(vit)
    assert backbone.stage.startswith("blocks-") and backbone(pictures).shape == (2, backbone.out_channels, 4, 6)
    squares = pictures[..., :64]
    channels = {name: count for name, (count, _) in stage_channels(vit, 64).items()}
    assert PoseNetwork(vit, channels, 3, 16, 8, frozen=True)(squares).shape == (2, 3, 16, 16)
    assert NormalsNetwork(vit, stage_scales(vit, [pictures]), 8)(pictures).shape == (2, 3, 32, 48)


def test_weights_whose_names_are_numbers_are_those_of_another_network(tmp_path):
    torch.save({1: torch.zeros(2)}, tmp_path / "weights.pt")
    with pytest.raises(UserError, match=r"weights\.pt"):
        avssl.encoder("torchvision:resnet18", weights=tmp_path / "weights.pt")
