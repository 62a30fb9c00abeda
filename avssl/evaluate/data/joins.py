"""Matching names in a list to files: by path, never by the file name alone.

A name and a file belong together where the one, from its end on, is the whole of the other: ``cat/0001.jpg`` of a list
is ``…/photos/cat/0001.jpg`` on the disk, and so is ``0001.jpg`` where no other file is called so. What could be several
is refused.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from pathlib import PurePosixPath

from avssl.errors import UserError


def joined(names: Sequence[str], paths: Sequence[str], where: str) -> list[int | None]:
    """For each file the number of the listed name that means it; None for a file that no name means.

    Args:
        names: as a list has them, with or without folders; a name may be there more than once.
        paths: of the files, in full.
        where: the list, for messages.

    Raises:
        UserError: a name could mean several files, or different names mean one file.
    """
    listed = [_parts(name) for name in names]
    root = _root(paths)
    # Found by their last part below: lists of 100,000 names are joined in linear time
    files = [_parts(path)[len(root) :] for path in paths]
    whole = [_parts(path) for path in paths]
    by_last: dict[str, list[int]] = {}
    for i, parts in enumerate(files):
        by_last.setdefault(parts[-1], []).append(i)
    found: list[int | None] = [None] * len(paths)
    for number, name in enumerate(listed):
        near = by_last.get(name[-1], []) if name else []
        # A path in full means its file alone, whatever lies deeper elsewhere.
        exact = [i for i in near if whole[i] == name]
        meant = exact or [i for i in near if _ends(whole[i], name) or _ends(name, files[i])]
        if len({whole[i] for i in meant}) > 1:
            some = " and ".join("/".join(files[i]) for i in meant[:2])
            raise UserError(f"{where}: {names[number]!r} could be {some}; write names there with their folders")
        for i in meant:
            before = found[i]
            if before is not None and listed[before] != name:
                raise UserError(
                    f"{where}: {names[before]!r} and {names[number]!r} both could be {'/'.join(files[i])}; keep files "
                    "in the folders that the names have"
                )
            found[i] = number
    return found


class ByName:
    """Things by their name, such as maps, pictures and sounds of a test set that gives names without suffix.

    Args:
        paths: of the things, in full or as they are named.
        key: the last part of a path as names have it: without a suffix, spellings of one name made equal.
    """

    def __init__(self, paths: Sequence[str], key: Callable[[str], str]) -> None:
        self._key = key
        self._parts = [self._of(path) for path in paths]
        self._by_last: dict[str, list[int]] = {}
        for i, parts in enumerate(self._parts):
            self._by_last.setdefault(parts[-1], []).append(i)

    def find(self, name: str) -> list[int]:
        """Indices of the entries that a name could mean: where it has folders, those that lie in such."""
        wanted = self._of(name)
        near = self._by_last.get(wanted[-1], [])
        return near if len(wanted) == 1 else [i for i in near if _ends(self._parts[i], wanted)]

    def _of(self, path: str) -> tuple[str, ...]:
        return (*_parts(path)[:-1], self._key(path))


def _parts(name: str) -> tuple[str, ...]:
    pure = PurePosixPath(name.strip().replace("\\", "/"))
    return tuple(part for part in pure.parts if part not in ("/", "."))


def _ends(long: tuple[str, ...], short: tuple[str, ...]) -> bool:
    return bool(short) and long[-len(short) :] == short


def _root(paths: Sequence[str]) -> tuple[str, ...]:
    """The folder that holds all files."""
    folders = {str(PurePosixPath(path).parent) for path in paths}
    try:
        return _parts(os.path.commonpath(folders)) if folders else ()
    except ValueError:  # relative and absolute ones, or other drives
        return ()
