"""Encoders that leave: each file gives the numbers of the module, and is read with nothing but torch or onnxruntime."""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from avssl.errors import UserError
from avssl.networks import exporting
from avssl.networks.audio import AudioConfig, AudioEncoder
from avssl.networks.config import VisionConfig
from avssl.networks.exporting import Portable, exported
from avssl.networks.front_end import FrontEndConfig
from avssl.networks.fusion import FUSIONS
from avssl.networks.torchvision_names import torchvision_backbone
from avssl.networks.vision import VisionEncoder

pytestmark = pytest.mark.slow


def _lived(module):
    """With batch statistics and weights as after some training, so that nothing is lost unseen."""
    torch.manual_seed(0)
    for part in module.modules():
        if isinstance(part, nn.BatchNorm2d):
            part.running_mean.normal_(0, 0.2)
            part.running_var.uniform_(0.5, 2)
            nn.init.uniform_(part.weight, 0.5, 1.5)
            nn.init.normal_(part.bias, 0, 0.2)
        if isinstance(part, nn.Conv2d) and part.bias is not None:
            nn.init.normal_(part.bias, 0, 0.2)
    return module.eval()


def _vision(architecture="small", norm="batch", side=32):
    return _lived(VisionEncoder(VisionConfig(architecture, width=4, convs=1, blocks=2, norm=norm, side=side)))


def _audio(name="log-mel", architecture="l3"):
    front_end = FrontEndConfig(name, rate=8000, bands=16, seconds=0.5)
    encoder = _lived(AudioEncoder(AudioConfig(front_end, architecture, width=4, convs=1)))
    encoder.front_end.set_statistics(-6.0, 3.0)
    return encoder


