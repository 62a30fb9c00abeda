"""Why files cannot be used: reasons grouped by kind, and which of them may pass."""

from __future__ import annotations

import errno
import os
import re
from collections import Counter
from collections.abc import Iterable

_BRACKETS = re.compile(r"\s*\([^()]*\)")
_NAME = re.compile(r"'[^']*'|\"[^\"]*\"|“[^”]*”|«[^»]*»|(?<!\S)(?:file:)?/\S+")
_NUMBER = r"(?<![\w.])(?:0x[0-9a-fA-F]+|\d+x\d+|[-+−]?\d+(?:[.,:]\d+)*(?:e[-+]?\d+)?)"
_MOMENT = re.compile(rf"\s+(?:at|after|before|from)\s+{_NUMBER}\s*(?:s|seconds?)\b(?=$|[:;,])")
_FIGURE = re.compile(_NUMBER)


def kind_of(reason: str) -> str:
    """A reason without times, figures, names and what stands in brackets; ``…`` where one is missing.

    "damaged: data is missing at 3.32 s" becomes "damaged: data is missing".
    """
    shorter = _BRACKETS.sub("", reason)
    while shorter != reason:  # brackets inside of brackets
        reason, shorter = shorter, _BRACKETS.sub("", shorter)
    return _FIGURE.sub("…", _NAME.sub("…", _MOMENT.sub("", reason))).strip()


def grouped(reasons: Iterable[str]) -> Counter[str]:
    """How often there is each kind of reason; a kind of which all are alike keeps its figures."""
    members: dict[str, list[str]] = {}
    for reason in reasons:
        members.setdefault(kind_of(reason), []).append(reason)
    return Counter({alike[0] if len(set(alike)) == 1 else kind: len(alike) for kind, alike in members.items()})


# No right to read it, a disk or a server that is away, no memory, no handle left; each has its own words.
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
    """Whether a file may be found otherwise another time, going by the text of its error."""
    words = reason.lower()
    return any(known in words for known in _WORDS)
