"""``avssl.encoder``: an encoder of any make by its name, its file, or from a module."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from torch import nn

from avssl.errors import UserError
from avssl.networks.adapters import Features, ImageModule, WaveformModule
from avssl.networks.encoder import Encoder, Role, is_image_encoder, is_waveform_encoder
from avssl.networks.front_end import FrontEnd, FrontEndConfig
from avssl.networks.model import load
from avssl.networks.vision import MEAN, STD


def encoder(
    spec: str | Path | nn.Module | Encoder,
    weights: str | Path | None = None,
    *,
    role: Role = "vision",
    side: int | None = None,
    rate: int | None = None,
    seconds: float = 1.0,
    features: Features | None = None,
    front_end: FrontEnd | FrontEndConfig | None = None,
    mean: Sequence[float] | None = None,
    std: Sequence[float] | None = None,
) -> Encoder:
    """An encoder that tasks train and the protocols of ``avssl.evaluate`` take, in eval mode.

    Args:
        spec: the folder of a run, or a torch module.
        weights: a file of weights; None: they are random.
        role: "vision" or "audio".
        side: pixels of the square pictures it is given.
        rate: of a module of sound: samples a second.
        seconds: of a module of sound: the length of what it is given.
        features: of a module: from it and its input to maps (N, C, h, w), tokens (N, places, C) or vectors (N, C), or
            to those of several stages by name; None: the module is called.
        front_end: of a module of sound: makes the spectrogram (N, 1, bands, frames) that it takes; None: it takes the
            waveform (N, samples).
        mean, std: of the pictures on the scale 0..1; None: those of ImageNet.

    Raises:
        UserError: there is no such encoder, a package is missing, or the weights are of another network.
    """
    if isinstance(spec, nn.Module):
        return _of_module(spec, role, side, rate, seconds, features, front_end, mean, std)
    if is_image_encoder(spec) or is_waveform_encoder(spec):
        return spec
    return _of_run(Path(str(spec)), role)


def _of_module(
    net: nn.Module,
    role: Role,
    side: int | None,
    rate: int | None,
    seconds: float,
    features: Features | None,
    front_end: FrontEnd | FrontEndConfig | None,
    mean: Sequence[float] | None,
    std: Sequence[float] | None,
) -> Encoder:
    if features is None and (is_image_encoder(net) or is_waveform_encoder(net)):
        return net.eval()
    if role == "vision":
        if side is None:
            raise UserError("avssl.encoder(module) wants side=…, the pixels of the square pictures that it takes")
        return ImageModule(net, features, side=side, mean=mean or MEAN, std=std or STD).eval()
    if front_end is not None:
        config = front_end if isinstance(front_end, FrontEndConfig) else front_end.config
        rate, seconds = rate or config.rate, config.seconds
    if rate is None:
        raise UserError("avssl.encoder(module, role='audio') wants rate=…, the samples a second that it takes")
    return WaveformModule(net, features, rate=rate, seconds=seconds, front_end=front_end).eval()


def _of_run(place: Path, role: Role) -> Encoder:
    model = load(place)
    found = model.vision if role == "vision" else model.audio_encoder
    if found is None:
        raise UserError(f"{place} has no {role} encoder")
    return found
