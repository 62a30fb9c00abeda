"""torchvision's data sets by name, where their files are on disk: ``--data torchvision:CIFAR10:/data/cifar``."""

from __future__ import annotations

import inspect
from bisect import bisect_right
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from avssl.errors import MediaError, UserError, did_you_mean
from avssl.media.facts import Facts, Rejected
from avssl.media.selection import Selectable, digest_of

PREFIX = "torchvision:"
# What data sets call their parts → what avssl calls them.
# "val" and "valid" both: data sets call their validation part one or the other.
_SPLITS = {"train": "train", "val": "validation", "valid": "validation", "test": "test"}


def is_torchvision(source: str) -> bool:
    """Whether ``--data`` names one of torchvision's data sets."""
    return source.startswith(PREFIX)


def named(source: str) -> tuple[str, str]:
    """(name of the data set, its folder) of ``torchvision:NAME:FOLDER``.

    Raises:
        UserError: it is not of that form.
    """
    name, _, folder = source.removeprefix(PREFIX).partition(":")
    if not name or not folder:
        raise UserError(f"{source}: needs torchvision:NAME:FOLDER, such as torchvision:CIFAR10:/data/cifar")
    return name, folder


def absolute(source: str) -> str:
    """The same with its folder's absolute path, as a run's config keeps it."""
    name, folder = named(source)
    return f"{PREFIX}{name}:{Path(folder).expanduser().absolute()}"


def open_torchvision(source: str) -> TorchvisionImages:
    """The pictures of one of torchvision's data sets, all parts of it that are on disk. Nothing is downloaded.

    Raises:
        UserError: torchvision has no such data set, its files are not there, or it holds no pictures.
    """
    from torchvision import datasets  # heavy

    name, folder = named(source)
    kinds = {kind for kind in datasets.__all__ if _has_root(getattr(datasets, kind))}
    if name not in kinds:
        raise UserError(f"torchvision has no data set {name!r}{did_you_mean(name, sorted(kinds), '')}")
    root = Path(folder).expanduser().absolute()
    if not root.is_dir():
        raise UserError(f"{root} is no folder; {source} needs the folder that holds the files of {name}")
    parts = _parts(getattr(datasets, name), root)
    media = TorchvisionImages(f"{PREFIX}{name}", parts)
    if not len(media):
        raise UserError(f"{root} holds no files of {name}; nothing is downloaded: put them there first")
    return media


class Part(NamedTuple):
    """A part of a data set: train, validation, test, or all of it (None)."""

    split: str | None
    data: Any