def _with_nothing_but(packages: tuple[str, ...], code: str, folder: Path) -> None:
    """Run code in a fresh Python in which avssl, and of the heavy packages all but these, cannot be imported."""
    barred = {"avssl", "torch", "torchvision", "torchaudio", "onnx", "onnxscript", "onnxruntime"} - set(packages)
    opening = f"import sys\nfor name in {sorted(barred)!r}: sys.modules[name] = None\n"
    words = [sys.executable, "-I", "-c", opening + code]
    done = subprocess.run(words, cwd=folder, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


CLOSE = """
import numpy as np
def close(name, found):
    said = np.load(f"{name}.out.npy")
    assert found.shape == said.shape and np.abs(found - said).max() < 1e-3 * np.abs(said).max(), (name, found, said)
def given(name):
    return np.load(f"{name}.in.npy")
"""


def _write(folder: Path, name: str, module: Portable, form: str) -> exporting.Exported:
    """The file, an input of it, and what the module says of that input."""
    made = exported(module, form, {"side": 32}, Path(name).suffix)
    (folder / name).write_bytes(made.data)
    x = module.examples(3)
    np.save(folder / f"{name}.in.npy", x.numpy())
    with torch.no_grad():
        np.save(folder / f"{name}.out.npy", module(x).numpy())
    return made


def _fusion(name, vision, audio):
    torch.manual_seed(1)
    return FUSIONS[name](vision.channels, audio.channels).eval()


def test_torch_alone_reads_what_torch_export_wrote(tmp_path):
    vision, audio = _vision(), _audio()
    modules = {"frames.pt2": Portable(vision), "sound.pt2": Portable(audio, _fusion("avol", vision, audio))}
    assert all(_write(tmp_path, name, module, "torch-export").difference == 0 for name, module in modules.items())
    code = f"""
import torch
for name in {list(modules)!r}:
    encoder = torch.export.load(name).module()
    close(name, encoder(torch.from_numpy(given(name))).detach().numpy())
    assert len(encoder(torch.from_numpy(given(name)[:1]))) == 1
"""
    _with_nothing_but(("torch",), CLOSE + code, tmp_path)


def test_onnxruntime_alone_reads_onnx_front_end_included(tmp_path):
    pytest.importorskip("onnxscript")
    modules = {"frames.onnx": Portable(_vision())}
    modules |= {f"{name}.onnx": Portable(_audio(name)) for name in ("log-mel", "ave", "openl3-training-mel128")}
    for name, module in modules.items():
        made = _write(tmp_path, name, module, "onnx")
        assert made.difference < 1e-4 * made.largest
    code = f"""
import onnxruntime
for name in {list(modules)!r}:
    session = onnxruntime.InferenceSession(name)
    told = session.get_inputs()[0]
    frames = name == "frames.onnx"
    assert (told.name, told.type) == (("frames", "tensor(uint8)") if frames else ("waveform", "tensor(float)"))
    close(name, session.run(["map"], {{told.name: given(name)}})[0])
    assert len(session.run(None, {{told.name: given(name)[:1]}})[0]) == 1
    assert session.get_modelmeta().custom_metadata_map["avssl.side"] == "32"
"""
    _with_nothing_but(("onnxruntime",), CLOSE + code, tmp_path)


def test_torchvision_takes_the_weights_as_the_recipe_says(tmp_path):
    encoders = {
        "batch.safetensors": _vision("resnet18", side=64),
        "group.pth": _vision("resnet18", "group", 64),
        "folded.safetensors": _vision("alexnet", "batch", 64),
        "stride2.pth": _vision("alexnet-stride2", "none", 64),
    }
    code = "import safetensors.torch, torch, torchvision\n"
    for name, encoder in encoders.items():
        made = _write(tmp_path, name, Portable(encoder), "torchvision")
        recipe = "\n".join(made.usage).replace("FILE", repr(name))
        code += f"""
{recipe}
x = torch.from_numpy(given({name!r})) / 255 - torch.tensor({[0.485, 0.456, 0.406]}).view(3, 1, 1)
layer = net.features if hasattr(net, "features") else net.layer4
layer.register_forward_hook(lambda module, given, out: close({name!r}, out.detach().numpy()))
net.eval()(x / torch.tensor({[0.229, 0.224, 0.225]}).view(3, 1, 1))
"""
    _with_nothing_but(("torch", "torchvision"), CLOSE + code, tmp_path)


@pytest.mark.parametrize("fusion", sorted(FUSIONS))
def test_the_exported_embedding_is_that_of_the_model(fusion):
    from avssl.networks.model import Model

    vision, audio = _vision(), _audio()
    model = Model(vision, audio, _fusion(fusion, vision, audio)).eval()
    frames, sounds = Portable(vision, model.fusion), Portable(audio, model.fusion)
    with torch.no_grad():
        torch.testing.assert_close(frames(frames.examples(3)), model.image(frames.examples(3)))
        torch.testing.assert_close(sounds(sounds.examples(3)), model.audio(sounds.examples(3), 8000))
    assert exported(frames, "torch-export", {}).difference == 0


def test_a_resnet_that_hears_has_torchvisions_names_too():
    backbone = torchvision_backbone(_audio(architecture="resnet18"))
    assert backbone.state["conv1.weight"].shape == (64, 1, 7, 7)
    assert any("Conv2d(1, 64" in line for line in backbone.recipe)


@pytest.mark.parametrize(
    ("encoder", "reason"),
    [
        (lambda: _vision("small"), "torchvision has no network like the encoder 'small'"),
        (lambda: _vision("alexnet", "group", 64), "has group normalisation"),
    ],
)
def test_what_has_no_name_in_torchvision_is_refused(encoder, reason):
    with pytest.raises(UserError, match=reason):
        exported(Portable(encoder()), "torchvision", {})


def test_a_file_that_gives_other_numbers_is_refused(monkeypatch):
    real = exporting._torch_export

    def wrong(module, facts):
        made = real(module, facts)
        return replace(made, difference=0.01 * made.largest)

    monkeypatch.setattr(exporting, "_torch_export", wrong)
    with pytest.raises(UserError, match="differs from the module by"):
        exported(Portable(_vision()), "torch-export", {})


def test_the_comparison_sees_other_numbers_shapes_and_what_is_not_finite():
    module = Portable(_vision())
    with torch.no_grad():
        same, largest = exporting._compared(module, module)
        other, _ = exporting._compared(module, lambda x: module(x) + 0.5)
        shape, _ = exporting._compared(module, lambda x: module(x)[:1])
        broken, _ = exporting._compared(module, lambda x: module(x) * float("nan"))
    assert same == 0
    assert largest > 0
    assert other == pytest.approx(0.5, abs=1e-4)
    assert shape == broken == float("inf")


def test_without_its_packages_onnx_is_refused_with_the_extra(monkeypatch):
    monkeypatch.setitem(sys.modules, "onnxscript", None)
    with pytest.raises(UserError, match=r"pip install .*'onnx"):
        exported(Portable(_vision()), "onnx", {})


def test_the_safetensors_file_says_what_it_is(tmp_path):
    from safetensors import safe_open

    made = exported(Portable(_vision("alexnet", side=64)), "torchvision", {"encoder": "vision"}, ".safetensors")
    (tmp_path / "weights.safetensors").write_bytes(made.data)
    with safe_open(tmp_path / "weights.safetensors", "pt") as file:
        assert json.loads(file.metadata()["avssl"]) == {"encoder": "vision"}
        assert "alexnet" in file.metadata()["recipe"]
