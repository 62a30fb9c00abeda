"""CPU settings of this process: how its threads wait, and what it keeps of freed memory."""

from __future__ import annotations

import ctypes
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager

_WAITING = ("OMP_WAIT_POLICY", "GOMP_SPINCOUNT", "KMP_BLOCKTIME")
_MALLOC = ("MALLOC_MMAP_THRESHOLD_", "MALLOC_TRIM_THRESHOLD_", "MALLOC_MMAP_MAX_", "GLIBC_TUNABLES", "LD_PRELOAD")

# malloc.h of glibc; the threshold is the largest that it takes (mallopt(3), DEFAULT_MMAP_THRESHOLD_MAX).
_M_TRIM_THRESHOLD, _M_MMAP_THRESHOLD = -1, -3
_LARGEST_THRESHOLD_BYTES = 1 << 25
# More than a step of the small networks frees; of larger ones the pages cost little beside the arithmetic.
_KEPT_BYTES = 1 << 30


def wait_without_spinning() -> None:
    """Let torch's threads sleep while they wait for each other, where the environment does not say otherwise.

    By default they spin. Beside other work the thread that is waited for may not be running: two threads that spin for
    each other on two busy cores are then several times slower than one. Results do not change. OpenMP reads its
    environment once, when torch is imported: later this does nothing.
    """
    if "torch" not in sys.modules and not any(name in os.environ for name in _WAITING):
        os.environ["OMP_WAIT_POLICY"] = "passive"


@contextmanager
def freed_memory_kept() -> Iterator[None]:
    """Within, glibc keeps what a step frees for the next one, where the environment does not say otherwise.

    By default large tensors go back to the system at every step, and each of their pages is made and zeroed anew by
    the next: 18,000 page faults a step of a small network, a tenth of its time.
    """
    libc = _glibc()
    if libc is None:
        yield
        return
    libc.mallopt(ctypes.c_int(_M_MMAP_THRESHOLD), ctypes.c_int(_LARGEST_THRESHOLD_BYTES))
    libc.mallopt(ctypes.c_int(_M_TRIM_THRESHOLD), ctypes.c_int(_KEPT_BYTES))
    try:
        yield
    finally:
        # What glibc itself comes to: twice the threshold (mallopt(3), dynamic adjustment).
        libc.mallopt(ctypes.c_int(_M_TRIM_THRESHOLD), ctypes.c_int(2 * _LARGEST_THRESHOLD_BYTES))
        libc.malloc_trim(ctypes.c_size_t(0))


def _glibc() -> ctypes.CDLL | None:
    """The C library, where it is one whose memory may be tuned and the environment does not do that."""
    if sys.platform != "linux" or any(name in os.environ for name in _MALLOC):
        return None
    libc = ctypes.CDLL(None)
    return libc if hasattr(libc, "mallopt") and hasattr(libc, "malloc_trim") else None
