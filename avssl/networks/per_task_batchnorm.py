"""One encoder for several tasks, each with batch statistics of its own."""

from __future__ import annotations

import copy
from typing import TypeVar

from torch import nn

ModuleT = TypeVar("ModuleT", bound=nn.Module)


def with_own_statistics(module: ModuleT) -> ModuleT:
    """A module with the very weights of ``module`` (trained together, whoever trains) and buffers of its own.

    The running statistics of batch norms are buffers: where tasks feed one encoder unlike pictures (tiles, grey,
    whole ones), statistics that all of them moved fit none of them in evaluation.
    """
    weights = {id(weight): weight for weight in module.parameters()}
    return copy.deepcopy(module, memo=dict(weights))
