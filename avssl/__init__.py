"""Self-supervised learning from videos: pretext tasks whose answers the program knows.

media = avssl.open("videos/")           # files, indexed: frames and sound at exact times
found = avssl.audit("videos/")          # duplicates, sources, and what leaks
model = avssl.load("runs/my-run")       # the encoders of a finished run
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from avssl.errors import MediaError, UserError
from avssl.version import __version__

if TYPE_CHECKING:
    from avssl.experiment.audit import audit
    from avssl.media import open_media as open
    from avssl.networks.model import load

__all__ = ["MediaError", "UserError", "__version__", "audit", "load", "open"]

# Found when asked for: `import avssl` stays fast, and reading media needs no torch.
_LAZY = {
    "audit": ("avssl.experiment.audit", "audit"),
    "load": ("avssl.networks.model", "load"),
    "open": ("avssl.media", "open_media"),
}


def __getattr__(name: str) -> Any:
    if name not in _LAZY:
        raise AttributeError(f"module 'avssl' has no attribute {name!r}")
    module, attribute = _LAZY[name]
    return getattr(import_module(module), attribute)


def __dir__() -> list[str]:
    return __all__
