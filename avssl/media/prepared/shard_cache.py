"""Shards of remote sets on the local disk: fetched once, verified, least recently used removed first.

    CACHE/remote/SET/index/…             the index of a set, named by its content
    CACHE/remote/SET/shard-000000.tar …  those of its shards that are here

Any number of processes and sets share it. A shard appears by rename once all of it is here and its checksum is right;
of several processes that want one, one fetches it and the others wait.

Files under their names, unfinished ones included, never take more than the bound: where shards that are being fetched
leave no room, the next one waits for them. Beyond it are only shards that were removed while a process reads them,
whose space the system gives back when that process lets go, and on Windows those that could therefore not be removed.
"""

from __future__ import annotations

import os
import time
import zlib
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from shutil import disk_usage
from uuid import uuid4

from filelock import FileLock, Timeout

from avssl.errors import UserError
from avssl.system.files import UNFINISHED, cache_folder, locked, make_folder, writing

LIMIT_GB = "AVSSL_CACHE_GB"  # variable that bounds the shards of all remote sets together
DEFAULT_GB = 50.0

PIECE_BYTES = 16 * 2**20  # a shard is fetched in pieces: after a broken connection only one is fetched again
PIECES_AT_ONCE = 4  # one connection to an object store gives about 100 MB/s, a few together saturate the network

WHOLE_TRIES = 3
_KEPT_FREE_BYTES = 256 * 2**20  # of the disk, for whatever else the machine writes
# Longer than all tries take: an unfinished file this old was left by a killed process, even where its lock seems held,
# as by a worker that the process forked.
_DEAD_AFTER_SECONDS = 3600
_LOOK_AGAIN_SECONDS = 0.05

ReadRange = Callable[[str, int, int], bytes]  # (name, first byte, number of bytes) → exactly these bytes


def limit_bytes() -> int:
    """How much all shards together may take, by ``AVSSL_CACHE_GB``; raises UserError where that is no number > 0."""
    text = os.environ.get(LIMIT_GB) or str(DEFAULT_GB)
    try:
        gigabytes = float(text)
    except ValueError:
        gigabytes = 0.0
    if not 0 < gigabytes < 1e9:
        raise UserError(f"{LIMIT_GB} needs a number of gigabytes above 0, not {text!r}")
    return round(gigabytes * 1e9)


def remote_cache() -> Path:
    return cache_folder() / "remote"


