"""Modules on disk: weights as safetensors, and a JSON file that rebuilds the module. Loading runs no code."""

from __future__ import annotations

import hashlib
import json
import zlib
from pathlib import Path
from typing import Any

from safetensors import SafetensorError
from safetensors.torch import load, save
from torch import nn

from avssl.errors import UserError, reason_of
from avssl.networks.audio import AudioConfig, AudioEncoder
from avssl.networks.config import VisionConfig
from avssl.networks.copying import EmbeddingEncoder
from avssl.networks.front_end import FrontEndConfig
from avssl.networks.fusion import FUSIONS
from avssl.networks.vision import VisionEncoder
from avssl.system.files import write_whole

FORMAT = 1


def save_module(module: nn.Module, stem: Path, extra: dict[str, Any] | None = None) -> None:
    """Write ``stem.safetensors`` and ``stem.json``, each by rename after fsync.

    Args:
        module: one that has ``describe()``.
        stem: path without suffix.
        extra: more facts for the JSON (the task's, the run's).

    Raises:
        UserError: the disk is full or not writable; nothing half-written is left.
    """
    tensors = {name: t.detach().cpu().contiguous() for name, t in module.state_dict().items()}
    described: Any = module.describe
    weights = save(tensors)
    whole = {"format": FORMAT, **described(), **(extra or {}), "weights_crc32": zlib.crc32(weights)}
    # Through JSON and back, so that it is sealed as it will be read.
    whole = json.loads(json.dumps(whole))
    text = json.dumps({**whole, "seal": _seal(whole)}, indent=2, sort_keys=True)
    # The weights first: a description that is there always has its weights beside it.
    write_whole(stem.with_suffix(".safetensors"), weights)
    write_whole(stem.with_suffix(".json"), text.encode())


def load_module(stem: Path) -> nn.Module:
    """The module that :func:`save_module` wrote, in eval mode, on the CPU.

    Raises:
        UserError: a file is missing, damaged, or does not fit the other.
    """
    weights_file = stem.with_name(f"{stem.name}.safetensors")
    description = describe(stem)
    try:
        weights = weights_file.read_bytes()
    except FileNotFoundError:
        raise UserError(f"{weights_file} is not there; copy it again from the run") from None
    except OSError as error:
        raise UserError(f"{weights_file} cannot be read ({error.strerror or error}); copy it again") from None
    if description.get("weights_crc32", zlib.crc32(weights)) != zlib.crc32(weights):
        raise UserError(f"{weights_file} is damaged, or of another {stem.name}.json; copy both again from the run")
    try:
        # By type and config alone, never by a name of Python's: a file must not choose what code runs.
        module = _rebuild(description)
        module.load_state_dict(load(weights))
    except (SafetensorError, RuntimeError, KeyError, TypeError, ValueError) as error:
        both = f"{stem}.safetensors and {stem.name}.json"
        raise UserError(
            f"{both} cannot be loaded together; copy both again from the run ({reason_of(error)})"
        ) from error
    return module.eval()


def describe(stem: Path) -> dict[str, Any]:
    """What ``stem.json`` holds of a module: its type, its config, and by "beside" the modules that lie with it.

    Raises:
        UserError: it is missing or damaged.
    """
    path = stem.with_name(f"{stem.name}.json")
    try:
        description = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise UserError(f"{path} is not there; is the training of this run finished?") from None
    except (OSError, ValueError, RecursionError) as error:
        raise UserError(f"{path} cannot be read ({error}); copy it again from the run") from None
    if not isinstance(description, dict):
        raise UserError(f"{path} describes no module; copy it again from the run")
    seal = description.pop("seal", None)
    # A description of an earlier version has neither of the two.
    if ("weights_crc32" in description or seal is not None) and seal != _seal(description):
        raise UserError(f"{path} is damaged (it has changed since it was written); copy it again from the run")
    return description


def _seal(description: dict[str, Any]) -> str:
    return hashlib.blake2b(json.dumps(description, sort_keys=True).encode(), digest_size=16).hexdigest()


def _rebuild(description: dict[str, Any]) -> nn.Module:
    config = dict(description["config"])
    match description["type"]:
        case "vision":
            return VisionEncoder(VisionConfig(**config))
        case "audio":
            return AudioEncoder(AudioConfig(**{**config, "front_end": FrontEndConfig(**config["front_end"])}))
        case "fusion":
            return FUSIONS[config["name"]](config["vision_channels"], config["audio_channels"])
        case "embedding":
            vision = VisionEncoder(VisionConfig(**config.pop("vision")))
            return EmbeddingEncoder(vision, side=vision.side, **config)
        case other:
            raise ValueError(f"a module of type {other!r} is not known to this version")
