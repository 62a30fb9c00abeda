"""Anybody's maps: an ``.npz`` with an array a name, or a folder of ``NAME.npy``."""

from __future__ import annotations

import zipfile
from pathlib import Path

import numpy as np

from avssl.errors import UserError
from avssl.evaluate.data.joins import ByName
from avssl.evaluate.localization.annotations import Item, clip_of
from avssl.evaluate.localization.metrics import Map
from avssl.evaluate.localization.protocols import Protocol


class MapFile:
    """Maps by the name of their item; read one at a time.

    A name is the annotation's (``zpWuikVorYg_000032``); a medium's suffix is passed over, and so are folders where a
    name is there once. Where the annotations have one name in several folders, so must the maps. VGG-Sound clips are
    also found by milliseconds (``zpWuikVorYg_32000_42000``). A negative is named ``VIDEO+AUDIO``.

    Raises:
        UserError: there is no such file or folder, or it holds no array.
    """

    def __init__(self, path: str | Path) -> None:
        self.path = Path(path)
        if self.path.is_dir():
            self._names = sorted(file.relative_to(self.path).as_posix() for file in self.path.rglob("*.npy"))
        else:
            try:
                with np.load(self.path, allow_pickle=False) as arrays:
                    self._names = list(arrays.files)
                # Stays open: maps are read one at a time.
                self._arrays = np.load(self.path, allow_pickle=False)
            except FileNotFoundError:
                raise UserError(f"{path}: no such file; --maps needs an .npz or a folder of .npy") from None
            except (OSError, ValueError, AttributeError, zipfile.BadZipFile):
                raise UserError(f"{path} cannot be read as an .npz of maps, an array a name") from None
        if not self._names:
            raise UserError(f"{path} holds no maps (arrays named after their items)")
        self._index = ByName(self._names, clip_of)

    def __len__(self) -> int:
        return len(self._names)

    def __call__(self, item: Item, protocol: Protocol | None = None) -> Map | None:
        """The map of an item, (h, w); None if there is none.

        Raises:
            UserError: the file is damaged, or is not numeric; or several maps have this name.
        """
        found = self._index.find(item.name)
        if len(found) > 1:
            some = " and ".join(self._names[i] for i in found[:2])
            raise UserError(f"{self.path}: {some} could both be the map of {item.name}; a name must be there once")
        if not found:
            return None
        name = self._names[found[0]]
        try:
            array = np.load(self.path / name, allow_pickle=False) if self.path.is_dir() else self._arrays[name]
        except (OSError, ValueError, zipfile.BadZipFile) as error:
            raise UserError(f"{self.path}: the map {name} cannot be read ({error})") from None
        if array.dtype.kind not in "fiub":
            raise UserError(f"{self.path}: {name} holds {array.dtype}; a map is an array of numbers")
        while array.ndim > 2 and array.shape[0] == 1:  # (1, h, w) as networks give it
            array = array[0]
        return np.asarray(array, np.float64)

    def unknown(self, items: tuple[Item, ...]) -> list[str]:
        """Names of maps that belong to no item."""
        known = {i for item in items for i in self._index.find(item.name)}
        return [name for i, name in enumerate(self._names) if i not in known]
