"""Files and containers: the frame shown at a time, the sound between two times, what is wrong with a file.

media = open_media("videos/")                     # indexed: each file inspected once
media.frames(i, [0.0, 1.5])                       # as shown at those seconds
media.audio(i, 1.0, 0.5, 16_000)                  # half a second of sound from 1.0 s on, mono
prepare(media, "prepared/", side=128)             # decoded once, read at random hundreds of times faster
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from avssl.media.facts import Facts, Media, Rejected
    from avssl.media.indexing.summary import Summary, summarize
    from avssl.media.opening import open_media
    from avssl.media.prepared.in_cache import ensure_prepared
    from avssl.media.prepared.read import Prepared
    from avssl.media.prepared.write import prepare
    from avssl.media.selection import Subset
    from avssl.system.console import Progress
    from avssl.system.files import cache_folder

__all__ = [
    "Facts",
    "Media",
    "Prepared",
    "Progress",
    "Rejected",
    "Subset",
    "Summary",
    "cache_folder",
    "ensure_prepared",
    "open_media",
    "prepare",
    "summarize",
]

# Found when asked for: the decoder takes a moment to load, and whoever needs only Facts should not wait.
_LAZY = {
    "Facts": "media.facts",
    "Media": "media.facts",
    "Prepared": "media.prepared.read",
    "Progress": "system.console",
    "Rejected": "media.facts",
    "Subset": "media.selection",
    "Summary": "media.indexing.summary",
    "cache_folder": "system.files",
    "ensure_prepared": "media.prepared.in_cache",
    "open_media": "media.opening",
    "prepare": "media.prepared.write",
    "summarize": "media.indexing.summary",
}


def __getattr__(name: str) -> Any:
    if name not in _LAZY:
        raise AttributeError(f"module 'avssl.media' has no attribute {name!r}")
    return getattr(import_module(f"avssl.{_LAZY[name]}"), name)


def __dir__() -> list[str]:
    return __all__
