"""The rank of this process, as torchrun sets it; found without importing torch."""

from __future__ import annotations

import os


def rank() -> int:
    """The number of this process among those that were started together; 0 for one alone."""
    return int(os.environ.get("RANK", "0"))


def processes() -> int:
    """How many were started together; 1 for one alone."""
    return int(os.environ.get("WORLD_SIZE", "1"))


def local_processes() -> int:
    """How many of them run on this machine, and share its cores."""
    # Without torchrun's word all of them: too few loader processes are slow, too many take the memory of others.
    return int(os.environ.get("LOCAL_WORLD_SIZE", str(processes())))


def is_writer() -> bool:
    """Whether this process is the one that writes and speaks."""
    return rank() == 0
