"""Anybody's maps: an ``.npz`` with an array a name, or a folder of ``NAME.npy``."""

from __future__ import annotations

import zipfile
from pathlib import Path

import numpy as np

from avssl.errors import UserError
from avssl.evaluate.localization.annotations import Item, clip_name, stem_of
from avssl.evaluate.localization.metrics import Map
from avssl.evaluate.localization.protocols import Protocol


class MapFile:
    """Maps by the name of their item; read one at a time.

    A name is the annotation's (``zpWuikVorYg_000032``); folders and a medium's suffix are passed over, and VGG-Sound
    clips are also found by milliseconds (``zpWuikVorYg_32000_42000``). A negative is named ``VIDEO+AUDIO``.

    Raises:
        UserError: there is no such file or folder, or it holds no array.
    """

    def __init__(self, path: str | Path) -> None:
        self.path = Path(path)
        if self.path.is_dir():
            self._names = {_key(file.stem): file.name for file in sorted(self.path.glob("*.npy"))}
        else:
            try:
                with np.load(self.path, allow_pickle=False) as arrays:
                    self._names = {_key(name): name for name in arrays.files}
                self._arrays = np.load(self.path, allow_pickle=False)
            except FileNotFoundError:
                raise UserError(f"{path}: no such file; --maps wants an .npz or a folder of .npy") from None
            except (OSError, ValueError, AttributeError, zipfile.BadZipFile):
                raise UserError(f"{path} cannot be read as an .npz of maps, an array a name") from None
        if not self._names:
            raise UserError(f"{path} holds no maps (arrays named after their items)")

    def __len__(self) -> int:
        return len(self._names)

    def __call__(self, item: Item, protocol: Protocol | None = None) -> Map | None:
        """The map of an item, (h, w); None if there is none.

        Raises:
            UserError: the file is damaged, or holds something else than numbers.
        """
        name = self._names.get(_key(item.name))
        if name is None:
            return None
        try:
            array = np.load(self.path / name, allow_pickle=False) if self.path.is_dir() else self._arrays[name]
        except (OSError, ValueError, zipfile.BadZipFile) as error:
            raise UserError(f"{self.path}: the map {name} cannot be read ({error})") from None
        if array.dtype.kind not in "fiub":
            raise UserError(f"{self.path}: {name} holds {array.dtype}, not numbers")
        while array.ndim > 2 and array.shape[0] == 1:  # (1, h, w) as networks give it
            array = array[0]
        return np.asarray(array, np.float64)

    def unknown(self, items: tuple[Item, ...]) -> list[str]:
        """Names of maps that belong to no item."""
        known = {_key(item.name) for item in items}
        return [name for key, name in self._names.items() if key not in known]


def _key(name: str) -> str:
    return clip_name(stem_of(name))
