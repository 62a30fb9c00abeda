"""An ONNX file is an encoder that is frozen: what avssl exported, and networks of others by the names of outputs."""

from __future__ import annotations

import copy
from pathlib import Path

import numpy as np
import pytest
import torch
from probe_media import audio_encoder, vision_encoder

import avssl
from avssl.errors import UserError
from avssl.evaluate.data.encoders import random_twin, weights_digest
from avssl.networks.encoder import is_waveform_encoder, refuse_frozen
from avssl.networks.exporting import Portable, exported

onnx = pytest.importorskip("onnx", reason="the extra [export] is not installed")
pytest.importorskip("onnxruntime", reason="the extra [export] is not installed")


@pytest.fixture(scope="module")
def seeing(tmp_path_factory) -> Path:
    path = tmp_path_factory.mktemp("onnx") / "vision.onnx"
    path.write_bytes(exported(Portable(vision_encoder()), "onnx", {"side": 32}).data)
    return path


def two_convolutions(path: Path) -> Path:
    """Pictures (N, 3, 16, 16) of floats to "first" (N, 4, 8, 8) and "second" (N, 5, 4, 4)."""
    rng = np.random.default_rng(0)
    kinds = onnx.TensorProto.FLOAT
    weights = [rng.normal(size=shape).astype(np.float32) for shape in ((4, 3, 2, 2), (5, 4, 2, 2))]
    nodes = [
        onnx.helper.make_node("Conv", ["x", "w0"], ["first"], strides=[2, 2]),
        onnx.helper.make_node("Conv", ["first", "w1"], ["second"], strides=[2, 2]),
    ]
    graph = onnx.helper.make_graph(
        nodes,
        "two",
        [onnx.helper.make_tensor_value_info("x", kinds, ["batch", 3, 16, 16])],
        [onnx.helper.make_tensor_value_info(name, kinds, None) for name in ("second", "first")],
        [onnx.numpy_helper.from_array(one, f"w{k}") for k, one in enumerate(weights)],
    )
    model = onnx.helper.make_model(graph, opset_imports=[onnx.helper.make_opsetid("", 17)], ir_version=9)
    onnx.save(model, path)
    return path


def test_what_avssl_exported_gives_the_maps_of_the_run(seeing):
    ours, theirs = vision_encoder(), avssl.encoder(seeing)
    frames = torch.randint(0, 256, (3, 3, 32, 32), dtype=torch.uint8)
    with torch.no_grad():
        torch.testing.assert_close(theirs(frames), ours(frames), rtol=1e-3, atol=1e-4)
    assert (theirs.side, theirs.channels) == (32, ours.channels)
    torch.testing.assert_close(copy.deepcopy(theirs)(frames), theirs(frames))


def test_what_avssl_exported_of_sound_knows_its_rate_and_length(tmp_path):
    ours, path = audio_encoder(), tmp_path / "audio.onnx"
    path.write_bytes(exported(Portable(ours), "onnx", {"rate": 8000, "seconds": 0.5}).data)
    theirs = avssl.encoder(path)
    assert is_waveform_encoder(theirs) and (theirs.rate, theirs.seconds) == (8000, 0.5)
    waveform = torch.rand(2, 4000) - 0.5
    with torch.no_grad():
        torch.testing.assert_close(theirs(waveform), ours(waveform), rtol=1e-3, atol=1e-4)


def test_features_are_the_outputs_that_are_named(tmp_path):
    path = two_convolutions(tmp_path / "two.onnx")
    both = avssl.encoder(path, features=["first", "second"], mean=(0, 0, 0), std=(1, 1, 1))
    frames = torch.rand(2, 3, 16, 16)
    assert {name: tuple(one.shape) for name, one in both.stages(frames).items()} == {
        "first": (2, 4, 8, 8),
        "second": (2, 5, 4, 4),
    }
    assert torch.equal(avssl.encoder(path, mean=(0, 0, 0), std=(1, 1, 1))(frames), both(frames)), "its first output"
    assert weights_digest(both) != weights_digest(avssl.encoder(path))
    with pytest.raises(UserError, match="no output called 'thrid'"):
        avssl.encoder(path, features=["thrid"])


def test_its_random_twin_has_its_weights_permuted(tmp_path):
    encoder = avssl.encoder(two_convolutions(tmp_path / "two.onnx"))
    frames = torch.rand(2, 3, 16, 16)
    one, same, other = (random_twin(encoder, seed) for seed in (0, 0, 1))
    assert torch.equal(one(frames), same(frames)) and not torch.equal(one(frames), other(frames))
    assert not torch.equal(one(frames), encoder(frames))


def test_it_is_refused_where_an_encoder_learns_and_so_is_what_is_no_onnx_file(seeing, tmp_path):
    with pytest.raises(UserError, match=r"vision\.onnx is frozen"):
        refuse_frozen(avssl.encoder(seeing))
    (tmp_path / "text.onnx").write_text("no network")
    for name, why in {"text.onnx": "is no ONNX file", "none.onnx": "cannot be read"}.items():
        with pytest.raises(UserError, match=why) as caught:
            avssl.encoder(tmp_path / name)
        assert "\n" not in str(caught.value)


def test_damage_to_an_onnx_file_is_one_line(seeing, tmp_path):
    data = seeing.read_bytes()
    broken = tmp_path / "broken.onnx"
    name = onnx.load_model_from_string(data).graph.input[0].name.encode()
    for damaged in (b"", data[:100], data[: len(data) // 2], data.replace(name, b"\xf1" + name[1:]), bytes(300)):
        broken.write_bytes(damaged)
        with pytest.raises(UserError, match=r"broken\.onnx"):
            avssl.encoder(broken)
