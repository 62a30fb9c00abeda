"""Transient errors, which are never remembered as the verdict on a file."""

from __future__ import annotations

import errno
import os

_ERRORS = (
    "EACCES", "EAGAIN", "EBUSY", "ECONNABORTED", "ECONNREFUSED", "ECONNRESET", "EDEADLK", "EHOSTDOWN", "EHOSTUNREACH",
    "EINTR", "EIO", "EMFILE", "ENETDOWN", "ENETUNREACH", "ENFILE", "ENODEV", "ENOENT", "ENOLCK", "ENOMEM", "ENOTCONN",
    "ENXIO", "EPERM", "ESHUTDOWN", "ESTALE", "ETIMEDOUT", "EREMOTEIO",
)  # fmt: skip
"""No right to read it, a disk or a server that is away, no memory, no handle left; each has its own words."""

_WORDS = (
    *(os.strerror(getattr(errno, name)).lower() for name in _ERRORS if hasattr(errno, name)),
    "no such file",
    "immediate exit requested",  # FFmpeg, of a read that waited too long
    "was given up",  # a deadline of our own
    "unable to allocate",  # numpy
    "memoryerror",
    "out of memory",
)


def is_transient(reason: str) -> bool:
    """Whether a file may be found otherwise another time, going by the text of its error."""
    words = reason.lower()
    return any(known in words for known in _WORDS)
