"""The bytes of a file, mapped into memory."""

from __future__ import annotations

import mmap
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

Data = bytes | mmap.mmap


@contextmanager
def mapped(path: str) -> Iterator[mmap.mmap]:
    """All bytes of a file that is not empty, read from the disk on access."""
    with Path(path).open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data:
        yield data
