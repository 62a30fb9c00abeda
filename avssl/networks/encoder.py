"""What an encoder is, wherever it comes from: what tasks train, protocols evaluate and localization asks for maps."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any, Literal, Protocol, Self, TypeGuard, runtime_checkable

import torch
from torch import Tensor, nn

from avssl.errors import UserError
from avssl.networks.front_end import FrontEnd

Role = Literal["vision", "audio"]


@runtime_checkable
class Encoder(Protocol):
    """A torch module from frames or waveforms to maps.

    One of ``role`` "vision" has also what :class:`ImageEncoder` has, one of "audio" what :class:`WaveformEncoder` has;
    it need not derive from them. :func:`avssl.encoder` makes one of a network of timm or torchvision, of any module, or
    of an ONNX file.

    Attributes:
        role: "vision" or "audio".
        channels: of the last map.
    """

    role: Role
    channels: int

    def stages(self, x: Tensor, /) -> Mapping[str, Tensor]:
        """The map (N, C, h, w) of each stage by name, in order of depth; of a sound h is frequency and w time."""
        ...

    def describe(self) -> dict[str, Any]:
        """``type`` and ``config``, plain values: with the weights they define the encoder completely."""
        ...

    # What torch.nn.Module brings along; called, an encoder gives its last map.
    @property
    def __call__(self) -> Callable[..., Any]: ...
    def to(self, *args: Any, **kwargs: Any) -> Self: ...
    def cpu(self) -> Self: ...
    def eval(self) -> Self: ...
    def parameters(self, recurse: bool = True) -> Iterable[nn.Parameter]: ...
    def buffers(self, recurse: bool = True) -> Iterable[Tensor]: ...
    def state_dict(self, *args: Any, **kwargs: Any) -> Any: ...


class ImageEncoder(nn.Module):
    """An encoder of frames (N, 3, H, W), uint8 0..255 or float 0..1: it normalises them itself.

    Attributes:
        side: pixels of the square pictures it is made for.
        multiple: height and width of other pictures should be multiples of so many pixels, so that the map covers the
            picture exactly; 1 where it does not matter.
    """

    role: Role = "vision"
    channels: int
    side: int
    multiple: int = 1

    def stages(self, frames: Tensor) -> Mapping[str, Tensor]:
        """The map (N, C, h, w) of each stage by name, in order of depth."""
        raise NotImplementedError

    def describe(self) -> dict[str, Any]:
        """What :func:`avssl.networks.saving.load_module` needs to rebuild this encoder."""
        raise NotImplementedError


class WaveformEncoder(nn.Module):
    """An encoder of waveforms (N, samples), float of about −1..1, spectrogram included.

    Attributes:
        rate: samples a second.
        seconds: length of the sounds it is made for.
        front_end: makes the spectrogram; None where the encoder takes the waveform as it is.
    """

    role: Role = "audio"
    channels: int
    rate: int
    seconds: float
    front_end: FrontEnd | None

    def stages(self, waveform: Tensor) -> Mapping[str, Tensor]:
        """The map (N, C, frequency, time) of each stage by name, in order of depth."""
        raise NotImplementedError

    def trunk_map(self, spectrogram: Tensor) -> Tensor:
        """From the front end's output (N, 1, bands, frames) to the last map; for augmentation in between."""
        raise NotImplementedError

    def describe(self) -> dict[str, Any]:
        """What :func:`avssl.networks.saving.load_module` needs to rebuild this encoder."""
        raise NotImplementedError


def is_image_encoder(module: object) -> TypeGuard[ImageEncoder]:
    """Whether a module is an encoder of pictures."""
    return isinstance(module, Encoder) and module.role == "vision" and hasattr(module, "side")


def is_waveform_encoder(module: object) -> TypeGuard[WaveformEncoder]:
    """Whether a module is an encoder of sound."""
    return (
        isinstance(module, Encoder)
        and module.role == "audio"
        and hasattr(module, "rate")
        and hasattr(module, "seconds")
    )


