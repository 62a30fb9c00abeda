"""The verdicts on many files: each is inspected in a process that it may crash."""

from __future__ import annotations

import io
import shutil
import tarfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path, PurePosixPath
from typing import BinaryIO, NamedTuple, cast

from avssl.media.facts import Unusable
from avssl.media.indexing.check_image import check_image
from avssl.media.indexing.inspect import Inspection, inspect, of_image
from avssl.system.process_pool import Lost, each
from avssl.system.scratch import ScratchFolder

IMAGE_SUFFIXES = (
    ".jpg", ".jpeg", ".jpe", ".png", ".gif", ".webp", ".bmp", ".tif", ".tiff", ".ppm", ".pgm", ".jp2", ".avif",
)  # fmt: skip
IMAGES_AT_ONCE = 32  # inspecting one takes less time than sending it to another process
SMALL_BYTES = 1 << 24  # members of a tar up to this size are read at once
HANGS_AFTER_SECONDS = 90.0  # inspect gives up by itself after 60 s of work; later, native code hangs


class Target(NamedTuple):
    """A file, or a member of a tar."""

    path: str  # of the file; of a member the path that names it in messages
    size: int
    offset: int = -1  # where a member begins in the tar; -1 for a file
    tar: str = ""


def inspect_many(
    targets: Sequence[Target], workers: int | None, done: Callable[[int], None]
) -> Iterator[tuple[int, Inspection]]:
    """Inspect each target: yields (its place in ``targets``, what was found), in the order of finishing.

    Args:
        workers: processes; None takes all cores, 0 works in this process.
        done: called with how many more are finished.
    """
    alone: list[int] = []
    for places, found in _examined(targets, _batches(targets), workers):
        if isinstance(found, Lost) and len(places) > 1:
            alone.extend(places)  # one of them crashed the process: which one is seen when each is alone
            continue
        yield from _answers(places, found)
        done(len(places))
    for places, found in _examined(targets, [[place] for place in alone], workers):
        yield from _answers(places, found)
        done(len(places))


def _examined(
    targets: Sequence[Target], batches: Sequence[list[int]], workers: int | None
) -> Iterator[tuple[list[int], list[Inspection] | Lost]]:
    jobs = [[targets[place] for place in batch] for batch in batches]
    for job, found in each(inspect_all, jobs, workers, lambda job: HANGS_AFTER_SECONDS):
        yield batches[job], found


def _answers(places: Sequence[int], found: list[Inspection] | Lost) -> Iterator[tuple[int, Inspection]]:
    if isinstance(found, Lost):
        yield places[0], Inspection(f"unreadable: {found.reason}", passing=found.passing)
    else:
        yield from zip(places, found, strict=True)


def _batches(targets: Sequence[Target]) -> list[list[int]]:
    """Places of targets that go to a process together: images in batches, all else alone."""
    are_images = [target.path.lower().endswith(IMAGE_SUFFIXES) for target in targets]
    images = [place for place, is_image in enumerate(are_images) if is_image]
    alone = [[place] for place, is_image in enumerate(are_images) if not is_image]
    return alone + [images[at : at + IMAGES_AT_ONCE] for at in range(0, len(images), IMAGES_AT_ONCE)]


def inspect_all(targets: Sequence[Target]) -> list[Inspection]:
    """What is found in each. Never raises for a bad file."""
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
    """Why a member is no image, as if it were a file: FFmpeg opens files by name only."""
    file.seek(0)
    with ScratchFolder("member") as folder:
        copy = folder / f"member{PurePosixPath(target.path).suffix}"
        with copy.open("wb") as written:  # closed before it is inspected, as Windows needs
            shutil.copyfileobj(file, written)
        found = inspect(str(copy))
    if found.reason is None:
        return Inspection(f"not supported: a {found.kind} in a tar; unpack the tar")
    return Inspection("not an image") if found.reason == "not media" else found


@contextmanager
def member(tar: str, offset: int, size: int) -> Iterator[BinaryIO]:
    """A member of a tar as a file; small ones are read into memory at once. Raises OSError."""
    if Path(tar).stat().st_size < offset + size:
        raise OSError("the tar ends early")
    if size <= SMALL_BYTES:
        with Path(tar).open("rb") as whole:
            whole.seek(offset)
            yield io.BytesIO(whole.read(size))
        return
    info = tarfile.TarInfo()
    info.size, info.offset_data = size, offset  # all that reading needs: no header is read again
    try:
        archive = tarfile.TarFile(tar)
    except tarfile.TarError as error:
        raise OSError(f"no longer a tar: {error}") from error
    with archive:
        yield cast("BinaryIO", archive.extractfile(info))
