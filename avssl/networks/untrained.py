"""Fresh weights for a module of any make, in place."""

from __future__ import annotations

import torch
from torch import nn


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
