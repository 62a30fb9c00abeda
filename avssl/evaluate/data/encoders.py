"""The encoders to evaluate: of a run, by role or by name; and the same architecture with random weights."""

from __future__ import annotations

import copy
import hashlib
import json
from pathlib import Path
from typing import Any, TypeVar

import torch

from avssl.errors import UserError
from avssl.networks.audio import AudioEncoder
from avssl.networks.config import RESNETS, VisionConfig
from avssl.networks.encoder import Encoder, is_image_encoder, is_waveform_encoder, reset_weights
from avssl.networks.model import Model
from avssl.networks.opening import SUPERVISED_SIDE
from avssl.networks.saving import load_module
from avssl.networks.vision import VisionEncoder
from avssl.networks.weights import load_weights
from avssl.samplers.keys import generator
from avssl.trainer.run_config import check_encoder_name, encoder_names
from avssl.trainer.seeds import hashed, own_random_state, seed_torch

__all__ = ["Encoder", "open_encoder", "random_twin", "supervised_encoder", "weights_digest"]

EncoderT = TypeVar("EncoderT", bound=Encoder)


def open_encoder(run: str | Path, name: str) -> Encoder:
    """An encoder of a run by its name (see :func:`encoder_names`), in eval mode on the CPU.

    Raises:
        UserError: it is no run, it has no such encoder, or its files are damaged.
    """
    folder = Path(run)
    check_encoder_name(run, name, encoder_names(folder))
    module = load_module(folder / "encoders" / name)
    if not (is_image_encoder(module) or is_waveform_encoder(module)):
        raise UserError(f"{folder / 'encoders' / name}.json describes no encoder of pictures or sound")
    return module


def random_twin(encoder: EncoderT, seed: int) -> EncoderT:
    """The same architecture with the weights that a training would have started from, by the seed alone.

    Only what is no knowledge of the data is kept: of an audio encoder the scale of its spectrogram. For a module of
    another make see :func:`avssl.networks.encoder.reset_weights`.
    """
    twin: Any
    with own_random_state():
        seed_torch(hashed(seed, "random-twin"))
        if isinstance(encoder, VisionEncoder | AudioEncoder):
            twin = type(encoder)(encoder.config)  # type: ignore[arg-type]
        else:
            twin = copy.deepcopy(encoder)
            if next(iter(twin.parameters()), None) is None:  # of an ONNX file
                from avssl.networks.onnx_encoder import permuted

                permuted(twin)
            else:
                reset_weights(twin)
    if isinstance(encoder, VisionEncoder):
        # By which colours are scaled belongs to the input, not to what was learned
        for name in ("mean", "std"):
            twin.get_buffer(name).copy_(encoder.get_buffer(name))
    if isinstance(encoder, AudioEncoder):
        twin.front_end.load_state_dict(encoder.front_end.state_dict())
    found: EncoderT = twin.eval()
    return found


def untrained(model: Model, seed: int) -> Model:
    """A copy of a model with fresh weights that depend on the seed alone; the spectrogram's statistics are kept."""
    fresh = copy.deepcopy(model)
    with own_random_state():
        seed_torch(int(generator(seed, "untrained").integers(2**62)), model.device)
        reset_weights(fresh)
    return fresh.eval()


def supervised_encoder(weights: str | Path, architecture: str = "resnet18") -> VisionEncoder:
    """A torchvision ResNet (18, 34, 50 or 101) from a file of its weights, trained on labels: the ceiling beside the
    others.

    Raises:
        UserError: the file cannot be read, or holds the weights of another network.
    """
    if architecture not in RESNETS:
        raise UserError(f"{architecture!r} is not among torchvision's networks taken here: {', '.join(RESNETS)}")
    return load_weights(VisionEncoder(VisionConfig(architecture=architecture, side=SUPERVISED_SIDE)), weights).eval()


def weights_digest(encoder: Encoder) -> str:
    """Hex digest of what an encoder is: its configuration and all its weights."""
    state = hashlib.blake2b(json.dumps(encoder.describe(), sort_keys=True).encode(), digest_size=16)
    for name, tensor in sorted(encoder.state_dict().items()):
        # Sorted above: the order in which layers were added says nothing
        state.update(name.encode())
        # As bytes: NumPy knows no bfloat16.
        state.update(tensor.detach().cpu().contiguous().flatten().view(torch.uint8).numpy().tobytes())
    return state.hexdigest()
