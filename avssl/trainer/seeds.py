"""Seeds for torch: hashed from their purpose, so that nothing depends on earlier draws."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from contextlib import contextmanager

import torch


def hashed(*parts: int | str) -> int:
    """A seed of 63 bits that depends on ``parts`` and nothing else."""
    digest = hashlib.blake2b("\x1f".join(map(str, parts)).encode(), digest_size=8).digest()
    return int.from_bytes(digest, "little") >> 1  # torch takes signed 64-bit seeds


# Seed of held-out puzzles, the same whatever the run's seed, so that all runs are evaluated on the same puzzles.
HELD_OUT_SEED = hashed("held-out")


def seed_torch(seed: int, device: torch.device | None = None) -> None:
    """Seed the generators that dropout and initial weights draw from: the CPU's and the device's.

    Not by ``torch.manual_seed``: where there is no GPU that keeps every call, with its stack, for later.
    """
    torch.default_generator.manual_seed(seed)
    if device is not None and device.type == "cuda":
        torch.cuda.manual_seed(seed)
    elif device is not None and device.type == "mps":
        torch.mps.manual_seed(seed)


@contextmanager
def own_random_state() -> Iterator[None]:
    """Within, torch's global generators may be seeded; after, they are as they were."""
    # Only where CUDA is in use already: asking for the states of all devices would start it, which takes seconds.
    gpus = [torch.cuda.current_device()] if torch.cuda.is_initialized() else []
    with torch.random.fork_rng(devices=gpus):
        yield
