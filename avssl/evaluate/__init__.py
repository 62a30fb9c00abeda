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
    def __call__(self, *args: Any, **options: Any) -> Any:
        return import_module("avssl.experiment.protocols").evaluate(*args, **options)


sys.modules[__name__].__class__ = _Room
