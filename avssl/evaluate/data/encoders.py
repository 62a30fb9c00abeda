"""The encoders that are judged: of a run, by role or by name; and the same architecture with random weights."""

from __future__ import annotations

import difflib
import hashlib
import json
from pathlib import Path
from typing import Any, Literal

import torch
from torch import nn

from avssl.errors import UserError
from avssl.evaluate.data.load_run import read_config
from avssl.networks.audio import AudioEncoder
from avssl.networks.saving import load_module
from avssl.networks.torchvision_names import resnet_state
from avssl.networks.trunks import RESNETS, ResNetTrunk
from avssl.networks.vision import VisionConfig, VisionEncoder
from avssl.trainer.seeds import hashed, own_random_state, seed_torch

Encoder = VisionEncoder | AudioEncoder
Role = Literal["vision", "audio"]

SUPERVISED_SIDE = 224
"""Pixels of the pictures that torchvision's weights were trained on."""


def encoder_names(run: Path) -> list[str]:
    """Names of the encoders that a run has saved ("vision", "audio"; of several tasks also "vision-TASK").

    Raises:
        UserError: it is no run, or it has saved none yet.
    """
    read_config(run)
    names = sorted(file.stem for file in (run / "encoders").glob("*.json"))
    names = [name for name in names if name.split("-")[0] in ("vision", "audio")]
    if not names:
        raise UserError(f"{run} holds no encoders; has its training ended?")
    return names


def open_encoder(run: str | Path, name: str) -> Encoder:
    """An encoder of a run by its name (see :func:`encoder_names`), in eval mode on the CPU.

    Raises:
        UserError: it is no run, it has no such encoder, or its files are damaged.
    """
    folder = Path(run)
    names = encoder_names(folder)
    if name not in names:
        near = difflib.get_close_matches(name, names, n=1)
        hint = f"did you mean {near[0]!r}?" if near else f"it has: {', '.join(names)}"
        raise UserError(f"{run} has no encoder called {name!r}; {hint}")
    module = load_module(folder / "encoders" / name)
    if not isinstance(module, VisionEncoder | AudioEncoder):
        raise UserError(f"{folder / 'encoders' / name}.json describes no encoder of pictures or sound")
    return module


def random_twin(encoder: Encoder, seed: int) -> Encoder:
    """The same architecture with the weights that a training would have started from, by the seed alone.

    Only what is no knowledge of the data is kept: of an audio encoder the scale of its spectrogram.
    """
    with own_random_state():
        seed_torch(hashed(seed, "random-twin"))
        twin = VisionEncoder(encoder.config) if isinstance(encoder, VisionEncoder) else AudioEncoder(encoder.config)
    if isinstance(twin, AudioEncoder) and isinstance(encoder, AudioEncoder):
        twin.front_end.load_state_dict(encoder.front_end.state_dict())
    return twin.eval()


def supervised_encoder(weights: str | Path, architecture: str = "resnet18") -> VisionEncoder:
    """A torchvision ResNet that was trained on labels, as an encoder: the ceiling beside the others.

    Args:
        weights: torchvision's file of the network's weights (a state dict).
        architecture: resnet18, resnet34, resnet50 or resnet101.

    Raises:
        UserError: the file cannot be read, or holds the weights of another network.
    """
    if architecture not in RESNETS:
        raise UserError(f"{architecture!r} is not among torchvision's networks taken here: {', '.join(RESNETS)}")
    encoder = VisionEncoder(VisionConfig(architecture=architecture, side=SUPERVISED_SIDE))
    assert isinstance(encoder.trunk, ResNetTrunk)
    try:
        state: dict[str, Any] = torch.load(weights, map_location="cpu", weights_only=True)
        encoder.trunk.load_state_dict(resnet_state(state))
    except FileNotFoundError:
        raise UserError(f"{weights}: no such file of weights") from None
    except Exception as error:  # torch.load and load_state_dict raise many kinds for one fault: wrong weights
        first = str(error).splitlines()[0]
        raise UserError(f"{weights} holds no weights of torchvision's {architecture}: {first}") from None
    return encoder.eval()


def weights_digest(encoder: nn.Module) -> str:
    """Hex digest of what an encoder is: its configuration and every number in it."""
    describe: Any = encoder.describe
    state = hashlib.blake2b(json.dumps(describe(), sort_keys=True).encode(), digest_size=16)
    for name, tensor in sorted(encoder.state_dict().items()):
        state.update(name.encode())
        state.update(tensor.detach().cpu().contiguous().flatten().view(torch.uint8).numpy().tobytes())
    return state.hexdigest()