class TorchvisionImages(Selectable):
    """Pictures of a torchvision data set, as media.

    Raises:
        UserError: what it holds are no pictures.
    """

    rejected: Sequence[Rejected] = ()

    def __init__(self, name: str, parts: Sequence[Part]) -> None:
        self._name = name
        self._parts = list(parts)
        self._ends = np.cumsum([len(part.data) for part in parts]).tolist()
        # The first picture stands for all: to read each would take as long as an epoch.
        first = [self.frames(0, [0.0])[0].tobytes()] if len(self) else []
        self.fingerprint = digest_of(name, repr([(part.split, len(part.data)) for part in parts]), *first)

    def __len__(self) -> int:
        return int(self._ends[-1]) if self._ends else 0

    def facts(self, i: int) -> Facts:
        part, place = self._there(i)
        width, height = self._size(part, place, i)
        path = f"{self._name}/{part.split or 'all'}/{place:06d}"
        return Facts(
            path=path,
            kind="image",
            duration_seconds=0.0,
            width=width,
            height=height,
            frame_count=1,
            frame_rate=0.0,
            audio_rate=0,
            audio_channels=0,
            audio_start_seconds=0.0,
            audio_end_seconds=0.0,
            label=self._label(part.data, self._target(part.data, place)),
            split=part.split,
            source=path,
        )

    def frame_times(self, i: int) -> NDArray[np.float64]:
        return np.zeros(1)

    def frames(self, i: int, times: Sequence[float]) -> NDArray[np.uint8]:
        part, place = self._there(i)
        try:
            picture = part.data[place][0]
        except (OSError, SyntaxError, ValueError) as error:  # Pillow's for damaged files, of PNG the second
            raise MediaError(f"{self._name}/{place}", f"the picture cannot be read ({error})") from error
        if not hasattr(picture, "convert"):
            raise UserError(f"{self._name} holds no pictures but {type(picture).__name__}s; name a data set of images")
        pixels = np.asarray(picture.convert("RGB")).transpose(2, 0, 1)
        return np.repeat(np.ascontiguousarray(pixels)[None], len(times), axis=0)

    def audio(self, i: int, start_seconds: float, duration_seconds: float, rate: int) -> NDArray[np.float32]:
        raise MediaError(self._name, "a picture has no sound", start_seconds)

    def annotation(self, i: int) -> dict[str, Any] | None:
        return None

    def _there(self, i: int) -> tuple[Part, int]:
        if not 0 <= i < len(self):
            raise IndexError(f"items are numbered 0 to {len(self) - 1}, not {i}")
        number = bisect_right(self._ends, i)
        return self._parts[number], i - (self._ends[number - 1] if number else 0)

    def _size(self, part: Part, place: int, i: int) -> tuple[int, int]:
        """(width, height), from what the data set keeps in memory or from a file's header where it can be had so."""
        samples = getattr(part.data, "samples", None)
        if samples is not None and isinstance(samples[place][0], str):
            from avssl.media.decoding.images import still_size  # loads the decoder: not for help

            size = still_size(samples[place][0])
            if size is not None:
                return size
        picture = self.frames(i, [0.0])[0]
        return picture.shape[2], picture.shape[1]

    @staticmethod
    def _target(data: Any, place: int) -> Any:
        # What the data sets call their labels; read there, so that no picture need be opened for its label.
        targets = getattr(data, "targets", getattr(data, "labels", getattr(data, "_labels", None)))
        return None if targets is None else targets[place]

    @staticmethod
    def _label(data: Any, target: Any) -> str | None:
        if target is None:
            return None
        classes = getattr(data, "classes", None)
        try:
            number = int(target)
        except (TypeError, ValueError):
            return str(target)
        return str(classes[number]) if classes and 0 <= number < len(classes) else str(number)


def _has_root(kind: Any) -> bool:
    """Whether it is a data set that is opened by its folder."""
    return inspect.isclass(kind) and list(inspect.signature(kind.__init__).parameters)[1:2] == ["root"]


def _parts(kind: Any, root: Path) -> list[Part]:
    """The parts that are on disk, by the data set's own way of naming them."""
    takes = inspect.signature(kind.__init__).parameters
    wishes: list[tuple[str, dict[str, Any]]]
    # CIFAR10(root, train=True) and its like; STL10(root, split="test"); ImageFolder(root) has no parts.
    if "train" in takes:
        wishes = [("train", {"train": True}), ("test", {"train": False})]
    elif "split" in takes:
        wishes = [(ours, {"split": theirs}) for theirs, ours in _SPLITS.items()]
    else:
        return [Part(None, made) for made in [_made(kind, root, {})] if made is not None]
    found = [(split, _made(kind, root, words)) for split, words in wishes]
    return [Part(split, data) for split, data in found if data is not None]


def _made(kind: Any, root: Path, words: dict[str, Any]) -> Any:
    """The data set, or None where these files are not there or it has no such part."""
    try:
        return kind(str(root), **words)  # download=False is everybody's default
    except (RuntimeError, OSError, ValueError):  # each data set says in its own way that files or a part are missing
        return None
    except TypeError as error:
        raise UserError(f"torchvision's {kind.__name__} cannot be opened by its folder alone ({error})") from error
