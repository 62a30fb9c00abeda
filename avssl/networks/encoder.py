"""The encoder protocol: what tasks train, protocols evaluate and localization gets maps from."""

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
    """

    role: Role  # "vision" or "audio"
    channels: int  # of the last map

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
    """An encoder of frames (N, 3, H, W), uint8 0..255 or float 0..1: it normalises them itself."""

    role: Role = "vision"
    channels: int
    side: int  # pixels of the square pictures it is made for
    # Height and width of other pictures should be multiples of so many pixels, so that the map covers the picture
    # exactly; 1 where it does not matter.
    multiple: int = 1

    def stages(self, frames: Tensor) -> Mapping[str, Tensor]:
        """As :meth:`Encoder.stages`."""
        raise NotImplementedError

    def describe(self) -> dict[str, Any]:
        """As :meth:`Encoder.describe`: what :func:`avssl.networks.saving.load_module` rebuilds it from."""
        raise NotImplementedError


class WaveformEncoder(nn.Module):
    """An encoder of waveforms (N, samples), float of about −1..1, spectrogram included."""

    role: Role = "audio"
    channels: int
    rate: int  # samples a second
    seconds: float  # length of the sounds it is made for
    front_end: FrontEnd | None  # makes the spectrogram; None where the encoder takes the waveform as it is

    def stages(self, waveform: Tensor) -> Mapping[str, Tensor]:
        """As :meth:`Encoder.stages`."""
        raise NotImplementedError

    def trunk_map(self, spectrogram: Tensor) -> Tensor:
        """From the front end's output (N, 1, bands, frames) to the last map; for augmentation in between."""
        raise NotImplementedError

    def describe(self) -> dict[str, Any]:
        """As :meth:`Encoder.describe`: what :func:`avssl.networks.saving.load_module` rebuilds it from."""
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
    """The module; UserError if it is no encoder of pictures."""
    if not is_image_encoder(module):
        raise UserError(f"{_name(module)} is no encoder of pictures; avssl.encoder(module, side=224) makes one of it")
    return module


def waveform_encoder(module: object) -> WaveformEncoder:
    """The module; UserError if it is no encoder of sound."""
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
    """The same encoder, its weights trainable or not; UserError if they should be and it has none."""
    if not frozen:
        refuse_frozen(encoder)
    return encoder.requires_grad_(not frozen)


def refuse_frozen(encoder: Encoder) -> None:
    """Raise UserError if the encoder has no weights to train, as one from an ONNX file."""
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
    if is_image_encoder(encoder):
        shape: tuple[int, ...] = (3, encoder.side, encoder.side)
    else:
        sound = waveform_encoder(encoder)
        shape = (round(sound.rate * sound.seconds),)
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
    # Names made anew at each call would give a probe other stages than it was fitted on.
    if list(first) != list(again):
        raise UserError(f"{who} must name the same stages each time, not {list(first)} and then {list(again)}")


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


@torch.no_grad()
def reset_weights(module: nn.Module) -> None:
    """Initialise all weights again from torch's global random state.

    Convolutions of pictures are drawn He-normal, other layers as they draw themselves. Parameters that belong to no
    such layer (the class token and the positions of a ViT) have their values permuted: their mean and spread stay, and
    nothing that was learned.
    """
    for part in module.modules():
        reset = getattr(part, "reset_parameters", None)
        if isinstance(part, nn.Conv2d):
            nn.init.kaiming_normal_(part.weight, nonlinearity="relu")
            if part.bias is not None:
                nn.init.zeros_(part.bias)
        elif callable(reset):
            reset()
        else:
            for own in part.parameters(recurse=False):
                if own.numel() > 1:
                    own.copy_(own.flatten()[torch.randperm(own.numel())].view_as(own))