def image_encoder(module: object) -> ImageEncoder:
    """The module, which must be an encoder of pictures.

    Raises:
        UserError: it is not.
    """
    if not is_image_encoder(module):
        raise UserError(f"{_name(module)} is no encoder of pictures; avssl.encoder(module, side=224) makes one of it")
    return module


def waveform_encoder(module: object) -> WaveformEncoder:
    """The module, which must be an encoder of sound.

    Raises:
        UserError: it is not.
    """
    if not is_waveform_encoder(module):
        raise UserError(
            f"{_name(module)} is no encoder of sound; avssl.encoder(module, role='audio', rate=16000) makes one of it"
        )
    return module


def device_of(encoder: Encoder | nn.Module) -> torch.device:
    """Where an encoder's weights are; the CPU of one that has none."""
    for tensors in (encoder.parameters(), encoder.buffers()):
        for tensor in tensors:
            return tensor.device
    return torch.device("cpu")


def freeze(encoder: ImageEncoder, frozen: bool) -> ImageEncoder:
    """The same encoder, its weights learning or not.

    Raises:
        UserError: it should learn and cannot.
    """
    if not frozen:
        refuse_frozen(encoder)
    return encoder.requires_grad_(not frozen)


def refuse_frozen(encoder: Encoder) -> None:
    """
    Raises:
        UserError: the encoder has no weights that could learn, as one from an ONNX file.
    """
    if not any(True for _ in encoder.parameters()):
        raise UserError(
            f"{encoder.describe()['config'].get('name', 'this encoder')} is frozen: it has no weights that could be "
            "trained; evaluate it with a protocol that leaves the encoder as it is"
        )


def _name(module: object) -> str:
    return f"{type(module).__module__}.{type(module).__qualname__}"


def check_encoder(encoder: ImageEncoder | WaveformEncoder) -> None:
    """Try an encoder that others wrote on two inputs of zeros, in eval mode.

    Raises:
        UserError: its ``stages`` are not maps (N, C, h, w) by name, the same names each time.
    """
    who = f"{type(encoder).__name__}.stages"
    pictures = is_image_encoder(encoder)
    shape = (3, encoder.side, encoder.side) if pictures else (_samples(waveform_encoder(encoder)),)
    zeros = torch.zeros(2, *shape, device=device_of(encoder))
    with torch.no_grad(), in_eval_mode(encoder):
        first, again = encoder.stages(zeros), encoder.stages(zeros)
    if not isinstance(first, Mapping) or not first:
        raise UserError(f"{who} must give maps by name, such as {{'conv5': …}}, not {type(first).__name__}")
    for name, one in first.items():
        if not isinstance(name, str) or not name or set(name) & set("/\\\0"):
            raise UserError(f"{who} names a stage {name!r}; a name is text without slashes, since files bear it")
        found = tuple(one.shape) if isinstance(one, Tensor) else type(one).__name__
        if not isinstance(one, Tensor) or one.ndim != 4 or len(one) != 2 or not one.numel() or one.is_complex():
            raise UserError(
                f"{who} must give real maps (N, C, h, w); of 2 inputs {name!r} is {found}; avssl.encoder(module, "
                "features=…) makes maps of tokens and vectors"
            )
    if list(first) != list(again):
        raise UserError(f"{who} must name the same stages each time, not {list(first)} and then {list(again)}")


def _samples(encoder: WaveformEncoder) -> int:
    return round(encoder.rate * encoder.seconds)


@contextmanager
def in_eval_mode(encoder: object) -> Iterator[None]:
    """Eval mode within the block; after it each part is in the mode it had, as a training around it needs."""
    modes = [(part, part.training) for part in encoder.modules()] if isinstance(encoder, nn.Module) else []
    if isinstance(encoder, nn.Module):
        encoder.eval()
    try:
        yield
    finally:
        for part, training in modes:
            part.training = training
