"""The verdict on many files at once: each is looked at in a process that it may take down with it."""

from __future__ import annotations

import io
import shutil
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path, PurePosixPath
from typing import Any, BinaryIO, NamedTuple, cast

from avssl.media.facts import Unusable
from avssl.media.indexing.check_image import check_image
from avssl.media.indexing.inspect import Inspection, inspect, of_image
from avssl.system.process_pool import Lost, each

IMAGE_SUFFIXES = (
    ".jpg", ".jpeg", ".jpe", ".png", ".gif", ".webp", ".bmp", ".tif", ".tiff", ".ppm", ".pgm", ".jp2", ".avif",
)  # fmt: skip
# An image takes less time than handing it to another process, so that several go together.
IMAGES_AT_ONCE = 32
SMALL_BYTES = 1 << 24  # members of a tar up to this size are read at once
HANGS_AFTER_SECONDS = 90.0  # inspect gives up by itself before that; beyond, native code hangs


class Target(NamedTuple):
    """A file, or a member of a tar."""

    path: str  # of the file; of a member the path that names it in messages
    size: int
    offset: int = -1  # where a member begins in the tar; -1 for a file
    tar: str = ""


def inspect_many(
    targets: Sequence[Target], workers: int | None, done: Callable[[int], None]
) -> Iterator[tuple[int, Inspection]]:
    """Look at each target: (its place in ``targets``, what was found), in the order of finishing.

    Args:
        workers: processes; None takes the cores there are, 0 works in this process.
        done: called with how many more are finished.
    """
    alone: list[int] = []
    for places, found in _examined(targets, _portions(targets), workers):
        if isinstance(found, Lost) and len(places) > 1:
            alone.extend(places)  # one of them took the others with it
            continue
        yield from _answers(places, found)
        done(len(places))
    for places, found in _examined(targets, [[place] for place in alone], workers):
        yield from _answers(places, found)
        done(len(places))


def _examined(
    targets: Sequence[Target], portions: Sequence[list[int]], workers: int | None
) -> Iterator[tuple[list[int], list[Inspection] | Lost]]:
    jobs = [[targets[place] for place in portion] for portion in portions]
    for job, found in each(inspect_all, jobs, workers, lambda job: HANGS_AFTER_SECONDS):
        yield portions[job], found


def _answers(places: Sequence[int], found: list[Inspection] | Lost) -> Iterator[tuple[int, Inspection]]:
    if isinstance(found, Lost):
        yield places[0], Inspection(f"unreadable: {found.reason}", passing=found.passing)
    else:
        yield from zip(places, found, strict=True)


def _portions(targets: Sequence[Target]) -> list[list[int]]:
    """Places of targets that go to a process together: images in portions, all else alone."""
    portions: list[list[int]] = []
    images: list[int] = []
    for place, target in enumerate(targets):
        if not target.path.lower().endswith(IMAGE_SUFFIXES):
            portions.append([place])
            continue
        images.append(place)
        if len(images) == IMAGES_AT_ONCE:
            portions.append(images)
            images = []
    return [*portions, images] if images else portions


def inspect_all(targets: Sequence[Target]) -> list[Inspection]:
    """What is found in each of these. Never raises for a bad file."""
    return [inspect(target.path) if target.offset < 0 else _inspect_member(target) for target in targets]


def _inspect_member(target: Target) -> Inspection:
    if target.size == 0:
        return Inspection("empty file")
    try:
        with member(target.tar, target.offset, target.size) as file:
            size = check_image(target.path, file)
            return _inspect_copy(target, file) if size is None else of_image(size)
    except Unusable as unusable:
        return Inspection(str(unusable))
    except OSError as error:
        return Inspection(f"unreadable: {error.strerror or error}")


def _inspect_copy(target: Target, file: BinaryIO) -> Inspection:
    """Why a member is no image, by the same look at it as at a file."""
    file.seek(0)
    with tempfile.TemporaryDirectory(prefix="avssl-") as folder:
        copy = Path(folder) / f"member{PurePosixPath(target.path).suffix}"
        with copy.open("wb") as written:  # closed before it is looked at, as Windows needs
            shutil.copyfileobj(file, written)
        found = inspect(str(copy))
    if found.reason is None:
        return Inspection(f"not supported: a {found.kind} in a tar; unpack the tar")
    return Inspection("not an image") if found.reason == "not media" else found


@contextmanager
def member(tar: str, offset: int, size: int) -> Iterator[BinaryIO]:
    """A member of a tar as a file; only a small one is read at once.

    Raises:
        OSError: the tar cannot be read there.
    """
    if size <= SMALL_BYTES:
        yield io.BytesIO(member_bytes(tar, offset, size))
        return
    if Path(tar).stat().st_size < offset + size:
        raise OSError("the tar ends early")
    with Path(tar).open("rb", buffering=0) as whole:
        yield cast("BinaryIO", io.BufferedReader(_Part(whole, offset, size)))


def member_bytes(tar: str, offset: int, size: int) -> bytes:
    """A member of a tar, read where it lies.

    Raises:
        OSError: the tar cannot be read there.
    """
    with Path(tar).open("rb") as file:
        file.seek(offset)
        data = file.read(size)
    if len(data) < size:
        raise OSError("the tar ends early")
    return data


class _Part(io.RawIOBase):
    """Some bytes of an open file as a file of its own."""

    def __init__(self, whole: io.FileIO, offset: int, size: int) -> None:
        self._whole, self._offset, self._size, self._at = whole, offset, size, 0

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def seek(self, place: int, whence: int = io.SEEK_SET, /) -> int:
        self._at = max(place + {io.SEEK_SET: 0, io.SEEK_CUR: self._at, io.SEEK_END: self._size}[whence], 0)
        return self._at

    def readinto(self, buffer: Any, /) -> int:
        count = max(min(len(buffer), self._size - self._at), 0)
        self._whole.seek(self._offset + self._at)
        data = self._whole.read(count)
        buffer[: len(data)] = data
        self._at += len(data)
        return len(data)
