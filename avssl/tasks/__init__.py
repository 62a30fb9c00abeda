"""Pretext tasks: one file each, found by name through :mod:`avssl.tasks.registry`."""

from avssl.tasks.registry import get, names, register

__all__ = ["get", "names", "register"]