class ShardCache:
    """The shards of one set that are on this disk, in ``folder``; ``read`` reads a part of a shard from the remote."""

    def __init__(self, folder: Path, read: ReadRange) -> None:
        self.folder = folder
        self._read = read

    def holds(self, name: str, size: int) -> bool:
        try:
            return (self.folder / name).stat().st_size == size
        except OSError:
            return False

    def use(self, name: str) -> Path:
        """The file of a shard, marked as used last; raises FileNotFoundError where it is not here, or no longer."""
        path = self.folder / name
        os.utime(path)
        return path

    def remove(self, name: str) -> None:
        _removed(self.folder / name)

    def fetch(self, name: str, size: int, crc: int, *, wait: bool = True) -> bool:
        """Fetch a shard, unless it is here.

        Args:
            size, crc: by the index.
            wait: for another process that is fetching it; else return False.

        Raises:
            UserError: it cannot be fetched, its checksum is wrong again and again, or it does not fit.
        """
        if self.holds(name, size):
            return True
        with writing(self.folder):
            make_folder(self.folder)
        try:
            alone = FileLock(self.folder / f".{name}.lock").acquire(timeout=-1 if wait else 0)
        except Timeout:
            return False
        with alone:
            if not self.holds(name, size):
                self._fetch(name, size, crc)
        return True

    def _fetch(self, name: str, size: int, crc: int) -> None:
        for leftover in self.folder.glob(f".{name}.*{UNFINISHED}"):  # of a killed process: the lock is ours
            _removed(leftover)
        for _ in range(WHOLE_TRIES):
            partial = self.folder / f".{name}.{uuid4().hex[:8]}{UNFINISHED}"
            try:
                self._make_room(partial, size)
                with writing(self.folder / name):
                    found = self._download(name, partial, size)
                    if found == crc:
                        # Not synced: damage by a power cut shows in the size, or in the checksums when it is read.
                        partial.replace(self.folder / name)
                        return
            finally:
                partial.unlink(missing_ok=True)
        raise UserError(
            f"{name} was fetched {WHOLE_TRIES} times with a wrong checksum: it is damaged on the server, or of another "
            "preparation than the index; upload the set again"
        )

    def _download(self, name: str, partial: Path, size: int) -> int:
        """Write all pieces in order; return their checksum."""
        crc = 0
        places = range(0, size, PIECE_BYTES)
        pool = ThreadPoolExecutor(min(PIECES_AT_ONCE, max(len(places), 1)), "avssl-fetch")
        try:
            with partial.open("r+b") as file:
                for data in pool.map(lambda at: self._read(name, at, min(PIECE_BYTES, size - at)), places):
                    file.write(data)
                    crc = zlib.crc32(data, crc)
        finally:
            pool.shutdown(cancel_futures=True)
        return crc

    def _make_room(self, partial: Path, size: int) -> None:
        """Remove the least recently used shards until there is room, and reserve it."""
        limit = limit_bytes()
        if size > limit:
            raise UserError(
                f"{partial.parent}: a shard of {size / 1e9:.2g} GB does not fit into a cache of {limit / 1e9:.2g} GB; "
                f"raise {LIMIT_GB}"
            )
        # Others' unfinished shards cannot be removed. They wait for nothing any more, so that they do get finished.
        while not self._reserved(partial, size, limit):
            time.sleep(_LOOK_AGAIN_SECONDS)

    def _reserved(self, partial: Path, size: int, limit: int) -> bool:
        """Whether there was room for ``partial``, which then has its size; False where unfinished shards take it."""
        root = self.folder.parent
        with locked(root), writing(partial):
            coming = _unfinished_bytes(root)
            if coming and coming + size > limit:
                return False
            there = [
                (state.st_mtime, state.st_size, path) for path in root.glob("*/shard-*.tar") if (state := _stat(path))
            ]
            total = coming + sum(length for _, length, _ in there)
            for _, length, path in sorted(there):
                if total + size <= limit and disk_usage(root).free >= size + _KEPT_FREE_BYTES:
                    break
                # A process that reads it keeps its mapping. Windows refuses to remove mapped files: then the next goes.
                if _removed(path):
                    total -= length
            with partial.open("wb") as file:
                file.truncate(size)
        return True


def _unfinished_bytes(root: Path) -> int:
    """Bytes of the shards that are being fetched; what killed processes left is removed."""
    total = 0
    for leftover in root.glob(f"*/.shard-*{UNFINISHED}"):
        state = _stat(leftover)
        if state is not None and not (_is_dead(leftover, state) and _removed(leftover)):
            total += state.st_size
    return total


def _is_dead(leftover: Path, state: os.stat_result) -> bool:
    """Whether no process writes this unfinished shard any more: its lock is free, or it is old."""
    if time.time() - state.st_mtime > _DEAD_AFTER_SECONDS:
        return True
    shard = leftover.name.split(".tar.")[0].removeprefix(".")
    try:
        # Without waiting: who waits for the lock of a shard may hold that of the folder.
        with FileLock(leftover.parent / f".{shard}.tar.lock").acquire(timeout=0):
            return True
    except Timeout:
        return False


def _stat(path: Path) -> os.stat_result | None:
    try:
        return path.stat()
    except OSError:  # another process removed it
        return None


def _removed(path: Path) -> bool:
    try:
        path.unlink(missing_ok=True)
    except PermissionError:
        return False
    return True
