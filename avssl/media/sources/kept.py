"""The sources found in a large collection, cached until a file changes: finding them takes minutes or days."""

from __future__ import annotations

import json
import time
import zipfile
from collections.abc import Callable, Sequence
from contextlib import suppress
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from avssl.media.facts import Media
from avssl.media.selection import column_of, digest_of, stamp_of
from avssl.media.sources.source_groups import Likeness, Sources
from avssl.media.sources.traces import FORMAT
from avssl.system.files import cache_folder, whole_path
from avssl.version import __version__

WORTH_KEEPING = 20_000  # items; fewer are grouped within a second or two, once they are measured

KEPT_SECONDS = 30 * 24 * 3600

_GROUPS = ("groups", "warnings")


def kept(media: Media, mode: str, find: Callable[[], tuple[Sources, bool]]) -> Sources:
    """The sources that this version found in these items before, or ``find()``: them, and whether to keep them."""
    if len(media) < WORTH_KEEPING:
        return find()[0]
    paths = column_of(media, "path").tolist()
    key = digest_of(__version__, str(FORMAT), mode, media.fingerprint, stamp_of(media), "\0".join(paths))
    place = cache_folder() / "sources" / f"{key}.npz"
    with suppress(OSError, ValueError, KeyError, zipfile.BadZipFile):  # none there, or damaged
        return _read(place, mode, paths)
    found, is_sure = find()
    if is_sure:
        _write(place, found)
    return found


def _read(place: Path, mode: str, paths: Sequence[str]) -> Sources:
    with np.load(place, allow_pickle=False) as arrays:
        names = json.loads(arrays["names"].tobytes())
        groups: dict[str, tuple[Likeness, ...]] = {}
        for kind in _GROUPS:
            ends, items = arrays[f"{kind}_ends"].tolist(), arrays[f"{kind}_items"].tolist()
            about = json.loads(arrays[f"{kind}_about"].tobytes())
            members = [tuple(items[begin:end]) for begin, end in pairwise([0, *ends])]
            groups[kind] = tuple(
                Likeness(rule, one, tuple(paths[i] for i in one), words)
                for one, (rule, words) in zip(members, about, strict=True)
            )
        which = arrays["which"].tolist()
    return Sources(tuple(names[number] for number in which), mode, groups["groups"], groups["warnings"])


def _write(place: Path, found: Sources) -> None:
    numbers = {name: number for number, name in enumerate(dict.fromkeys(found.names))}
    arrays: dict[str, Any] = {
        "names": _text(list(numbers)),
        "which": np.array([numbers[name] for name in found.names], np.int32),
    }
    for kind in _GROUPS:
        groups: tuple[Likeness, ...] = getattr(found, kind)
        arrays[f"{kind}_ends"] = np.cumsum([len(group.items) for group in groups], dtype=np.int64)
        arrays[f"{kind}_items"] = np.array([i for group in groups for i in group.items], np.int64)
        arrays[f"{kind}_about"] = _text([(group.rule, group.words) for group in groups])
    with whole_path(place) as partial, partial.open("wb") as file:
        np.savez(file, **arrays)
    for old in place.parent.glob("*.npz"):
        if time.time() - old.stat().st_mtime > KEPT_SECONDS:
            old.unlink(missing_ok=True)


def _text(value: object) -> NDArray[np.uint8]:
    return np.frombuffer(json.dumps(value).encode(), np.uint8)
