"""Why files cannot be used: reasons grouped by kind, and which of them are temporary."""

from __future__ import annotations

import errno
import os
import re
from collections import Counter
from collections.abc import Iterable

_BRACKETS = re.compile(r"\s*\([^()]*\)")
_NAME = re.compile(r"'[^']*'|\"[^\"]*\"|“[^”]*”|«[^»]*»|(?<!\S)(?:file:)?/\S+")
_NUMBER = r"(?<![\w.])(?:0x[0-9a-fA-F]+|\d+x\d+|[-+−]?\d+(?:[.,:]\d+)*(?:e[-+]?\d+)?)"
_TIME = re.compile(rf"\s+(?:at|after|before|from)\s+{_NUMBER}\s*(?:s|seconds?)\b(?=$|[:;,])")
_FIGURE = re.compile(_NUMBER)


def kind_of(reason: str) -> str:
    """A reason without times, figures, names and anything in brackets; ``…`` stands for each.

    "damaged: data is missing at 3.32 s" becomes "damaged: data is missing".
    """
    shorter = _BRACKETS.sub("", reason)
    while shorter != reason:  # the pattern finds the innermost brackets
        reason, shorter = shorter, _BRACKETS.sub("", shorter)
    return _FIGURE.sub("…", _NAME.sub("…", _TIME.sub("", reason))).strip()


def grouped(reasons: Iterable[str]) -> Counter[str]:
    """The number of reasons of each kind; a kind whose reasons are all equal keeps its figures."""
    members: dict[str, list[str]] = {}
    for reason in reasons:
        members.setdefault(kind_of(reason), []).append(reason)
    return Counter({alike[0] if len(set(alike)) == 1 else kind: len(alike) for kind, alike in members.items()})


# No permission, a disk or server that is away, out of memory or handles. A reason is stored as text, so that only the
# words of these errors are left to go by; each system has its own, and lacks some.
_ERRORS = (
    "EACCES", "EAGAIN", "EBUSY", "ECONNABORTED", "ECONNREFUSED", "ECONNRESET", "EDEADLK", "EHOSTDOWN", "EHOSTUNREACH",
    "EINTR", "EIO", "EMFILE", "ENETDOWN", "ENETUNREACH", "ENFILE", "ENODEV", "ENOENT", "ENOLCK", "ENOMEM", "ENOTCONN",
    "ENXIO", "EPERM", "ESHUTDOWN", "ESTALE", "ETIMEDOUT", "EREMOTEIO",
)  # fmt: skip

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
    """Whether the error may be gone another time, going by its text."""
    words = reason.lower()
    return any(known in words for known in _WORDS)
