"""Pretrained weights from a local file: into an encoder of timm, of torchvision, or of the same make."""

from __future__ import annotations

import json
import pickle
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor

from avssl.errors import UserError, reason_of
from avssl.networks.config import VisionConfig
from avssl.networks.foreign import ForeignTrunk
from avssl.networks.torchvision_names import alexnet_trunk_state, resnet_state
from avssl.networks.trunks import AlexNetTrunk, ResNetTrunk
from avssl.networks.vision import VisionEncoder, foreign_trunk

# Names under which training scripts save the weights beside other things.
NESTED = ("state_dict", "model_state_dict", "model", "module")

# What a folder in the layout of Hugging Face's hub calls them.
FOLDER_FILES = ("model.safetensors", "pytorch_model.bin")


def read_weights(path: str | Path) -> dict[str, Tensor]:
    """The tensors of a file of weights by name; a .safetensors file, or one of torch.save. No code is run.

    A folder as Hugging Face's hub has them will do, too.

    Raises:
        UserError: it cannot be read, or holds something else.
    """
    file = Path(path)
    if file.is_dir():
        there = [file / name for name in FOLDER_FILES if (file / name).is_file()]
        if not there:
            raise UserError(f"{path} holds no {' and no '.join(FOLDER_FILES)}; name the file of weights")
        file = there[0]
    if not file.is_file():
        raise UserError(f"{path}: no such file of weights; look at its name")
    try:
        if file.suffix == ".safetensors":
            found: Any = load_file(file)
        else:
            found = torch.load(file, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError:  # torch's own words advise to run the code
        raise UserError(f"{path} holds no weights that can be read without running code; save a state_dict()") from None
    except (SafetensorError, RuntimeError, OSError, EOFError, LookupError, ValueError) as error:
        raise UserError(f"{path} holds no weights that can be read without running code: {reason_of(error)}") from None
    for name in NESTED:
        if isinstance(found, dict) and isinstance(found.get(name), dict):
            found = found[name]
    if not isinstance(found, dict) or not found or not all(isinstance(one, Tensor) for one in found.values()):
        raise UserError(f"{path} holds no weights; they are tensors by name, as state_dict() gives them")
    tensors: dict[str, Tensor] = {str(name): one for name, one in found.items()}
    if all(name.startswith("module.") for name in tensors):  # saved from under DataParallel
        tensors = {name.removeprefix("module."): one for name, one in tensors.items()}
    return tensors


def load_weights(encoder: VisionEncoder, path: str | Path) -> VisionEncoder:
    """The encoder, of timm or torchvision, with weights from a file under that library's names, loaded in place.

    Positions of a ViT are interpolated to the side of the encoder.

    Raises:
        UserError: the file cannot be read, or holds the weights of another network.
    """
    state, trunk, name = read_weights(path), encoder.trunk, encoder.config.architecture
    try:
        if isinstance(trunk, ForeignTrunk):
            trunk.load_state_dict(foreign_trunk(encoder.config, state).state_dict())
        elif isinstance(trunk, ResNetTrunk):
            trunk.load_state_dict(resnet_state(state))
        elif isinstance(trunk, AlexNetTrunk) and encoder.config.norm == "none":
            trunk.load_state_dict(alexnet_trunk_state(state))
        else:
            raise UserError(
                f"weights of other libraries fit networks of timm and torchvision, not {name!r}; name one of these"
            )
    except (RuntimeError, KeyError) as error:
        raise UserError(
            f"{path} holds no weights of torchvision's {name.removeprefix('torchvision:')}, which are wanted: "
            f"{reason_of(error)}"
        ) from None
    except UserError as error:
        raise UserError(f"{path}: {error}") from None
    return encoder


def hub_config(folder: Path) -> tuple[VisionConfig, dict[str, Any]]:
    """The network that a folder in the layout of Hugging Face's hub holds for timm, and its pictures' facts.

    Raises:
        UserError: its config.json names no network of timm.
    """
    try:
        config = json.loads((folder / "config.json").read_text(encoding="utf-8"))
        name = str(config["architecture"])
        about = dict(config.get("pretrained_cfg") or {})
        side = int((about.get("input_size") or (3, 224, 224))[-1])
    except (OSError, ValueError, KeyError, TypeError):
        raise UserError(
            f'{folder / "config.json"} names no network of timm by "architecture"; give timm:NAME and weights=…'
        ) from None
    arguments = dict(config.get("model_args") or {})
    return VisionConfig(f"timm:{name}", side=int(arguments.pop("img_size", side)), arguments=arguments), about
