"""Encoders from ONNX files, frozen: one of ``avssl export``, or any network whose inputs and features are named."""

from __future__ import annotations

import hashlib
from collections import OrderedDict
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from avssl.errors import UserError, did_you_mean, reason_of
from avssl.installation import install_hint
from avssl.networks.adapters import ImageModule, WaveformModule
from avssl.networks.config import MEAN, STD
from avssl.networks.encoder import Encoder, Role


class OnnxNetwork(nn.Module):
    """An ONNX file as a module without weights: it computes on the CPU and has no gradients.

    Args:
        path: the file.
        outputs: names of the features, in order of depth; None: its first output.

    Raises:
        UserError: onnxruntime is missing, the file cannot be read, or has no such output.
    """

    def __init__(self, path: str | Path, outputs: Sequence[str] | None = None) -> None:
        super().__init__()
        self.name = Path(path).name
        try:
            self.data = Path(path).read_bytes()
        except OSError as error:
            raise UserError(f"{path} cannot be read ({error.strerror or error}); name an ONNX file") from None
        self.digest = hashlib.blake2b(self.data, digest_size=16).hexdigest()
        self._open(str(path))
        known = [one.name for one in self.session.get_outputs()]
        self.outputs = list(outputs or known[:1])
        for name in self.outputs:
            if name not in known:
                raise UserError(f"{path} has no output called {name!r}{did_you_mean(name, known)}")
        self.input = self.session.get_inputs()[0]

    def _open(self, called: str) -> None:
        try:
            import onnxruntime
        except ImportError:
            raise UserError(f"{called}: to read ONNX onnxruntime is missing: {install_hint('export')}") from None
        try:
            self.session = onnxruntime.InferenceSession(self.data, providers=["CPUExecutionProvider"])
            self.session.get_inputs(), self.session.get_outputs()  # names that damage made no UTF-8 show here
        except _failures() as error:
            raise UserError(
                f"{called} is no ONNX file that onnxruntime runs; export it again ({reason_of(error)})"
            ) from None

    @property
    def facts(self) -> dict[str, str]:
        """What ``avssl export`` wrote of it: architecture, side, rate, seconds."""
        found = self.session.get_modelmeta().custom_metadata_map
        return {key.removeprefix("avssl."): str(value) for key, value in found.items() if key.startswith("avssl.")}

    def forward(self, x: Tensor) -> OrderedDict[str, Tensor]:
        if self.input.type == "tensor(uint8)":  # with normalisation inside, as avssl exports
            x = (x * 255).round().clamp(0, 255).to(torch.uint8)
        fed = np.ascontiguousarray(x.detach().cpu().numpy())
        fixed = [f"{size}" if isinstance(size, int) else "any" for size in self.input.shape[1:]]
        if any(want not in ("any", str(size)) for want, size in zip(fixed, fed.shape[1:], strict=True)):
            raise UserError(
                f"{self.name} takes inputs of {' × '.join(fixed)} alone, not {' × '.join(map(str, fed.shape[1:]))}; "
                "export it with free height and width, or take a protocol that feeds squares of its side"
            )
        if self.input.type == "tensor(float16)":
            fed = fed.astype(np.float16)
        only_one = self.input.shape[0] == 1  # exported without a batch dimension that may vary
        batches = [fed[k : k + 1] for k in range(len(fed))] if only_one else [fed]
        try:
            found = [self.session.run(self.outputs, {self.input.name: one}) for one in batches]
        except _failures() as error:
            shape = tuple(fed.shape)
            raise UserError(f"{self.name} does not compute an input of the shape {shape}: {reason_of(error)}") from None
        arrays = (np.concatenate(parts) for parts in zip(*found, strict=True))
        tensors = (torch.from_numpy(one).float().to(x.device) for one in arrays)
        return OrderedDict(zip(self.outputs, tensors, strict=True))

    def __getstate__(self) -> dict[str, Any]:
        state = dict(self.__dict__)
        for name in ("session", "input"):  # they cannot be copied; the bytes can
            state.pop(name)
        return state

    def __setstate__(self, state: dict[str, Any]) -> None:
        super().__setstate__(state)  # type: ignore[no-untyped-call]
        self._open(self.name)
        self.input = self.session.get_inputs()[0]


