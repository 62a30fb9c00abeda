"""Encoders of other makes go through every protocol from the command line and from Python, or one line says why not."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from made_boxes import write_voc
from made_people import write_people
from made_surfaces import write_surfaces
from made_videos import write_davis
from probe_media import vision_encoder, write_pictures
from safetensors.torch import save_file
from small_runs import Result, write_clip
from torch import Tensor, nn

import avssl
from avssl.cli.main import main
from avssl.errors import UserError
from avssl.experiment.protocols import PRETEXT, PROTOCOLS
from avssl.networks.exporting import Portable, exported

pytestmark = pytest.mark.slow

TINY: dict[str, dict[str, Any]] = {
    "linear": {"iterations": 2, "penalties": "0.1"},
    "knn": {"neighbours": 2},
    "svm": {"costs": "0.1"},
    "low-shot": {"shots": 2, "samples": 1, "cost": 0.1},
    "finetune": {"steps": 1, "batch_size": 4, "rates": "1e-3"},
    "keypoints": {"steps": 1, "batch_size": 2, "rates": "1e-3"},
    "detection": {"steps": 1, "batch_size": 2, "side": 64, "anchors": "16,32", "draws": 20},
    "normals": {"steps": 1, "batch_size": 2, "side": 64, "draws": 20},
    "neighbors": {"neighbours": 2, "queries": 2},
    "propagation": {"side": 64, "draws": 20, "overlays": 1},
}
"""Protocols of an encoder alone, with options that make them short."""

LEARNS = ("detection", "keypoints", "normals")
"""Of these, those that learn with the encoder where --finetune asks; finetune always does."""

FREE_SIZES = ("detection", "normals", "propagation")
"""Those that feed whole pictures, which this ONNX file of one size cannot take."""

NEED_MORE = {
    **dict.fromkeys(PRETEXT, "takes no encoder: it is evaluated with the head that was trained with it"),
    "retrieval": "takes no encoder: it needs both encoders of a run",
    "synchronization": "takes no encoder: it is evaluated with what was trained to compare picture and sound",
    "localization": "takes no encoder: it needs both encoders of a run; the maps of any other model are given with",
    "leaks": "takes no encoder: it compares two lists or folders",
}
"""The others, and the line that says why."""


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """The smallest data of each protocol."""
    folder = tmp_path_factory.mktemp("data")
    pictures = write_pictures(folder / "pictures", each=4)
    (folder / "clips").mkdir()
    for number in range(2):
        write_clip(folder / "clips" / f"{number}.mp4", number)
    return {
        **dict.fromkeys(PROTOCOLS, pictures),
        "keypoints": write_people(folder / "people", count=12),
        "detection": write_voc(folder / "boxes"),
        "normals": write_surfaces(folder / "surfaces"),
        "propagation": write_davis(folder / "davis"),
        "retrieval": folder / "clips",
        "localization": folder / "clips",
    }


def _timm(folder: Path) -> str:
    timm = pytest.importorskip("timm", reason="the extra [timm] is not installed")
    torch.manual_seed(0)
    save_file(timm.create_model("test_efficientnet").state_dict(), folder / "net.safetensors")
    return f"timm:test_efficientnet:{folder / 'net.safetensors'}"


def _torchvision(folder: Path) -> str:
    from torchvision import models

    torch.manual_seed(0)
    torch.save(models.squeezenet1_1().state_dict(), folder / "net.pth")
    return f"torchvision:squeezenet1_1:{folder / 'net.pth'}"


def _onnx(folder: Path) -> str:
    pytest.importorskip("onnxruntime", reason="the extra [export] is not installed")
    (folder / "net.onnx").write_bytes(exported(Portable(vision_encoder()), "onnx", {"side": 32}).data)
    return str(folder / "net.onnx")


def _module(folder: Path) -> nn.Module:
    def features(net: nn.Module, x: Tensor) -> dict[str, Tensor]:
        first = net.get_submodule("0")(x)
        return {"first": first, "second": net.get_submodule("2")(first.relu())}

    net = nn.Sequential(nn.Conv2d(3, 4, 3, 2), nn.ReLU(), nn.Conv2d(4, 6, 3, 2))
    return avssl.encoder(net, features=features, side=32)  # type: ignore[return-value]


KINDS: dict[str, Callable[[Path], Any]] = {
    "timm": _timm,
    "torchvision": _torchvision,
    "onnx": _onnx,
    "module": _module,
}


@pytest.fixture(scope="module", params=KINDS)
def encoder(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Any:
    """A name for the command line, or a module."""
    return KINDS[request.param](tmp_path_factory.mktemp("encoder"))


def evaluated(protocol: str, encoder: Any, data: Path, out: Path, capfd: Any, options: dict[str, Any]) -> Result:
    """From the command line where the encoder has a name, else from Python."""
    capfd.readouterr()
    if isinstance(encoder, str):
        flags = [f"--{name.replace('_', '-')}={value}" for name, value in options.items()]
        words = ["evaluate", protocol, "--encoder", encoder, "--data", str(data), "-o", str(out), "--device=cpu"]
        return Result(main([*words, *flags]), *capfd.readouterr())
    try:
        avssl.evaluate(protocol, encoder, data, output=out, device="cpu", **options)
    except UserError as error:
        return Result(2, "", f"avssl: {error}\n")
    return Result(0, "", "")


def test_every_protocol_has_its_place_in_this_table() -> None:
    assert TINY.keys() | NEED_MORE.keys() == PROTOCOLS.keys()


@pytest.mark.parametrize("protocol", TINY)
def test_a_protocol_of_an_encoder(
    protocol: str, encoder: Any, data: dict[str, Path], tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    result = evaluated(protocol, encoder, data[protocol], tmp_path, capfd, TINY[protocol])
    frozen = isinstance(encoder, str) and encoder.endswith(".onnx")
    if frozen and protocol == "finetune":
        assert result.status == 2
        assert result.err.endswith(
            "is frozen: it has no weights that could be trained; evaluate it with a protocol "
            "that leaves the encoder as it is\n"
        )
        return
    if frozen and protocol in FREE_SIZES:
        assert result.status == 2 and "net.onnx takes inputs of 3 × 32 × 32 alone, not 3 × 64 ×" in result.err
        return
    assert result.status == 0, result.err
    rows = json.loads(next(tmp_path.glob(f"{protocol}*.json")).read_text())
    assert {"trained", "random"} <= {row["name"].split("/")[0].split(",")[0] for row in rows}


@pytest.mark.parametrize("protocol", LEARNS)
def test_a_protocol_that_trains_the_encoder_with_its_head(
    protocol: str, encoder: Any, data: dict[str, Path], tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    result = evaluated(protocol, encoder, data[protocol], tmp_path, capfd, TINY[protocol] | {"finetune": True})
    if isinstance(encoder, str) and encoder.endswith(".onnx"):
        assert result.status == 2 and "is frozen: it has no weights" in result.err
        return
    assert result.status == 0, result.err
    assert (tmp_path / f"{protocol}-finetuned.json").is_file()


@pytest.mark.parametrize("protocol", NEED_MORE)
def test_a_protocol_that_needs_more_than_an_encoder_says_what(
    protocol: str, encoder: Any, data: dict[str, Path], tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    result = evaluated(protocol, encoder, data[protocol], tmp_path, capfd, {})
    assert result.status == 2
    assert NEED_MORE[protocol] in result.err
    assert result.err.count("\n") == 1
