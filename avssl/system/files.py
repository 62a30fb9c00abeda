"""The cache, and atomic writes: no partial file is ever read."""

from __future__ import annotations

import errno
import importlib
import json
import os
import shutil
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from types import ModuleType
from typing import IO, Any
from uuid import uuid4

import platformdirs
from filelock import FileLock, Timeout

from avssl.errors import UserError

fcntl: ModuleType | None
try:
    fcntl = importlib.import_module("fcntl")
except ImportError:  # Windows
    fcntl = None


def cache_folder() -> Path:
    """The user's cache: ``AVSSL_CACHE`` if that is set, else where the system keeps caches. Not created."""
    chosen = os.environ.get("AVSSL_CACHE")
    if chosen:
        return Path(chosen).expanduser().absolute()
    return Path(platformdirs.user_cache_dir("avssl", appauthor=False))


# Suffix of what is being written; a killed process may leave it behind.
UNFINISHED = ".unfinished"


@contextmanager
def writing(path: Path) -> Iterator[None]:
    """Run a block that writes ``path``; a full or closed disk becomes one line.

    Raises:
        UserError: no space, no right to write, or a read-only disk.
    """
    try:
        yield
    except OSError as error:
        if error.errno not in _REASONS:
            raise
        reason, mend = _REASONS[error.errno]
        cached = path.absolute().is_relative_to(cache_folder())
        way = "move the cache with AVSSL_CACHE" if cached else "choose another place"
        if mend:
            way = f"{mend} and run the same command again" + (f", or {way}" if cached else "")
        raise UserError(f"cannot write {path}: {reason}; {way}") from error


@contextmanager
def whole_path(path: Path) -> Iterator[Path]:
    """A name to write to; the file appears as ``path`` only when the block has ended well: fsync, then rename.

    Its folder is made if it is not there.

    Raises:
        UserError: no space, no right to write, or a read-only disk; then nothing is left behind.
    """
    partial = _partial(path)
    with writing(path):
        try:
            make_folder(path.parent)
            yield partial
            _sync(partial)
            partial.replace(path)
        except BaseException:
            partial.unlink(missing_ok=True)
            raise
        _sync_folder(path.parent)


@contextmanager
def whole_file(path: Path, mode: str = "wb") -> Iterator[IO[Any]]:
    """:func:`whole_path`, opened; text is UTF-8, names that are not are written with JSON's own escapes."""
    as_text = {} if "b" in mode else {"encoding": "utf-8", "errors": "backslashreplace"}
    with whole_path(path) as partial, partial.open(mode, **as_text) as file:  # type: ignore[call-overload]
        yield file


def write_whole(path: Path, data: bytes | memoryview) -> None:
    """Write a file of these bytes; raises as :func:`whole_path`."""
    with whole_file(path) as file:
        file.write(data)


@contextmanager
def whole_folder(path: Path, kept_on: type[BaseException] | tuple[type[BaseException], ...] = ()) -> Iterator[Path]:
    """A folder to fill, which appears as ``path`` only when the block has ended well.

    If ``path`` has come into being meanwhile, that one stays: both writers wrote the same.

    Args:
        path: its name in the end.
        kept_on: errors that leave what was written until then behind under another name, as a kill does.

    Raises:
        UserError: no space, no right to write, or a read-only disk; then nothing is left behind.
    """
    partial = _partial(path)
    with writing(path):
        try:
            make_folder(partial)
            yield partial
            for file in partial.iterdir():
                _sync(file)
            try:
                partial.rename(path)
            except OSError as error:
                if error.errno not in (errno.EEXIST, errno.ENOTEMPTY) or not path.is_dir():
                    raise
                shutil.rmtree(partial)
        except kept_on:
            raise
        except BaseException:
            shutil.rmtree(partial, ignore_errors=True)
            raise
        _sync_folder(path.parent)


def remove_unfinished(folder: Path, age_seconds: float = 0.0) -> None:
    """Remove what killed processes left half written in ``folder``, but what is younger: somebody may be writing it."""
    for partial in folder.glob(f"*{UNFINISHED}"):
        with writing(partial), suppress(FileNotFoundError):  # another process was done with it
            if time.time() - partial.stat().st_mtime >= age_seconds:
                partial.unlink(missing_ok=True)


@contextmanager
def locked(folder: Path, waiting: Callable[[], None] | None = None) -> Iterator[None]:
    """Hold the lock of a folder: of all processes on this disk, one at a time works inside the block.

    Args:
        waiting: called once if another process holds the lock.

    Raises:
        UserError: no space, no right to write, or a read-only disk.
    """
    with writing(folder):
        make_folder(folder)
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


def take_lock(path: Path) -> Callable[[], None] | None:
    """Lock the file ``path`` for this process, without waiting.

    Unlike that of :func:`locked` it is not inherited: forked workers that outlive a killed process hold nothing.

    Returns:
        what gives it free; None where another process, or this one, holds it.
    """
    place = path.resolve()
    if place in _taken:
        return None
    if fcntl is None:  # Windows, which forks nothing
        lock = FileLock(path)
        try:
            lock.acquire(timeout=0)
        except Timeout:
            return None
        release: Callable[[], None] = lock.release
    else:
        file = path.open("a")
        try:
            fcntl.lockf(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except (BlockingIOError, PermissionError):  # POSIX allows either
            file.close()
            return None
        release = file.close
    _taken.add(place)

    def give_free() -> None:
        release()
        _taken.discard(place)

    return give_free


# Files that this process has locked: the system's lock is between processes only.
_taken: set[Path] = set()


def write_json(path: Path, value: Any) -> None:
    """Write plain values as JSON; raises as :func:`whole_path`."""
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


def _partial(path: Path) -> Path:
    if not path.name:  # "", "." and "/"
        raise UserError(f"cannot write {path}: a folder of this name is in the way; give the name of a file")
    return path.with_name(f".{path.name}.{uuid4().hex[:8]}{UNFINISHED}")


def _sync(file: Path) -> None:
    with file.open("rb+") as opened:  # Windows syncs only what may be written
        os.fsync(opened.fileno())


def _sync_folder(folder: Path) -> None:
    """Make a rename in ``folder`` survive a power cut, where the system can."""
    if os.name == "nt":  # Windows has no descriptor of a folder
        return
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def make_folder(folder: Path) -> None:
    """Make a folder and those above it, where they are not there yet.

    Raises:
        UserError: the system makes no folders there (/proc, a drive that is not there).
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except FileNotFoundError as error:
        raise UserError(f"cannot make the folder {folder}: nothing can be made there; choose another place") from error


# What each error number of the system means, and how to mend it where that is known.
_REASONS = {
    errno.ENOSPC: ("no space is left on this disk", "free some"),
    errno.EDQUOT: ("the quota of this disk is used up", "free some"),
    errno.EACCES: ("no right to write there", ""),
    errno.EPERM: ("no right to write there", ""),
    errno.EROFS: ("this disk is read-only", ""),
    errno.EFBIG: ("the file grows larger than this disk or the system's limits allow", ""),
    errno.ENOTDIR: ("a part of this path is a file", ""),
    errno.EEXIST: ("a file of this name is in the way", ""),
    errno.EISDIR: ("a folder of this name is in the way", ""),
    errno.ENAMETOOLONG: ("this name is too long", ""),
    errno.EIO: ("this disk reports an error", "look after it"),
}
