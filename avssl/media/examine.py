"""The verdict on many files at once: each is looked at in a process that it may take down with it."""

from __future__ import annotations

import io
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

from avssl.errors import MediaError
from avssl.media.images import read_image, still_size
from avssl.media.inspect import Inspection, inspect
from avssl.media.lanes import Lost, each

IMAGE_SUFFIXES = (
    ".jpg",
    ".jpeg",
    ".jpe",
    ".png",
    ".gif",
    ".webp",
    ".bmp",
    ".tif",
    ".tiff",
    ".ppm",
    ".pgm",
    ".jp2",
    ".avif",
)
IMAGES_AT_ONCE = 32
"""An image takes less time than handing it to another process, so that several go together."""
HANGS_AFTER_SECONDS = 90.0
"""``inspect`` gives up by itself before that; beyond, native code hangs."""


class Target(NamedTuple):
    """A file, or a member of a tar."""

    path: str
    """Of the file; of a member the path under which it is spoken of."""
    size: int
    offset: int = -1
    """Where a member begins in the tar; -1 for a file."""
    tar: str = ""


def examine(
    targets: Sequence[Target], workers: int | None, done: Callable[[int], None]
) -> Iterator[tuple[int, Inspection]]:
    """Look at each target: (its place in ``targets``, what was found), in the order of finishing.

    Args:
        workers: processes; None takes the cores there are, 0 works in this process.
        done: told how many more are finished.
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
    for job, found in each(look, jobs, workers, lambda job: HANGS_AFTER_SECONDS):
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


def look(targets: Sequence[Target]) -> list[Inspection]:
    """What is found in each of these. Never raises for a bad file."""
    return [inspect(target.path) if target.offset < 0 else _look_in_tar(target) for target in targets]


def _look_in_tar(target: Target) -> Inspection:
    if target.size == 0:
        return Inspection("empty file")
    try:
        data = member_bytes(target.tar, target.offset, target.size)
        size = still_size(target.path, io.BytesIO(data))
        if size is None:
            return Inspection("not an image")
        read_image(target.path, io.BytesIO(data))
    except MediaError as error:
        return Inspection(f"unreadable: {error.reason}")
    except OSError as error:
        return Inspection(f"unreadable: {error.strerror or error}", passing=True)
    return Inspection(kind="image", width=size[0], height=size[1], frame_count=1)


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
