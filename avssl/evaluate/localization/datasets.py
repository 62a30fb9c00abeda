"""Published test sets from local media: the items that exist, a model's maps on them, and given maps.

Media are found by name in a folder searched to its depths: a video ``NAME.mp4``, or a picture and a sound of one name
(``frames/NAME.jpg`` and ``audio/NAME.wav``, as the published loaders want them). Where the annotations have one name in
several folders, media are found by name and folder; a name that could be several files is refused. What is missing is
named, counted and left out; nothing takes its place.
"""

from __future__ import annotations

import zipfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from avssl.errors import MediaError, UserError
from avssl.evaluate.data.joins import ByName
from avssl.evaluate.localization.annotations import Item, clip_of
from avssl.evaluate.localization.map_maker import MapMaker
from avssl.evaluate.localization.metrics import Map
from avssl.evaluate.localization.protocols import Protocol
from avssl.evaluate.localization.silences import silence
from avssl.media.facts import Facts, Media
from avssl.samplers.keys import generator

Sound = Literal["own", "swap", "silence", "noise"]


@dataclass(frozen=True)
class Place:
    """Where an item's picture and sound lie in the media; they may be one video."""

    picture: int
    sound: int


class _Named:
    """Pictures, or sounds, by the name of their item: those of these indices among all media."""

    def __init__(self, facts: Sequence[Facts], numbers: Sequence[int]) -> None:
        self._facts, self._numbers = facts, numbers
        self._index = ByName([facts[i].path for i in numbers], clip_of)

    def find(self, name: str) -> int | None:
        """The number of the first medium of this name; None if there is none.

        Raises:
            UserError: several files of one kind have the name.
        """
        found = [self._numbers[k] for k in self._index.find(name)]
        for kind in {self._facts[i].kind for i in found}:
            paths = sorted({self._facts[i].path for i in found if self._facts[i].kind == kind})
            if len(paths) > 1:
                raise UserError(
                    f"{name} could be {paths[0]} and {paths[1]}: give a folder in which annotated names are there once"
                )
        return found[0] if found else None


class TestMedia:
    """The media of a test set: which annotated items are there. ``seed`` is that of the swapped sounds."""

    __test__ = False  # no test of pytest's

    def __init__(self, media: Media, items: Sequence[Item], seed: int) -> None:
        self.media, self.seed = media, seed
        facts = [media.facts(i) for i in range(len(media))]
        pictures = _Named(facts, [i for i, one in enumerate(facts) if one.kind != "sound"])
        sounds = _Named(facts, [i for i, one in enumerate(facts) if one.has_sound])
        self.places: dict[str, Place] = {}
        self.missing: list[tuple[str, str]] = []
        self._shown: tuple[str, NDArray[np.uint8]] | None = None
        for item in items:
            picture, sound = pictures.find(item.picture), sounds.find(item.sound)
            if picture is None:
                picture = pictures.find(item.name)
            if picture is None or sound is None:
                self.missing.append((item.name, "no picture" if picture is None else "no sound"))
            else:
                self.places[item.name] = Place(picture, sound)
        self.items = tuple(item for item in items if item.name in self.places)
        self.left_out = tuple(item for item in items if item.name not in self.places)
        self._sounding = [item for item in self.items if not item.negative]
        self._labels = {item.picture: item.label for item in self._sounding}

    def frame(self, item: Item) -> NDArray[np.uint8]:
        """The frame in the middle of the clip (the picture itself), (3, height, width)."""
        if self._shown is None or self._shown[0] != item.name:  # asked for again with other sounds
            place = self.places[item.name].picture
            frames = self.media.frames(place, [self.media.facts(place).duration_seconds / 2])
            self._shown = item.name, np.asarray(frames[0])
        return self._shown[1]

    def sound(self, item: Item, seconds: float, begin: str, rate: int) -> NDArray[np.float32]:
        """A segment of the item's sound from its start or middle; zeros where the file is shorter."""
        place = self.places[item.name].sound
        facts = self.media.facts(place)
        whole = max(facts.duration_seconds, facts.audio_end_seconds)
        start = 0.0 if begin == "start" or whole <= seconds else (whole - seconds) / 2
        # A segment without length cannot be read.
        return self.media.audio(place, start, min(seconds, max(whole, 0.1)), rate)

    def another(self, item: Item, draw: int = 0) -> Item | None:
        """An item of another video, and class where classes are known, whose sound is swapped in; None if there is
        none.

        Of a negative the class of the picture counts; ``draw`` numbers the sounds that are drawn for one item.
        """
        label = self._labels.get(item.picture, "") if item.negative else item.label
        others = [o for o in self._sounding if o.cluster != item.cluster and (not o.label or o.label != label)]
        if not others:
            return None
        # The first draw without its number: so it was seeded before there were several.
        keys = (self.seed, item.name, "swap", draw) if draw else (self.seed, item.name, "swap")
        return others[int(generator(*keys).integers(len(others)))]


class ModelMaps:
    """A model's map of each item, as a protocol needs its picture and sound. Batches do not matter: one at a time.

    Args:
        sound: the item's own, another class's, silence or noise.
        draw: a number for each sound that is drawn for one item.

    Attributes:
        broken: what cannot be read, and why, by the item's name.
        alone: names of items for which there is no sound of another class.
    """

    def __init__(self, model: MapMaker, test: TestMedia, sound: Sound = "own", draw: int = 0) -> None:
        self.model, self.test, self.kind, self.draw = model, test, sound, draw
        self.broken: dict[str, str] = {}
        self.alone: set[str] = set()
        self._last: tuple[tuple[str, ...], Map | None] = ((), None)

    def __call__(self, item: Item, protocol: Protocol) -> Map | None:
        """The map (h, w); None where something cannot be read or no sound is there to be swapped in."""
        key = (item.name, protocol.picture, str(protocol.sound_seconds), protocol.sound_from)
        if key != self._last[0]:
            self._last = (key, self._map(item, protocol))
        return self._last[1]

    def _map(self, item: Item, protocol: Protocol) -> Map | None:
        try:
            frame = self.test.frame(item)
            wave = self._wave(item, protocol)
        except MediaError as error:
            self.broken[item.name] = str(error)
            return None
        if wave is None:
            self.alone.add(item.name)
            return None
        found: Map = self.model.maps(frame[None], wave[None], protocol.picture)[0].astype(np.float64)
        return found

    def _wave(self, item: Item, protocol: Protocol) -> NDArray[np.float32] | None:
        rate = self.model.rate
        keys = (self.test.seed, item.name, self.kind, *([self.draw] if self.draw else []))
        rng = generator(*keys)
        if self.kind == "silence":
            return silence("zeros", rng, round(self.model.seconds * rate), rate)
        if self.kind == "noise":  # N(0, 1), neither scaled nor clipped, as vssl_eval has it
            return rng.standard_normal(round(protocol.sound_seconds * rate)).astype(np.float32)
        source = self.test.another(item, self.draw) if self.kind == "swap" else item
        if source is None:
            return None
        return self.test.sound(source, protocol.sound_seconds, protocol.sound_from, rate)


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
