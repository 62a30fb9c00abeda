"""PyTorch, loaded when it is known that it is needed."""

from __future__ import annotations

import sys

from avssl.system.stages import stages


def load_torch() -> None:
    """Import it, with a sign of that on a terminal: from a disk that was not read yet it takes many seconds."""
    if "torch" not in sys.modules:
        with stages("starting", {"loading PyTorch": 2.0}) as begin:
            begin("loading PyTorch")
            import torch  # noqa: F401
