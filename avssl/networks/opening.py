"""``avssl.encoder``: any encoder by its name, its file, or from a module."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import SupportsIndex

import torch
from torch import nn

from avssl.errors import UserError
from avssl.networks.adapters import Features, ImageModule, WaveformModule
from avssl.networks.config import LIBRARIES, MEAN, RESNETS, STD, VisionConfig
from avssl.networks.encoder import Encoder, Role, is_image_encoder, is_waveform_encoder
from avssl.networks.foreign import published_side
from avssl.networks.front_end import FrontEnd, FrontEndConfig
from avssl.networks.model import load
from avssl.networks.module_trunk import with_state
from avssl.networks.own_modules import allow, divided, made
from avssl.networks.vision import VisionEncoder
from avssl.networks.weights import hub_config, load_weights, read_weights
from avssl.system.hub import fetched_run

# A value for each of red, green and blue; None: the usual ones.
Colour = Sequence[float] | None

# Pixels of the pictures that torchvision's weights of ResNets and AlexNet were trained on.
SUPERVISED_SIDE = 224


def encoder(
    spec: str | Path | nn.Module | Encoder,
    weights: str | Path | None = None,
    *,
    role: Role = "vision",
    side: int | None = None,
    rate: int | None = None,
    seconds: float | None = None,
    features: Features | Sequence[str] | None = None,
    front_end: FrontEnd | FrontEndConfig | None = None,
    mean: Colour = None,
    std: Colour = None,
) -> Encoder:
    """An encoder that tasks train and the protocols of ``avssl.evaluate`` take, in eval mode.

    Args:
        spec: "timm:NAME", "torchvision:NAME" or, of a function of one's own that makes a module,
            "module:PACKAGE.MODULE:FUNCTION", also with the weights behind another colon; the folder of a run, or
            "hf://ORG/NAME[@REVISION]" of one that was pushed; a folder that timm saved for Hugging Face's hub; an ONNX
            file, which stays frozen; or a torch module.
        weights: a local file of weights under the names of timm or torchvision, .safetensors or of torch.save, or a
            folder that holds one; None: they are random. Nothing is fetched.
        role: "vision" or "audio".
        side: pixels of the square pictures it is given; None: what a network of timm or torchvision was made for.
        rate: of a module of sound: samples a second.
        seconds: of a module of sound: the length of what it is given, by default a second.
        features: of a module: from it and its input to maps (N, C, h, w), tokens (N, places, C) or vectors (N, C), or
            to those of several stages by name; None: the module is called. Of an ONNX file: names of its outputs.
        front_end: of a module of sound: makes the spectrogram (N, 1, bands, frames) that it takes; None: it takes the
            waveform (N, samples).
        mean, std: of the pictures on the scale 0..1; None: those of a network of timm or torchvision,
            else of ImageNet.

    Raises:
        UserError: there is no such encoder, a package is missing, or the weights are of another network.
    """
    if Path(str(spec)).suffix == ".onnx":
        from avssl.networks.onnx_encoder import onnx_encoder  # heavy

        names = features if isinstance(features, Sequence) else None
        return onnx_encoder(str(spec), names, side=side, rate=rate, seconds=seconds, mean=mean, std=std)
    if isinstance(features, Sequence):
        raise UserError("features=… of a module is a function; names of outputs are of an ONNX file")
    # Before names: a module's text could look like one. An encoder that is no module follows.
    if isinstance(spec, nn.Module):
        return _of_module(spec, role, side, rate, seconds, features, front_end, mean, std)
    if is_image_encoder(spec) or is_waveform_encoder(spec):
        return spec
    if str(spec).partition(":")[0] in LIBRARIES:
        return _of_name(str(spec), weights, side, mean, std)
    place = Path(fetched_run(spec if isinstance(spec, Path) else str(spec)))
    if (place / "config.json").is_file():
        config, about = hub_config(place)
        found = load_weights(VisionEncoder(replace(config, side=side or config.side)), weights or place)
        return _with_colours(found, mean or about.get("mean"), std or about.get("std"))
    if weights is not None:
        raise UserError(f"weights are for timm:NAME or torchvision:NAME, not {spec}; leave them out")
    if not place.is_dir():
        raise UserError(
            f"no encoder is called {str(spec)!r}; give timm:NAME, torchvision:NAME, FILE.onnx, the folder of a run, or "
            "a torch module"
        )
    return _of_run(place, role)


def _of_name(spec: str, weights: str | Path | None, side: int | None, mean: Colour, std: Colour) -> Encoder:
    library, _, name = spec.partition(":")
    if library != "module":
        name, _, behind = name.partition(":")
        return _with_colours(_of_library(library, name, weights or behind or None, side), mean, std)
    allow(spec)
    spec, file = divided(spec)
    place = weights or file
    net = with_state(made(spec), spec, None if place is None else read_weights(place)).eval()
    if is_image_encoder(net) or is_waveform_encoder(net):
        return net
    return ImageModule(net, side=side or SUPERVISED_SIDE, mean=mean or MEAN, std=std or STD).eval()


def _of_library(library: str, name: str, weights: str | Path | None, side: int | None) -> VisionEncoder:
    own = library == "torchvision" and name in (*RESNETS, "alexnet")
    if own:  # under the names of this toolkit's own networks, which are built of torchvision's
        config = VisionConfig(name, norm="none" if name == "alexnet" else "batch", side=side or SUPERVISED_SIDE)
    else:
        config = VisionConfig(f"{library}:{name}", side=side or published_side(library, name))
    made = VisionEncoder(config)
    return (made if weights is None else load_weights(made, weights)).eval()


def _with_colours(encoder: VisionEncoder, mean: Colour, std: Colour) -> VisionEncoder:
    for name, values in (("mean", mean), ("std", std)):
        if values is not None:
            encoder.get_buffer(name).copy_(torch.tensor(tuple(values)).view(3, 1, 1))
    return encoder.eval()


def _of_module(
    net: nn.Module,
    role: Role,
    side: int | None,
    rate: int | None,
    seconds: float | None,
    features: Features | None,
    front_end: FrontEnd | FrontEndConfig | None,
    mean: Colour,
    std: Colour,
) -> Encoder:
    if features is None and (is_image_encoder(net) or is_waveform_encoder(net)):
        return net.eval()
    if role == "vision":
        if side is None:
            raise UserError("avssl.encoder(module) needs side=…, the pixels of the square pictures that it takes")
        if not isinstance(side, SupportsIndex) or int(side) < 1:
            raise UserError(f"side needs a whole number of pixels, not {side!r}")
        return ImageModule(net, features, side=int(side), mean=mean or MEAN, std=std or STD).eval()
    if front_end is not None:
        config = front_end if isinstance(front_end, FrontEndConfig) else front_end.config
        rate, seconds = rate or config.rate, config.seconds
    if rate is None:
        raise UserError("avssl.encoder(module, role='audio') needs rate=…, the samples a second that it takes")
    return WaveformModule(net, features, rate=rate, seconds=seconds or 1.0, front_end=front_end).eval()


def _of_run(place: Path, role: Role) -> Encoder:
    model = load(place)
    found = model.vision if role == "vision" else model.audio_encoder
    if found is None:
        raise UserError(f"{place} has no {role} encoder; give a run that has one")
    return found
