"""Pictures with surface normals: files side by side, or the arrays of NYUv2.

- A folder with ``NAME_image.jpg`` beside ``NAME_normal.png`` and, if some pixels have none, ``NAME_valid.png``.
- A folder with ``images/NAME.*`` beside ``normals/NAME.*`` and perhaps ``valid/NAME.png``.
- A file ``.npz`` or ``.mat`` (also MATLAB 7.3, as NYUv2's own) with arrays ``images``, ``normals`` and perhaps
  ``valid``, each of all pictures.

Normals are an 8-bit PNG (value / 127.5 − 1 a channel), or ``.npy``, ``.npz`` or ``.mat`` of arrays (also ``nx``,
``ny``, ``nz``). x comes first, to the left or to the right; which way the axes point does not matter here, as long as
it is the same in all pictures. A vector of length 0 is a pixel without truth.

Parts: sub-folders ``train`` and ``test``; or ``train.txt`` and ``test.txt`` with names; or NYUv2's ``splits.mat``
beside the pictures (numbers from 1: of the array, or the names of the files).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Literal, Protocol

import numpy as np
from numpy.typing import NDArray

from avssl.errors import MediaError, UserError
from avssl.evaluate.data.reading import read_array, read_lines, read_variables
from avssl.media.decoding.images import read_image
from avssl.system.console import counted

Part = Literal["train", "test"]

# What files, folders and variables are called; the first are ours
PICTURES = ("image", "images", "img", "rgb", "colors")
NORMALS = ("normal", "normals", "norm", "norms")
VALID = ("valid", "mask", "masks", "norm_valid", "normal_valid", "depthValid")

_PICTURE_SUFFIXES = (".jpg", ".jpeg", ".png", ".ppm", ".webp")
_NORMAL_SUFFIXES = (".png", ".npy", ".npz", ".mat")


@dataclass(frozen=True)
class NormalPicture:
    """A picture and its surface normals."""

    picture: NDArray[np.uint8]  # (3, H, W)
    # (3, h, w), unit vectors; 0 where there is no truth; shaped as the picture, of any size
    normals: NDArray[np.float32]
    valid: NDArray[np.bool_]  # (h, w)


@dataclass(frozen=True)
class NormalSet:
    """Pictures with normals, read when they are asked for."""

    names: tuple[str, ...]
    read: Callable[[str], NormalPicture] = field(repr=False)
    listed: int = 0  # how many were found
    passed_over: tuple[str, ...] = ()  # why some are left out, one line each
    files: tuple[str, ...] = ()  # the pictures, where each is a file of its own

    def __len__(self) -> int:
        return len(self.names)

    def __getitem__(self, i: int) -> NormalPicture:
        return self.read(self.names[i])

    def __iter__(self) -> Iterator[NormalPicture]:
        return map(self.read, self.names)


def open_normals(data: str | Path, test: str | Path | None = None) -> tuple[NormalSet, NormalSet]:
    """The training and the test part. Every picture is read once; one that cannot be, or has no pixel
    with a normal, is passed over.

    Args:
        data, test: places as this module describes; of a place with parts the one that fits is taken.

    Raises:
        UserError: nothing is there that can be read so, or ``data`` has no parts and there is no ``test``. Pictures are
            never divided by chance: neighbouring frames of one scene would be on both sides.
    """
    train, divided = _open(Path(data), "train")
    evaluated, _ = _open(Path(data if test is None else test), "test")
    if test is None and not divided:
        raise UserError(
            f"{data} has no parts (train/ and test/, train.txt and test.txt, or splits.mat); give held-out data with "
            f"--test"
        )
    train, evaluated = _looked_at(train), _looked_at(evaluated)
    for part, place in ((train, data), (evaluated, test or data)):
        if not len(part):
            reason = f": {part.passed_over[0]}" if part.passed_over else ""
            raise UserError(f"{place} holds no picture with normals that can be used{reason}")
    return train, evaluated


def unit_normals(
    values: NDArray[Any], mask: NDArray[Any] | None = None
) -> tuple[NDArray[np.float32], NDArray[np.bool_]]:
    """Unit vectors (3, h, w) and where there are any (h, w), from stored values.

    Args:
        values: (3, h, w); bytes are value / 127.5 − 1.
        mask: (h, w), above 0 where there is truth; by the length of the vectors alone if None.
    """
    vectors = values.astype(np.float32)
    if values.dtype == np.uint8:
        vectors = vectors / 127.5 - 1
    length = np.linalg.norm(vectors, axis=0)
    valid = np.isfinite(length) & (length > 0.5) & (length < 1.5)  # 128, 128, 128 and 0, 0, 0 stand for no truth
    if mask is not None:
        valid &= mask > 0
    return np.where(valid, vectors / np.where(valid, length, 1), 0).astype(np.float32), valid


def _open(place: Path, part: Part) -> tuple[NormalSet, bool]:
    """The part of a place, and whether it has parts; if it has none all of it."""
    if place.is_dir() and all((place / name).is_dir() for name in ("train", "test")):
        return _folder(place / part), True
    found = _folder(place) if place.is_dir() else _array_file(place)
    chosen = _chosen(place if place.is_dir() else place.parent, part, found.names)
    if chosen is None:
        return found, False
    return replace(found, names=tuple(name for name in found.names if name in chosen)), True


def _chosen(folder: Path, part: Part, names: Sequence[str]) -> set[str] | None:
    """Names that a list beside the pictures gives to the part; None without a list."""
    if (folder / "splits.mat").is_file():
        # NYUv2's trainNdxs and testNdxs count pictures from 1
        numbers = {int(n) for n in np.ravel(read_variables(folder / "splits.mat", "normals")[f"{part}Ndxs"])}
        return {name for name in names if name.isdigit() and int(name) in numbers}
    if all((folder / f"{one}.txt").is_file() for one in ("train", "test")):
        lists = {one: _stems(folder / f"{one}.txt") for one in ("train", "test")}
        both = sorted(lists["train"] & lists["test"])
        if both:
            raise UserError(f"{folder}: {both[0]} is in train.txt and in test.txt; a picture belongs to one part")
        return lists[part]
    return None


def _stems(file: Path) -> set[str]:
    """The names of a list, without suffix; pictures lie in one folder, so folders do not distinguish them."""
    named: dict[str, str] = {}
    for entry in read_lines(file):
        stem = Path(entry).stem
        if named.setdefault(stem, entry) != entry:
            raise UserError(f"{file}: {named[stem]} and {entry} have one name, {stem}, and could be confused")
    return set(named)


def _looked_at(part: NormalSet) -> NormalSet:
    kept: list[str] = []
    passed_over = list(part.passed_over)
    for name in part.names:
        try:
            if part.read(name).valid.any():
                kept.append(name)
            else:
                passed_over.append(f"{name}: no pixel with a normal")
        except UserError as error:
            passed_over.append(str(error))
    return replace(part, names=tuple(kept), passed_over=tuple(passed_over))


@dataclass(frozen=True)
class _Files:
    picture: Path
    normals: Path
    valid: Path | None


def _folder(folder: Path) -> NormalSet:
    found = {**_suffixed(folder), **_in_folders(folder)}
    if not found:
        raise UserError(
            f"{folder} holds no normals, neither NAME_normal.png beside NAME_image.jpg nor folders normals/ and images/"
        )
    kept = {name: files for name, files in found.items() if files.picture.is_file()}
    lost = tuple(f"{files.normals}: no picture beside it" for name, files in found.items() if name not in kept)
    names = tuple(sorted(kept))
    files = tuple(str(kept[name].picture) for name in names)
    return NormalSet(names, lambda name: _read(kept[name]), len(found), lost, files)


def _suffixed(folder: Path) -> dict[str, _Files]:
    found: dict[str, _Files] = {}
    for file in sorted(folder.iterdir()):
        for word in NORMALS:
            if file.suffix.lower() in _NORMAL_SUFFIXES and file.stem.endswith(f"_{word}"):
                name = file.stem.removesuffix(f"_{word}")
                stems = [f"{name}_{one}" for one in PICTURES]
                picture = _first(folder, [*stems, name], _PICTURE_SUFFIXES)
                valid = _first(folder, [f"{name}_{one}" for one in VALID], (".png", ".npy"))
                found[name] = _Files(picture or folder / f"{name}_image.jpg", file, valid)
    return found


def _in_folders(folder: Path) -> dict[str, _Files]:
    places = {
        kind: next((folder / n for n in names if (folder / n).is_dir()), None)
        for kind, names in (("pictures", PICTURES), ("normals", NORMALS), ("valid", VALID))
    }
    if places["normals"] is None or places["pictures"] is None:
        return {}
    found: dict[str, _Files] = {}
    for file in sorted(places["normals"].iterdir()):
        if file.suffix.lower() in _NORMAL_SUFFIXES:
            picture = _first(places["pictures"], [file.stem], _PICTURE_SUFFIXES)
            valid = None if places["valid"] is None else _first(places["valid"], [file.stem], (".png", ".npy"))
            found[file.stem] = _Files(picture or places["pictures"] / f"{file.stem}.jpg", file, valid)
    return found


def _first(folder: Path, stems: Sequence[str], suffixes: Sequence[str]) -> Path | None:
    places = (folder / f"{stem}{suffix}" for stem in stems for suffix in suffixes)
    return next((one for one in places if one.is_file()), None)


def _read(files: _Files) -> NormalPicture:
    picture, mask = read_image(str(files.picture)), None
    if files.valid is not None:
        mask = np.load(files.valid) if files.valid.suffix == ".npy" else read_image(str(files.valid))[0]
    values = _normals_of(files.normals)
    if mask is not None and mask.shape != values.shape[1:]:
        raise MediaError(str(files.valid), f"{mask.shape} pixels, but its normals have {values.shape[1:]}")
    normals, valid = unit_normals(values, mask)
    return _checked(NormalPicture(picture, normals, valid), str(files.normals))


def _checked(one: NormalPicture, name: str) -> NormalPicture:
    a, b = (x.shape[2] / x.shape[1] for x in (one.picture, one.normals))
    # A truth of another size is that of this picture, one of another shape is not
    if abs(a / b - 1) > 0.02:
        raise MediaError(
            name, f"{one.normals.shape[1:]} normals do not fit a picture of {one.picture.shape[1:]} pixels"
        )
    return one


def _normals_of(file: Path) -> NDArray[Any]:
    """The stored values of one picture: (3, h, w)."""
    if file.suffix.lower() == ".png":
        return read_image(str(file))
    if file.suffix.lower() == ".npy":
        values = read_array(file)
    else:
        variables = read_variables(file, "normals")
        planes = [_named(variables, (name,)) for name in ("nx", "ny", "nz")]
        if all(plane is not None for plane in planes):
            values = np.stack([np.asarray(plane) for plane in planes])
        else:
            known = _named(variables, NORMALS)
            if known is None:
                raise UserError(f"{file} has no variable called {' or '.join(NORMALS)}, nor nx, ny and nz")
            values = np.asarray(known)
    if values.ndim == 3 and values.shape[0] == 3:
        return np.asarray(values)
    if values.ndim == 3 and values.shape[2] == 3:
        return np.asarray(values.transpose(2, 0, 1))
    raise UserError(f"{file} holds an array of {values.shape}; normals are (h, w, 3) or (3, h, w)")


class _Array(Protocol):
    """Of numpy or h5py: what is asked for is read."""

    shape: tuple[int, ...]

    def __getitem__(self, key: Any) -> Any: ...


def _array_file(file: Path) -> NormalSet:
    if file.suffix.lower() not in (".npz", ".mat"):
        raise UserError(f"{file} is no folder, and no .npz or .mat with arrays of pictures and normals")
    variables = read_variables(file, "normals")
    pictures, normals, valid = (_named(variables, names) for names in (PICTURES, NORMALS, VALID))
    if pictures is None or normals is None:
        raise UserError(f"{file} needs arrays 'images' and 'normals'; it has: {', '.join(variables) or 'none'}")
    picture, counts = _Picker(pictures, file), _Picker(normals, file)
    if len(picture) != len(counts):
        raise UserError(f"{file} holds {counted(len(picture), 'picture')} and {counted(len(counts), 'normal')}")
    mask = None if valid is None else _Picker(valid, file, planes=False)

    def read(name: str) -> NormalPicture:
        i = int(name) - 1
        vectors, there = unit_normals(counts(i), None if mask is None else mask(i))
        return _checked(NormalPicture(picture(i).astype(np.uint8), vectors, there), f"{file}, number {name}")

    names = tuple(f"{k:04d}" for k in range(1, len(picture) + 1))
    return NormalSet(names, read, len(names))


class _Picker:
    """Picture by picture from an array whose order of axes depends on who wrote it."""

    def __init__(self, array: _Array, file: Path, *, planes: bool = True) -> None:
        self._array = array
        shape, axes = array.shape, 4 if planes else 3
        matlab = file.suffix.lower() == ".mat"
        turned = matlab and not isinstance(array, np.ndarray)  # HDF5 holds MATLAB's axes in reverse
        self._last = matlab and not turned  # the number of the picture is the last axis
        one = shape[:-1] if self._last else shape[1:]
        if not planes:
            self._order: tuple[int, ...] = (1, 0) if turned else (0, 1)
        elif turned:
            self._order = (0, 2, 1)
        else:
            self._order = (2, 0, 1) if self._last or one[-1] == 3 else (0, 1, 2)
        if len(shape) != axes or (planes and one[self._order[0]] != 3):
            raise UserError(f"{file} holds an array of {shape}, which is not that of pictures or normals")
        self._count = shape[-1] if self._last else shape[0]

    def __len__(self) -> int:
        return self._count

    def __call__(self, i: int) -> NDArray[Any]:
        one = self._array[..., i] if self._last else self._array[i]
        return np.ascontiguousarray(np.asarray(one).transpose(self._order))


def _named(variables: Mapping[str, Any], names: Sequence[str]) -> Any:
    return next((variables[name] for name in names if name in variables), None)
