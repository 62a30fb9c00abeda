"""Where avssl keeps what it can make again, and how it writes so that nothing half-written is ever read."""

from __future__ import annotations

import errno
import json
import os
import shutil
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any
from uuid import uuid4

import platformdirs
from filelock import FileLock, Timeout

from avssl.errors import UserError


def cache_folder() -> Path:
    """The user's cache: ``AVSSL_CACHE`` if that is set, else where the system keeps caches. Not created."""
    told = os.environ.get("AVSSL_CACHE")
    return Path(told).expanduser().absolute() if told else Path(platformdirs.user_cache_dir("avssl", appauthor=False))


@contextmanager
def saving(what: Path) -> Iterator[None]:
    """Run a block that writes ``what``; a full or closed disk becomes one line.

    Raises:
        UserError: no space, no right to write, or a read-only disk.
    """
    try:
        yield
    except OSError as error:
        reason = _WAYS_OUT.get(error.errno or 0)
        if reason is None:
            raise
        raise UserError(f"cannot write {what}: {reason}") from error


@contextmanager
def whole_file(path: Path, mode: str = "wb") -> Iterator[IO[Any]]:
    """Open a file that appears under its name only when the block has ended well: fsync, then rename.

    Raises:
        UserError: no space, no right to write, or a read-only disk; then nothing is left behind.
    """
    partial = path.with_name(f".{path.name}.{uuid4().hex[:8]}")
    with saving(path):
        try:
            _make_folder(path.parent)
            with partial.open(mode, encoding=None if "b" in mode else "utf-8") as file:
                yield file
                file.flush()
                os.fsync(file.fileno())
            partial.replace(path)
        except BaseException:
            partial.unlink(missing_ok=True)
            raise
        sync_folder(path.parent)


@contextmanager
def whole_folder(path: Path) -> Iterator[Path]:
    """A folder to fill, which appears as ``path`` only when the block has ended well.

    If ``path`` has come into being meanwhile, that one stays: both writers wrote the same.

    Raises:
        UserError: no space, no right to write, or a read-only disk; then nothing is left behind.
    """
    partial = path.with_name(f".{path.name}.{uuid4().hex[:8]}")
    with saving(path):
        try:
            _make_folder(partial)
            yield partial
            for file in partial.iterdir():
                with file.open("rb") as opened:
                    os.fsync(opened.fileno())
            try:
                partial.rename(path)
            except OSError as error:
                if error.errno not in (errno.EEXIST, errno.ENOTEMPTY) or not path.is_dir():
                    raise
                shutil.rmtree(partial)
        except BaseException:
            shutil.rmtree(partial, ignore_errors=True)
            raise
        sync_folder(path.parent)


@contextmanager
def locked(folder: Path, waiting: Callable[[], None] | None = None) -> Iterator[None]:
    """Hold the lock of a folder: of all processes on this disk, one at a time works inside the block.

    Args:
        waiting: called once if another process holds the lock.

    Raises:
        UserError: no space, no right to write, or a read-only disk.
    """
    with saving(folder):
        _make_folder(folder)
        lock = FileLock(folder / ".lock")
        try:
            lock.acquire(timeout=0)
        except Timeout:
            if waiting is not None:
                waiting()
            lock.acquire()
    try:
        yield
    finally:
        lock.release()


def write_json(path: Path, value: Mapping[str, Any]) -> None:
    """Write ``value`` whole or not at all.

    Raises:
        UserError: as :func:`whole_file`.
    """
    with whole_file(path, "w") as file:
        json.dump(value, file, ensure_ascii=False, indent=1)
        file.write("\n")


def read_json(path: Path) -> dict[str, Any] | None:
    """The JSON object in ``path``; None where there is no such file or it holds something else."""
    try:
        value = json.loads(path.read_bytes())
    except (FileNotFoundError, NotADirectoryError, IsADirectoryError, ValueError, RecursionError):
        return None
    return value if isinstance(value, dict) else None


def sync_folder(folder: Path) -> None:
    """Make a rename in ``folder`` survive a power cut, where the system can."""
    if os.name == "nt":  # Windows has no descriptor of a folder
        return
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _make_folder(folder: Path) -> None:
    """
    Raises:
        UserError: the system makes no folders there (/proc, a drive that is not there).
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except FileNotFoundError as error:
        raise UserError(f"cannot make the folder {folder}: nothing can be made there; choose another place") from error


_FULL = "no space is left on this disk; free some, or move the cache with AVSSL_CACHE"
_CLOSED = "no right to write there; choose another place, or move the cache with AVSSL_CACHE"
_WAYS_OUT = {
    errno.ENOSPC: _FULL,
    errno.EDQUOT: "the quota of this disk is used up; free some, or move the cache with AVSSL_CACHE",
    errno.EACCES: _CLOSED,
    errno.EPERM: _CLOSED,
    errno.EROFS: "this disk is read-only; choose another place, or move the cache with AVSSL_CACHE",
    errno.EFBIG: "the file grows larger than this disk or the system's limits allow; choose another place",
    errno.ENOTDIR: "a part of this path is a file; choose another place",
}
