"""The network of a task from a run's encoders and, in a file beside them, all that is not in these.

A run that was pushed to a hub has no checkpoints: these hold the optimizer's state, too, and are several times larger.
"""

from __future__ import annotations

from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import Tensor, nn

from avssl.errors import UserError
from avssl.networks.saved_names import saved_names
from avssl.networks.saving import load_module
from avssl.tasks.base import Task

FOLDER = "heads"


def heads_of(folder: Path, task: Task, network: nn.Module, steps: int, finished: bool) -> bytes:
    """The weights of a task's network that its run's encoders do not hold, as safetensors, with its steps.

    Args:
        folder: of the run.
        task: with its statistics.
        network: that the task trained.
        steps: of the training behind these weights.
        finished: whether it came to its end.
    """
    beside = _of_encoders(folder, task).state_dict()
    whole = network.state_dict()
    # What is the same without any training, such as a bias that stayed zero, is built so wherever it is read.
    heads = {name: one.contiguous() for name, one in whole.items() if not torch.equal(one, beside[name])}
    return save(heads, metadata={"steps": str(steps), "finished": str(finished)})


def with_heads(folder: Path, task: Task) -> tuple[nn.Module, int, bool]:
    """The network that :func:`heads_of` was asked for, its steps, and whether its training was finished.

    Raises:
        UserError: a file is missing or damaged.
    """
    path = folder / FOLDER / f"{task.name}.safetensors"
    network = _of_encoders(folder, task)
    try:
        with safe_open(path, framework="pt") as file:
            about = file.metadata() or {}
            names = file.keys()
            heads: dict[str, Tensor] = {name: file.get_tensor(name) for name in names}
        network.load_state_dict(network.state_dict() | heads)
    except (OSError, SafetensorError, RuntimeError) as error:
        raise UserError(f"{path} is missing, damaged or of another run; fetch the run again") from error
    return network.eval(), int(about.get("steps", 0)), about.get("finished") == "True"


def _of_encoders(folder: Path, task: Task) -> nn.Module:
    """A network of the task with the weights of the encoders that lie in its run."""
    encoders = task.make_encoders()
    network = task.network(encoders)
    place, names = saved_names(folder)
    # As a training names them: an encoder with statistics of its task's own beside the shared one.
    for role, module in (encoders | task.saved(network)).items():
        name = f"{role}-{task.name}" if f"{role}-{task.name}" in names else role
        if name in names:
            weights = load_module(place / name).state_dict()
            if {key: one.shape for key, one in weights.items()} == {
                key: one.shape for key, one in module.state_dict().items()
            }:
                module.load_state_dict(weights)
    return network
