"""Files appear whole or not at all."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from avssl.errors import UserError

UNFINISHED = ".unfinished"
"""Suffix of a file that is being written; one that a killed process left behind may be removed."""


def write_whole(path: Path, data: bytes | memoryview) -> None:
    """Write a file that is seen under its name only when all of it is on the disk.

    Raises:
        UserError: the disk is full or the folder cannot be written; what was there before is untouched.
    """
    unfinished = path.with_name(path.name + UNFINISHED)
    with writing(path):
        try:
            with unfinished.open("wb") as file:
                file.write(data)
                file.flush()
                os.fsync(file.fileno())
            unfinished.replace(path)
        except OSError:
            unfinished.unlink(missing_ok=True)
            raise
        _sync_folder(path.parent)


@contextmanager
def writing(path: Path) -> Iterator[None]:
    """Within, an error of the system is told as one line that names the file and the way out."""
    try:
        yield
    except OSError as error:
        reason = error.strerror or str(error)
        raise UserError(
            f"cannot write {path}: {reason}; make room (or the folder writable) and run the same command again"
        ) from error


@contextmanager
def reading(path: Path) -> Iterator[None]:
    """Within, an error of the system is told as one line that names the file."""
    try:
        yield
    except OSError as error:
        raise UserError(f"cannot read {path}: {error.strerror or error}") from error


def _sync_folder(folder: Path) -> None:
    """The rename itself must reach the disk, too."""
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
