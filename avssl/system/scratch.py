"""Temporary folders: gone with the process, and if it was killed, removed by the next one that makes such a folder."""

from __future__ import annotations

import shutil
import tempfile
import time
from contextlib import suppress
from pathlib import Path
from types import TracebackType

from avssl.system.files import take_lock

_PREFIX = "avssl-"
_LOCK = ".in-use"

_YOUNG_SECONDS = 60.0
"""A folder may be seen before it is locked; so young ones are left alone."""

_own: set[ScratchFolder] = set()
_looked_in: set[str] = set()


class ScratchFolder:
    """A new folder where temporary files go, locked as long as this process lives.

    Attributes:
        path: of the folder.

    Args:
        what: for whoever looks at the names: "film", "upload".
    """

    def __init__(self, what: str) -> None:
        _remove_abandoned(tempfile.gettempdir())
        self.path = Path(tempfile.mkdtemp(prefix=f"{_PREFIX}{what}-"))
        self._unlock = take_lock(self.path / _LOCK)
        _own.add(self)

    def remove(self) -> None:
        """Remove it with all that is in it."""
        _own.discard(self)
        if self._unlock is not None:
            self._unlock()
            self._unlock = None
        shutil.rmtree(self.path, ignore_errors=True)

    def __enter__(self) -> Path:
        return self.path

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.remove()


def remove_own() -> None:
    """Remove all of this process, whoever uses them: for a process that ends at once."""
    for folder in list(_own):
        folder.remove()


def _remove_abandoned(place: str) -> None:
    """Remove those whose process was killed; looked for once, as nothing of this process is among them."""
    if place in _looked_in:
        return
    _looked_in.add(place)
    for lock in Path(place).glob(f"{_PREFIX}*/{_LOCK}"):
        with suppress(OSError):  # another user's, or gone meanwhile
            if time.time() - lock.stat().st_mtime < _YOUNG_SECONDS:
                continue
            unlock = take_lock(lock)
            if unlock is not None:
                shutil.rmtree(lock.parent, ignore_errors=True)
                unlock()
