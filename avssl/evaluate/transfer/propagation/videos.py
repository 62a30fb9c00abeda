"""Videos whose first frame is labelled: what is carried, and the truth that it is compared with."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from avssl.errors import MediaError
from avssl.media.opening import open_media

Frames = NDArray[np.uint8]
VOID = 255
"""In masks: pixels that nobody has labelled."""

# Ends of the names of pictures that are read as frames
PICTURES = (".jpg", ".jpeg", ".png", ".webp", ".bmp")


@dataclass(frozen=True)
class Masks:
    """The truth of a video as masks.

    Attributes:
        labels: uint8 (frames, h, w): 0 background, then the number of the object, 255 void.
        known: bool (frames,), which frames have a mask; the first always has.
        objects: those marked in the first frame have the numbers 1 to this.
    """

    labels: NDArray[np.uint8]
    known: NDArray[np.bool_]
    objects: int


@dataclass(frozen=True)
class Points:
    """The truth of a video as key points: (frames, points, 2) x, y in pixels; NaN where one is not annotated."""

    places: NDArray[np.float64]


@dataclass(frozen=True)
class LabelledVideo:
    """One video.

    Attributes:
        name: of it.
        source: videos of one source are drawn together.
        frames: reads all frames, uint8 (n, 3, h, w).
        truth: reads its labels.
        file: by which it is found among what was trained on.
    """

    name: str
    source: str
    frames: Callable[[], Frames]
    truth: Callable[[], Masks | Points]
    file: str


@dataclass(frozen=True)
class VideoSet:
    """Videos with labels of one kind.

    Attributes:
        name: of the layout: "world", "DAVIS", "JHMDB", "folder", "video".
        split: whose they are.
        passed_over: those that are not used, each with the reason.
        seconds_a_frame: of the overlay.
    """

    name: str
    kind: Literal["masks", "points"]
    videos: Sequence[LabelledVideo]
    split: str
    passed_over: Sequence[str] = ()
    seconds_a_frame: float = 1 / 24

    @property
    def listed(self) -> int:
        return len(self.videos) + len(self.passed_over)


def read_picture(path: Path) -> NDArray[np.uint8]:
    """A picture as uint8 (3, h, w); MediaError if it cannot be read."""
    try:
        with Image.open(path) as image:
            return np.ascontiguousarray(np.asarray(image.convert("RGB")).transpose(2, 0, 1))
    except (OSError, ValueError) as error:
        raise MediaError(str(path), f"cannot be read as a picture ({error})") from error


def read_mask(path: Path) -> NDArray[np.uint8]:
    """A mask as uint8 (h, w): the numbers of a palette's colours, or grey values; MediaError if it is neither."""
    try:
        with Image.open(path) as image:
            if image.mode not in ("P", "L", "1"):
                raise MediaError(str(path), f"is no mask: {image.mode}, but a palette or grey values are needed")
            return np.asarray(image.convert("L") if image.mode == "1" else image, np.uint8)
    except (OSError, ValueError) as error:
        raise MediaError(str(path), f"cannot be read as a mask ({error})") from error


def read_pictures(files: Sequence[Path]) -> Frames:
    """The frames of a video from pictures of one size, uint8 (n, 3, h, w); MediaError else."""
    frames = [read_picture(file) for file in files]
    for file, frame in zip(files, frames, strict=True):
        if frame.shape != frames[0].shape:
            raise MediaError(str(file), f"has another size than {files[0].name}")
    return np.stack(frames)


def read_film(file: Path) -> Frames:
    """All frames of a video file, uint8 (n, 3, h, w); MediaError if it cannot be read."""
    media = open_media(file, progress=False)
    return media.frames(0, media.frame_times(0).tolist())


def film_times(file: Path) -> NDArray[np.float64]:
    """The time of each frame of a video file in seconds, the first 0; UserError if it cannot be used."""
    return open_media(file, progress=False).frame_times(0)


def seconds_a_frame(file: Path) -> float:
    """The mean time from one frame of a video file to the next; 1/24 of one with a single frame."""
    times = film_times(file)
    return float(times[-1] / (len(times) - 1)) if len(times) > 1 else VideoSet.seconds_a_frame


def masks_of(files: Sequence[Path | None]) -> Masks:
    """The truth from the mask of each frame, None where there is none; objects are counted as DAVIS does, by the
    largest number in the first.

    Raises:
        MediaError: the first is missing, one cannot be read or has another size.
    """
    assert files[0] is not None, "the reader of a folder passes over videos without a first mask"
    first = read_mask(files[0])
    labels = np.zeros((len(files), *first.shape), np.uint8)
    for number, file in enumerate(files):
        if file is None:
            continue
        mask = read_mask(file)
        if mask.shape != first.shape:
            raise MediaError(str(file), f"has another size than {files[0].name}")
        labels[number] = mask
    objects = int(np.where(first == VOID, 0, first).max(initial=0))
    return Masks(labels, np.array([file is not None for file in files]), objects)


def first_mask_alone(file: Path, frames: Callable[[], Frames]) -> Masks:
    """The truth of a video of which only the first frame has a mask, brought to the frames' size.

    Raises:
        MediaError: the mask cannot be read, marks nothing, or has another shape than the frames.
    """
    shape, mask = frames().shape, read_mask(file)
    if abs(mask.shape[0] * shape[3] / (mask.shape[1] * shape[2]) - 1) > 0.02:
        raise MediaError(str(file), f"is {mask.shape[1]} × {mask.shape[0]}, the frames are {shape[3]} × {shape[2]}")
    small = Image.fromarray(mask).resize((shape[3], shape[2]), Image.Resampling.NEAREST)
    labels = np.zeros((shape[0], shape[2], shape[3]), np.uint8)
    # A grey mask of 0 and 255 marks one object.
    labels[0] = np.asarray(small) > 0 if set(np.unique(mask)) == {0, VOID} else np.asarray(small)
    objects = int(np.where(labels[0] == VOID, 0, labels[0]).max())
    if not objects:
        raise MediaError(str(file), "marks no object: all of it is 0")
    return Masks(labels, np.arange(shape[0]) == 0, objects)
