"""Protocols in families, a folder each; metrics are pure functions of arrays.

``avssl.evaluate(…)`` is this package called: see :func:`avssl.experiment.protocols.evaluate`.
"""

from __future__ import annotations

import sys
from importlib import import_module
from types import ModuleType
from typing import Any


class _Room(ModuleType):
    # As soon as a module of it is imported, the package is what ``avssl.evaluate`` names.
    def __call__(self, protocol: str, run_or_encoder: Any = None, data: Any = None, **options: Any) -> Any:
        """See :func:`avssl.experiment.protocols.evaluate`."""
        return import_module("avssl.experiment.protocols").evaluate(protocol, run_or_encoder, data, **options)


sys.modules[__name__].__class__ = _Room
