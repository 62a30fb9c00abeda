"""Starting from the encoders of another run, or from weights of timm or torchvision."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

from torch import nn

from avssl.errors import UserError
from avssl.networks.saving import load_module
from avssl.networks.vision import VisionEncoder
from avssl.networks.weights import load_weights
from avssl.tasks.base import Task

# Options of an encoder's input, not of its architecture.
_MAY_DIFFER = ("side", "grey")


def encoders_from(run: str | Path, tasks: Iterable[Task]) -> dict[str, nn.Module]:
    """Encoders as ``tasks`` want them, with the weights that ``run`` learned, by role: those roles that the run has.

    ``run`` may also name weights of timm or torchvision, for a vision encoder of theirs.

    Raises:
        UserError: it holds no encoder that the tasks have, a damaged one, or one of another make; each in a line.
    """
    folder = Path(run) / "encoders"
    if Path(run).is_file() or (Path(run) / "config.json").is_file():
        return _with_weights(Path(run), tasks)
    if not folder.is_dir():
        raise UserError(f"{run} holds no encoders to start from; --init needs the folder of a run, such as runs/first")
    found: dict[str, nn.Module] = {}
    wanted: set[str] = set()
    for task in tasks:
        for role, encoder in task.make_encoders().items():
            wanted.add(role)
            if role not in found and (folder / f"{role}.json").exists():
                found[role] = _started(encoder, folder / role, role, run)
    if not found:
        raise UserError(
            f"{run} has no {' and no '.join(sorted(wanted))} encoder to start from; give a run that has one"
        )
    return found


def _with_weights(path: Path, tasks: Iterable[Task]) -> dict[str, nn.Module]:
    for task in tasks:
        encoder = task.make_encoders().get("vision")
        if isinstance(encoder, VisionEncoder):
            return {"vision": load_weights(encoder, path)}
    raise UserError(f"{path} holds weights of a vision encoder, and no task here has one; leave out --init")


def _started(encoder: nn.Module, stem: Path, role: str, run: str | Path) -> nn.Module:
    there = load_module(stem)
    ours, theirs = _make(encoder), _make(there)
    # By what makes them, not by the shapes of weights alone, which a stride or the number of poolings does not change.
    differing = [name for name in ours if ours[name] != theirs.get(name)]
    if differing:
        differences = ", ".join(f"{name} {theirs.get(name)} there, {ours[name]} here" for name in differing)
        raise UserError(f"the {role} encoder of {run} has another architecture ({differences}); give the same options")
    encoder.load_state_dict(there.state_dict())
    return encoder


def _make(encoder: nn.Module) -> dict[str, Any]:
    describe: Any = encoder.describe
    return {name: value for name, value in describe()["config"].items() if name not in _MAY_DIFFER}
