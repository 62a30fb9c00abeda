"""A network of your own as a trunk, so that tasks train it and runs store it."""

from __future__ import annotations

from collections import OrderedDict
from typing import Any

from torch import Tensor, nn

from avssl.errors import UserError, reason_of
from avssl.networks.adapters import ImageModule, ModuleEncoder
from avssl.networks.foreign import ForeignTrunk, State
from avssl.networks.own_modules import made


class ModuleTrunk(ForeignTrunk):
    """The module that "module:PACKAGE.MODULE:FUNCTION" makes.

    The function returns a torch module, which takes (N, 3, side, side) normalised as ImageNet's and gives maps, tokens
    or vectors; or what :func:`avssl.encoder` makes of one, with ``features``, ``mean`` and ``std`` of its own.

    Raises:
        UserError: as :func:`avssl.networks.own_modules.made`; it makes something else; the weights are of another.
    """

    def __init__(self, spec: str, side: int, state: State | None = None) -> None:
        super().__init__()
        net = with_state(made(spec), spec, state)
        self.adapter = net if isinstance(net, ImageModule) else ImageModule(net, side=side)
        self.adapter.train()
        self.channels = self.adapter.channels
        self.mean, self.std = (tuple(self.adapter.get_buffer(name).flatten().tolist()) for name in ("mean", "std"))

    def stages(self, x: Tensor) -> OrderedDict[str, Tensor]:
        return self.adapter.maps(x)


def with_state(net: Any, spec: str, state: State | None) -> nn.Module:
    """What a function of this name made, with weights under the module's own names if there are any.

    Raises:
        UserError: it is no torch module, or the weights are of another.
    """
    if not isinstance(net, nn.Module):
        raise UserError(f"{spec} makes a {type(net).__name__}; it must return a torch module")
    inner = net.net if isinstance(net, ModuleEncoder) else net
    if state is not None:
        try:
            inner.load_state_dict(state)
        except RuntimeError as error:
            raise UserError(f"{spec} does not take these weights: {reason_of(error)}") from None
    return net
