"""Modules on disk: weights as safetensors, and a JSON beside that rebuilds the module. Loading runs no code."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

from safetensors import SafetensorError
from safetensors.torch import load_file, save
from torch import nn

from avssl.errors import UserError
from avssl.networks.audio import AudioConfig, AudioEncoder
from avssl.networks.front_end import FrontEndConfig
from avssl.networks.fusion import FUSIONS
from avssl.networks.vision import VisionConfig, VisionEncoder

FORMAT = 1


def save_module(module: nn.Module, stem: Path, extra: dict[str, Any] | None = None) -> None:
    """Write ``stem.safetensors`` and ``stem.json``, each by rename after fsync.

    Args:
        module: one that has ``describe()``.
        stem: path without suffix.
        extra: more facts for the JSON (the task's, the run's).

    Raises:
        OSError: the disk is full or not writable; nothing half-written is left.
    """
    stem.parent.mkdir(parents=True, exist_ok=True)
    tensors = {name: t.detach().cpu().contiguous() for name, t in module.state_dict().items()}
    describe: Any = module.describe
    text = json.dumps({"format": FORMAT, **describe(), **(extra or {})}, indent=2, sort_keys=True)
    _write(stem.with_suffix(".safetensors"), save(tensors))
    _write(stem.with_suffix(".json"), text.encode())


def load_module(stem: Path) -> nn.Module:
    """The module that :func:`save_module` wrote, in eval mode, on the CPU.

    Raises:
        UserError: a file is missing, damaged, or does not fit the other.
    """
    try:
        description = json.loads(stem.with_suffix(".json").read_text())
    except FileNotFoundError:
        raise UserError(f"{stem}.json is not there; is the training of this run finished?") from None
    except (OSError, UnicodeDecodeError, json.JSONDecodeError) as error:
        raise UserError(f"{stem}.json cannot be read ({error}); copy it again from the run") from None
    try:
        module = _rebuild(description)
        module.load_state_dict(load_file(stem.with_suffix(".safetensors")))
    except FileNotFoundError:
        raise UserError(f"{stem}.safetensors is not there; copy it again from the run") from None
    except (SafetensorError, OSError, RuntimeError, KeyError, TypeError, ValueError) as error:
        first = str(error).splitlines()[0]
        raise UserError(f"{stem}.safetensors and {stem.name}.json cannot be loaded together: {first}") from None
    return module.eval()


def _rebuild(description: dict[str, Any]) -> nn.Module:
    config = dict(description["config"])
    match description["type"]:
        case "vision":
            return VisionEncoder(VisionConfig(**config))
        case "audio":
            return AudioEncoder(AudioConfig(**{**config, "front_end": FrontEndConfig(**config["front_end"])}))
        case "fusion":
            return FUSIONS[config["name"]](config["vision_channels"], config["audio_channels"])
        case other:
            raise ValueError(f"a module of type {other!r} is not known to this version")


def _write(path: Path, data: bytes) -> None:
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        with temporary.open("wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)
