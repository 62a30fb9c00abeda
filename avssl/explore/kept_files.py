"""Files made on first request and cached up to a size limit."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable
from pathlib import Path

from avssl.system.files import make_folder, write_whole


class KeptFiles:
    """A folder of files that can be made again; those not asked for the longest go first. Threads may share it.

    Args:
        folder: made if it is not there; what lies in it from an earlier time counts.
        limit_bytes: of all files together, from which on files are removed.
    """

    def __init__(self, folder: Path, limit_bytes: int) -> None:
        self._folder, self._limit = folder, limit_bytes
        make_folder(folder)
        # In the order in which they were made, as nothing says when each was last asked for.
        there = sorted((path for path in folder.iterdir() if path.is_file()), key=lambda path: path.stat().st_mtime_ns)
        self._sizes = OrderedDict((path.name, path.stat().st_size) for path in there)
        self._lock = threading.Lock()
        self._making: dict[str, threading.Lock] = {}

    def get(self, name: str, make: Callable[[], bytes]) -> bytes:
        """The content of a file; what ``make`` returns if it is not there yet. Several who ask wait for one maker."""
        # A lock a name: whoever wants another file does not wait for a film that is being made.
        with self._lock:
            making = self._making.setdefault(name, threading.Lock())
        with making:
            try:
                content = (self._folder / name).read_bytes()
                with self._lock:
                    if name in self._sizes:
                        self._sizes.move_to_end(name)
                return content
            except FileNotFoundError:
                content = make()
                write_whole(self._folder / name, content)
                self._added(name, len(content))
                return content
            finally:
                with self._lock:
                    self._making.pop(name, None)

    def _added(self, name: str, size: int) -> None:
        with self._lock:
            self._sizes[name] = size
            total = sum(self._sizes.values())
            while total > self._limit and len(self._sizes) > 1:
                oldest, freed = self._sizes.popitem(last=False)
                (self._folder / oldest).unlink(missing_ok=True)
                total -= freed