def _failures() -> tuple[type[Exception], ...]:
    """What onnxruntime raises of a file or an input."""
    from onnxruntime.capi import onnxruntime_pybind11_state as states

    names = ("Fail", "InvalidArgument", "InvalidGraph", "InvalidProtobuf", "NotImplemented", "RuntimeException")
    return (UnicodeDecodeError, *(getattr(states, name) for name in names))


class _ByDigest:
    """Identifies an encoder by the bytes of its file rather than by its output."""

    net: nn.Module

    def describe(self) -> dict[str, Any]:
        net = self.net
        assert isinstance(net, OnnxNetwork)
        return {"type": "onnx", "config": {"name": net.name, "digest": net.digest, "outputs": net.outputs}}


class OnnxImages(_ByDigest, ImageModule):
    """An ONNX file of pictures as an encoder."""


class OnnxSounds(_ByDigest, WaveformModule):
    """An ONNX file of waveforms as an encoder."""


def onnx_encoder(
    path: str | Path,
    outputs: Sequence[str] | None = None,
    *,
    side: int | None = None,
    rate: int | None = None,
    seconds: float | None = None,
    mean: Sequence[float] | None = None,
    std: Sequence[float] | None = None,
) -> Encoder:
    """An ONNX file as a frozen encoder: of pictures (N, 3, H, W), or of waveforms (N, samples).

    What ``avssl export`` wrote needs nothing but the path. Other networks of pictures take floats less ``mean`` and
    divided by ``std``.

    Raises:
        UserError: the file cannot be read, or what it takes is not known.
    """
    net = OnnxNetwork(path, outputs)
    shape, facts = net.input.shape, net.facts
    role: Role = "audio" if len(shape) == 2 else "vision"
    if role == "audio":
        rate = rate or int(facts.get("rate", 0))
        samples = shape[1] if isinstance(shape[1], int) else None
        seconds = seconds or float(facts.get("seconds", 0)) or (samples / rate if samples and rate else 0.0)
        if not rate or not seconds:
            raise UserError(f"{path} takes waveforms; give rate=… and seconds=…")
        return OnnxSounds(net, rate=rate, seconds=seconds).eval()
    fixed = shape[2] if len(shape) == 4 and isinstance(shape[2], int) else 0
    side = side or int(facts.get("side", 0)) or fixed
    if len(shape) != 4 or not side:
        raise UserError(f"{path} takes inputs {tuple(shape)}, not pictures (N, 3, side, side); or give side=…")
    plain = net.input.type == "tensor(uint8)"
    mean, std = (mean or ((0.0,) * 3 if plain else MEAN)), (std or ((1.0,) * 3 if plain else STD))
    return OnnxImages(net, side=side, mean=mean, std=std).eval()


def permuted(encoder: ImageModule | WaveformModule) -> None:
    """Permute the entries of each weight of an ONNX encoder in place, from torch's global random state.

    Constants and vectors, such as biases and statistics of batch norms, stay: only what the weights learned is lost.

    Raises:
        UserError: the package onnx is missing.
    """
    try:
        import onnx
        from onnx import numpy_helper
    except ImportError:
        raise UserError(f"the random network beside an ONNX file needs onnx: {install_hint('export')}") from None
    net = encoder.net
    assert isinstance(net, OnnxNetwork)
    model = onnx.load_model_from_string(net.data)
    for weight in model.graph.initializer:
        values = numpy_helper.to_array(weight)
        if values.dtype.kind == "f" and sum(size > 1 for size in values.shape) > 1:
            order = torch.randperm(values.size).numpy()
            weight.CopyFrom(numpy_helper.from_array(values.reshape(-1)[order].reshape(values.shape), weight.name))
    net.data = model.SerializeToString()
    net.digest = hashlib.blake2b(net.data, digest_size=16).hexdigest()
    net._open(net.name)
