"""Files kept open between reads: a few per process, least recently used closed first.

To open a file FFmpeg reads its header and decodes its first pictures, which costs as much as decoding half a second of
it. Keeping files open never changes what is read: one that was rewritten or removed is noticed by its size, its
modification time and its inode; nothing is kept after an error, nor inherited by another process.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from avssl.media.containers.demux import Deadline
from avssl.media.decoding.open_files import OpenFile, stamp_of

MOST_FILES = 64  # kept open by a process, each with at most two file descriptors
MOST_BYTES = 128 * 2**20  # of memory for all of them, by their own estimate

# Pictures of one group: the number of its key frame, and their container times, ascending.
Wanted = tuple[int, Sequence[float]]


@contextmanager
def borrowed(path: str, timeout_seconds: float, pictures: Wanted | None = None) -> Iterator[OpenFile]:
    """A file for one read: one that was kept open, if it is still the same on the disk, or a new one.

    Afterwards it is kept for the next, unless an error was raised. No two threads have the same at once.

    Args:
        timeout_seconds: of work without progress.
        pictures: that will be read first; None: only sound is wanted.
    """
    kept = _kept.for_sound(path) if pictures is None else _kept.for_pictures(path, *pictures)
    file = kept or OpenFile(path, Deadline(path))
    file.deadline.restart(timeout_seconds)
    try:
        yield file
    except BaseException:
        file.close()
        raise
    if file.may_stay():
        _kept.put(file)
    else:
        file.close()


class _Kept:
    """The files that are open and not being read, the one read last at the end.

    As long as there is room, a file may be there several times, its pictures standing in several groups.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._files: list[tuple[OpenFile, int]] = []

    def for_pictures(self, path: str, key: int, seconds: Sequence[float]) -> OpenFile | None:
        """One whose pictures go on to these, else one in their group or in none, else, without room, the oldest."""
        with self._unchanged(path) as found:
            choices = (
                [file for file in found if file.walk is not None and file.walk.reaches(key, seconds)],
                [file for file in found if file.stands_in in (None, key)],
                found if found and not self._has_room_for(found[0]) else [],
            )
            return self._taken(next((file for choice in choices for file in choice), None))

    def for_sound(self, path: str) -> OpenFile | None:
        """One that has a container for its sound, else the one read last."""
        with self._unchanged(path) as found:
            return self._taken(next((file for file in found if file.has_sound), found[-1] if found else None))

    def put(self, file: OpenFile) -> None:
        """Keep a file; another that stands in the same group, and those not read for longest, go."""
        with self._lock:
            gone = [one for one, _ in self._files if (one.path, one.stands_in) == (file.path, file.stands_in)]
            for one in gone:
                self._taken(one)
            self._files.append((file, file.bytes_held))
            while len(self._files) > MOST_FILES or sum(size for _, size in self._files) > MOST_BYTES:
                gone.append(self._files.pop(0)[0])
        for one in gone:
            one.close()

    @contextmanager
    def _unchanged(self, path: str) -> Iterator[list[OpenFile]]:
        """Those of this path, if it is still the same file; nobody else takes one meanwhile."""
        stamp, gone = stamp_of(path), []
        with self._lock:
            same = [file for file, _ in self._files if file.path == path]
            gone = [file for file in same if file.stamp != stamp]
            for file in gone:
                self._taken(file)
            yield [file for file in same if file.stamp == stamp]
        for file in gone:
            file.close()

    def _taken(self, file: OpenFile | None) -> OpenFile | None:
        self._files = [pair for pair in self._files if pair[0] is not file]
        return file

    def _has_room_for(self, file: OpenFile) -> bool:
        sizes = [size for _, size in self._files]
        return len(sizes) < MOST_FILES and sum(sizes) + file.bytes_held <= MOST_BYTES

    def close(self) -> None:
        while self._files:
            self._files.pop()[0].close()

    def after_fork(self) -> None:
        """In a child: descriptors that it has from its parent share their place in the file with the parent's."""
        self._lock = threading.Lock()
        self.close()


_kept = _Kept()
if hasattr(os, "register_at_fork"):  # Windows has none, and does not fork
    os.register_at_fork(after_in_child=_kept.after_fork)


def close_files() -> None:
    """Close the files that this process keeps open."""
    _kept.close()
